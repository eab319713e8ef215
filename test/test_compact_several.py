"""The compact planner: several things of one name, and things sorted by color."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compact_script import EVERY, PUT, Script, placing, seen_at, table
from scenes import GREEN, RED, cube, picture, plate

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner.base import PlanRequest, TaskDone
from hierarchy_nodes.planner.compact.answer import Spot
from hierarchy_nodes.planner.compact.backend import CompactPlanner
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.types import Correction, CorrectionKind, Gripper


@pytest.fixture
def world():
    return table()


SORT = "sort the blocks by color into the bowls"


class ByColor(Script):
    """Answers by the first color in what is asked."""

    def __init__(self, frame, **statuses):
        super().__init__(placing(frame, "not there"))
        self.changed = {}
        self._frame, self._statuses = frame, statuses

    def ask(self, text, corrections, look):
        super().ask(text, corrections, look)
        status = next((s for color, s in self._statuses.items() if color in text), "not there")
        return replace(placing(self._frame, status), **self.changed)


def test_things_are_sorted_color_by_color(world):
    frame, _, robot = world
    script = ByColor(frame, green="done", red="plan")
    planner = CompactPlanner(CompactOptions(), script)
    assert planner.subtasks(SORT) == (SORT,)
    assert planner.repeats(SORT)
    plan = planner.plan(PlanRequest(SORT, frame, robot))
    assert plan.instruction == "put every red block in the red bowl"
    assert script.asked[-1][0] == plan.instruction
    script.changed["targets"] = (Spot(0.2, 0.2, 0.9),)
    assert planner.verify(plan, frame, robot) is None, "something may be left"


def test_colors_that_are_not_in_view_are_not_asked_about(world):
    frame, _, robot = world
    script = ByColor(frame, black="plan", red="plan")
    plan = CompactPlanner(CompactOptions(), script).plan(PlanRequest(SORT, frame, robot))
    assert plan.instruction == "put every red block in the red bowl"
    assert not any("black" in text for text, _, _ in script.asked)


def test_sorting_ends_when_every_color_is_done(world):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), ByColor(frame, green="done", red="done"))
    with pytest.raises(TaskDone):
        planner.plan(PlanRequest(SORT, frame, robot))
    planner = CompactPlanner(CompactOptions(), ByColor(frame))
    with pytest.raises(PlanningError, match="goal of its color") as caught:
        planner.plan(PlanRequest(SORT, frame, robot))
    assert caught.value.code == ErrorCode.OBJECT_NOT_FOUND
    frame, _ = picture([cube(0.5, 0.1, RED), cube(0.5, 0.2, RED), plate(0.5, -0.1)])
    planner = CompactPlanner(CompactOptions(), ByColor(frame, green="done", red="ambiguous"))
    with pytest.raises(PlanningError) as caught:
        planner.plan(PlanRequest("sort the red blocks by color", frame, robot))
    assert caught.value.code == ErrorCode.OBJECT_AMBIGUOUS


def test_all_is_done_when_everything_of_that_name_is_there(world):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame)))
    assert planner.plan(PlanRequest(EVERY, frame, robot)).prompts
    frame, _ = picture([cube(0.5, -0.1, RED, 0.06), plate(0.5, -0.1)])
    there = replace(placing(frame), targets=(Spot(*seen_at(frame, (0.5, -0.1, 0.08)), 0.9),))
    planner = CompactPlanner(CompactOptions(), Script(there))
    with pytest.raises(TaskDone):
        planner.plan(PlanRequest(EVERY, frame, robot))
    # A single one may be meant to be moved all the same.
    assert planner.plan(PlanRequest(PUT, frame, robot)).prompts


def test_of_all_things_those_that_are_at_the_goal_or_something_else_are_left_alone(world):
    robot = world[2]
    there, other = cube(0.5, -0.1, RED, z=0.012), plate(0.4, 0.25, GREEN)
    frame, _ = picture([cube(0.5, 0.1, RED), there, other, plate(0.5, -0.1)])
    edge = Spot(*seen_at(frame, (0.45, -0.15, 0.012)), 0.9)
    for at in ((0.5, -0.1, 0.052), (0.4, 0.25, 0.012)):
        wrong = replace(placing(frame), targets=(Spot(*seen_at(frame, at), 0.9),), goal=edge)
        plan = CompactPlanner(CompactOptions(), Script(wrong)).plan(
            PlanRequest(EVERY, frame, robot)
        )
        meant, taken = plan.prompts[0], next(p for p in plan.path if p.gripper == Gripper.CLOSE)
        for point in (meant, taken):
            right = seen_at(frame, (0.5, 0.1, 0.04))
            assert (point.x, point.y) == pytest.approx(right, abs=0.03)


def test_a_correction_counts_more_than_the_names_in_the_instruction(world):
    robot = world[2]
    frame, _ = picture([cube(0.5, 0.1, RED), plate(0.4, 0.25, GREEN), plate(0.5, -0.1)])
    other = seen_at(frame, (0.4, 0.25, 0.012))
    told = replace(placing(frame), targets=(Spot(*other, 0.9),))
    said = Correction(
        1.0, "c", "no, the green plate", CorrectionKind.RETARGET, phrase="the green plate",
        role="target",
    )  # fmt: skip
    request = PlanRequest(EVERY, frame, robot, (said,))
    prompt = CompactPlanner(CompactOptions(), Script(told)).plan(request).prompts[0]
    assert (prompt.x, prompt.y) == other


def test_what_was_to_be_moved_and_still_lies_there_is_a_failure(world):
    frame, _, robot = world
    elsewhere = replace(placing(frame), targets=(Spot(0.2, 0.2, 0.9),))
    planner = CompactPlanner(CompactOptions(), Script(placing(frame), placing(frame), elsewhere))
    plan = planner.plan(PlanRequest(EVERY, frame, robot))
    assert planner.verify(plan, frame, robot) is False
    assert planner.verify(plan, frame, robot) is None


def test_several_things_are_repeated_until_done(world):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame, more=0.9)))
    text = "clear those blocks away onto the plate"
    assert planner.subtasks(text) == (text,)
    planner.plan(PlanRequest(text, frame, robot))
    assert planner.repeats(text)
    assert planner.repeats("put all blocks on the blue plate")
    assert not planner.repeats(PUT)
    assert len(planner.subtasks("open the drawer then press the button")) == 2
    with pytest.raises(PlanningError, match="empty"):
        planner.subtasks(" ")
