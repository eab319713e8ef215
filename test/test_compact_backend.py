"""The compact planner: what the backend makes of the network's answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compact_script import PUT, Script, placing, seen_at, table
from scenes import RED, cube, picture, plate

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.learning.planner import sayings
from hierarchy_nodes.planner.base import PLANNERS, PlanRequest, TaskDone
from hierarchy_nodes.planner.compact.answer import Spot
from hierarchy_nodes.planner.compact.backend import CompactPlanner
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.types import Correction, CorrectionKind, Interaction


@pytest.fixture
def world():
    return table()


@pytest.mark.parametrize(
    "text",
    [
        "pick up the red block",
        "put it back",
        "please grab the plate",
        "put the red block next to the blue plate",
        "place the red block left of the plate",
        "push the red block 5 cm to the left",
    ],
)
def test_what_was_never_learned_is_refused(world, text):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame)))
    with pytest.raises(PlanningError, match="put where"):
        planner.plan(PlanRequest(text, frame, robot))


def test_what_was_learned_is_not_refused(world):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame)))
    rng = np.random.default_rng(0)
    for kind in sayings.FRAMES:
        for _ in range(40):
            text = sayings.say(kind, "the red block", "the left bowl", "to the left", rng)
            for part in planner.subtasks(text):
                planner.plan(PlanRequest(part, frame, robot))


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        ("not there", ErrorCode.OBJECT_NOT_FOUND, "cannot see"),
        ("ambiguous", ErrorCode.OBJECT_AMBIGUOUS, "one on the left, one on the right"),
    ],
)
def test_what_cannot_be_done_becomes_a_question(world, status, code, told):
    robot = world[2]
    frame, _ = picture([cube(0.5, 0.1, RED), cube(0.4, -0.2, RED), plate(0.5, -0.1)])
    answer = placing(frame, status)
    other = Spot(*seen_at(frame, (0.4, -0.2, 0.04)), 0.4)
    answer = replace(answer, targets=(*answer.targets, other))
    with pytest.raises(PlanningError, match=told) as caught:
        CompactPlanner(CompactOptions(), Script(answer)).plan(PlanRequest(PUT, frame, robot))
    assert caught.value.code == code


def test_one_thing_of_a_name_that_is_not_at_its_goal_yet_is_meant(world):
    robot = world[2]
    there = cube(0.5, -0.1, RED, z=0.012)
    for more in ((), (there,)):
        frame, _ = picture([cube(0.5, 0.1, RED), plate(0.5, -0.1), *more])
        answer = placing(frame, "ambiguous")
        other = Spot(*seen_at(frame, (0.5, -0.1, 0.05)), 0.95)
        answer = replace(answer, targets=(other, *answer.targets))
        plan = CompactPlanner(CompactOptions(), Script(answer)).plan(PlanRequest(PUT, frame, robot))
        assert (plan.prompts[0].x, plan.prompts[0].y) == seen_at(frame, (0.5, 0.1, 0.04))


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("put the red giraffe on the plate", "OBJECT_NOT_FOUND", "see a red giraffe. In view: "),
        ("put the red block in the green bowl", "OBJECT_NOT_FOUND", "a green bowl. In view: "),
        (PUT, "OBJECT_NOT_FOUND", "needed for .* In view: .*red block"),
        ("make me a sandwich", "INSTRUCTION_NOT_UNDERSTOOD", "Try for example"),
    ],
)
def test_the_person_hears_what_is_missing_and_what_is_there(world, text, code, told):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame, "not there")))
    with pytest.raises(PlanningError, match=told) as caught:
        planner.plan(PlanRequest(text, frame, robot))
    assert caught.value.code == ErrorCode[code]


def test_doubt_is_a_question_and_done_is_told(world):
    frame, _, robot = world
    request = PlanRequest(PUT, frame, robot)
    with pytest.raises(PlanningError, match=r"confidence 0\.20.*on the left"):
        CompactPlanner(CompactOptions(), Script(placing(frame, raw=0.2))).plan(request)
    with pytest.raises(TaskDone, match="Nothing is left"):
        CompactPlanner(CompactOptions(), Script(placing(frame, "done"))).plan(request)
    near = CompactPlanner(CompactOptions(reach=0.4), Script(placing(frame)))
    with pytest.raises(PlanningError, match="out of reach") as caught:
        near.plan(request)
    assert caught.value.code == ErrorCode.OUT_OF_REACH


def test_the_other_one_stays_the_other_one(world):
    frame, _, robot = world
    script = Script(placing(frame))
    planner = CompactPlanner(CompactOptions(), script)
    first = planner.plan(PlanRequest(PUT, frame, robot))
    said = Correction(
        1.0, "c", "no, the other one", CorrectionKind.RETARGET, phrase="the other one",
        role="target",
    )  # fmt: skip
    second = planner.plan(PlanRequest(PUT, frame, robot, (said,), previous=first))
    planner.plan(PlanRequest(PUT, frame, robot, (said,), attempt=2, previous=second))
    befores = [look.before for _, _, look in script.asked]
    assert befores[0].sum() == 0.0
    assert befores[1][:3].tolist() == pytest.approx(
        [first.prompts[0].x, first.prompts[0].y, 1.0], abs=1e-6
    )
    assert befores[2].tolist() == befores[1].tolist()
    assert script.asked[1][1] == (("target", "the other one"),)


def test_the_check_may_abstain(world):
    frame, _, robot = world
    plan_answer, done = placing(frame), placing(frame, "done")
    unsure = replace(done, statuses={"plan": 0.5, "done": 0.5, "not there": 0, "ambiguous": 0})
    script = Script(plan_answer, done, unsure, plan_answer)
    planner = CompactPlanner(CompactOptions(), script)
    plan = planner.plan(PlanRequest(PUT, frame, robot))
    assert [planner.verify(plan, frame, robot) for _ in range(3)] == [True, None, False]
    assert planner.verify(replace(plan, plan_id="unknown"), frame, robot) is None
    assert planner.verify(replace(plan, interaction=Interaction.PRESS), frame, robot) is None


def test_it_is_registered():
    assert PLANNERS.get("compact") is CompactPlanner
