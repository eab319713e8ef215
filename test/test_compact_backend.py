"""The compact planner: what the backend makes of the network's answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import BLUE, GREEN, RED, cube, picture, plate, robot_at

from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.geometry import on_plane, project
from hierarchy_nodes.learning.planner import sayings
from hierarchy_nodes.planner.base import PLANNERS, PlanRequest, TaskDone
from hierarchy_nodes.planner.compact.answer import Answer, Drawn, Spot
from hierarchy_nodes.planner.compact.backend import CompactPlanner
from hierarchy_nodes.planner.compact.inputs import STATUSES
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.planner.motions import path_points
from hierarchy_nodes.types import (
    Correction,
    CorrectionKind,
    Gripper,
    Interaction,
    Observation,
    Role,
)

PUT = "put the red block on the blue plate"


class Script:
    """Answers as told, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple] = []

    def ask(self, text, corrections, look):
        self.asked.append((text, corrections, look))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @staticmethod
    def confidence(raw):
        return raw


def seen_at(frame, point):
    pixel, _ = project(np.array(point, float), frame.intrinsics, frame.camera_pose)
    return float(pixel[0, 0]), float(pixel[0, 1])


def placing(frame, status="plan", raw=0.9, **more):
    """What a good network says of a red cube at y = 0.1 and a plate at y = -0.1."""

    def drawn(point, event=Gripper.KEEP):
        return Drawn(*seen_at(frame, point), point[2], event)

    path = (
        drawn((0.35, 0.0, 0.40), Gripper.OPEN),
        drawn((0.5, 0.1, 0.2)),
        drawn((0.5, 0.1, 0.02), Gripper.CLOSE),
        drawn((0.5, -0.1, 0.2)),
        drawn((0.5, -0.1, 0.04), Gripper.OPEN),
        drawn((0.45, -0.1, 0.3)),
    )
    return Answer(
        status,
        dict.fromkeys(STATUSES, 0.02) | {status: 0.94},
        Interaction.PLACE,
        (Spot(*seen_at(frame, (0.5, 0.1, 0.04)), 0.9),),
        Spot(*seen_at(frame, (0.5, -0.1, 0.012)), 0.9),
        (),
        path,
        raw,
        more.pop("more", 0.0),
    )


@pytest.fixture
def world():
    frame, which = picture([cube(0.5, 0.1, RED), plate(0.5, -0.1)])
    return frame, which, robot_at(0.0)


def test_a_plan_points_at_the_things_and_is_valid(world):
    frame, which, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame)))
    plan = planner.plan(PlanRequest(PUT, frame, robot))
    validate_plan(plan, frame.stamp, frame)
    pixels = {p.role: which[int(p.y * 240), int(p.x * 320)] for p in plan.prompts}
    assert pixels == {Role.TARGET: 1, Role.GOAL: 2}
    events = [p.gripper for p in plan.path]
    assert events[0] == Gripper.OPEN
    assert [e for e in events[1:] if e != Gripper.KEEP] == [Gripper.CLOSE, Gripper.OPEN]
    # Heights of contact are read off the depth image, those of travel are the network's.
    assert [np.isnan(p.depth) for p in plan.path] == [False, False, True, False, True, False]
    assert plan.prompts[0].label == "red block"
    assert (plan.source, plan.confidence) == ("compact", 0.9)


def test_a_path_between_two_things_is_led_to_the_target(world):
    frame, _, robot = world
    right = placing(frame)
    wrong = replace(
        right,
        path=tuple(
            replace(p, x=p.x + 0.08, y=p.y - 0.05) if i in (1, 2) else p
            for i, p in enumerate(right.path)
        ),
    )
    plans = [
        CompactPlanner(CompactOptions(), Script(answer)).plan(PlanRequest(PUT, frame, robot))
        for answer in (right, wrong)
    ]
    target = plans[0].prompts[0]
    taken = [next(p for p in plan.path if p.gripper == Gripper.CLOSE) for plan in plans]
    assert (taken[1].x, taken[1].y) == pytest.approx((target.x, target.y))
    # Only a little off, it is left as it was drawn, and so is the way to the goal.
    assert (taken[0].x, taken[0].y) == (right.path[2].x, right.path[2].y)
    assert [(p.x, p.y) for p in plans[1].path[3:]] == [(p.x, p.y) for p in plans[0].path[3:]]


def test_what_is_in_the_hand_is_put_down_first_unless_it_is_meant(world):
    frame, _, _ = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame)))
    robot = robot_at(0.0, (0.5, 0.1, 0.03), 0.5)
    carried = PlanRequest(PUT, frame, robot, holding=True)
    other = replace(carried, robot=robot_at(0.0, (0.4, -0.2, 0.2), 0.5))
    with pytest.raises(PlanRejected, match="put down"):
        planner.plan(other)
    assert planner.plan(carried).path[0].gripper == Gripper.KEEP
    assert not planner.prepares(planner.plan(carried))
    plan = planner.plan(other)
    assert planner.prepares(plan)
    assert [p.gripper for p in plan.path if p.gripper != Gripper.KEEP] == [Gripper.OPEN]
    assert planner.verify(plan, frame, other.robot) is False
    assert planner.verify(plan, frame, robot_at(0.0, (0.5, 0.1, 0.2), 1.0)) is True
    done = CompactPlanner(CompactOptions(), Script(placing(frame), placing(frame, "done")))
    done.plan(carried)
    assert done.prepares(done.plan(carried)), "what is in the hand is not done"
    down = path_points(plan, frame.intrinsics)[2]
    np.testing.assert_allclose(down, (0.5, 0.1, 0.02), atol=1e-3)
    validate_plan(plan, frame.stamp, frame)


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


SORT = "sort the blocks by color into the bowls"


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


EVERY = "put every red block on the blue plate"


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


def released(plan, frame):
    """Where a plan lets go, and where it is right before, ``(2, 2)`` metres."""
    last = next(i for i, p in enumerate(plan.path) if i and p.gripper == Gripper.OPEN)
    lens, heights = frame.intrinsics, (0.2, 0.04)
    pair = zip(plan.path[last - 1 : last + 1], heights, strict=True)
    return np.array([on_plane(p.x, p.y, lens, plan.camera_pose, z)[:2] for p, z in pair])


def test_things_are_put_where_the_goal_is_free(world):
    frame, _, robot = world
    goal = np.array([0.5, -0.1])

    def ends(frame, text=PUT):
        # Its edge is seen even where something stands on it.
        edge = Spot(*seen_at(frame, (0.45, -0.15, 0.012)), 0.9)
        planner = CompactPlanner(CompactOptions(), Script(replace(placing(frame), goal=edge)))
        return released(planner.plan(PlanRequest(text, frame, robot)), frame)

    np.testing.assert_allclose(ends(frame), [goal, goal], atol=1e-4)
    # Others are to follow, or something is there: beside the middle, from above.
    full, _ = picture([cube(0.5, 0.1, RED), plate(*goal), cube(*goal, GREEN, z=0.012)])
    for before, at in (ends(frame, EVERY), ends(full)):
        np.testing.assert_allclose(before, at, atol=1e-3)
        assert 0.02 < np.linalg.norm(at - goal) < 0.06
    # It may be of the goal's own colour, and not be told from it.
    for color in (GREEN, BLUE):
        there = cube(0.5, -0.07, color, 0.03, 0.012)
        off_middle, _ = picture([cube(0.5, 0.1, RED), plate(*goal), there])
        _, at = ends(off_middle)
        assert at[1] < goal[1] - 0.01


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


def without(answer, *events):
    """The same path, along which these things never happen."""
    path = tuple(replace(p, event=Gripper.KEEP) if p.event in events else p for p in answer.path)
    return replace(answer, path=path)


@pytest.mark.parametrize(
    "events", [(Gripper.CLOSE,), (Gripper.OPEN,), (Gripper.CLOSE, Gripper.OPEN)]
)
def test_a_path_that_comes_to_target_and_goal_takes_and_lets_go_there(world, events):
    frame, _, robot = world
    answer = placing(frame)
    plans = [
        CompactPlanner(CompactOptions(), Script(a)).plan(PlanRequest(PUT, frame, robot))
        for a in (answer, without(answer, *events))
    ]
    assert [p.gripper for p in plans[1].path] == [p.gripper for p in plans[0].path]


def test_a_path_without_sense_is_no_plan(world):
    frame, _, robot = world
    answer = without(placing(frame), Gripper.CLOSE, Gripper.OPEN)
    elsewhere = tuple(replace(p, x=0.02, y=0.9) for p in answer.path)
    for path, why in ((elsewhere, "never closes"), (answer.path[:3], "never opens")):
        planner = CompactPlanner(CompactOptions(), Script(replace(answer, path=path)))
        with pytest.raises(PlanRejected, match=why):
            planner.plan(PlanRequest(PUT, frame, robot))


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


def test_motions_are_told_for_the_plan_that_runs(world):
    frame, _, robot = world
    planner = CompactPlanner(CompactOptions(), Script(placing(frame)))
    plan = planner.plan(PlanRequest(PUT, frame, robot))
    motion = planner.motion(Observation(0.1, robot, plan, frame))
    assert motion is not None
    # Where to, the path tells; how high, at points without a depth, the network.
    assert motion.text == "move arm down and forward"
    low = robot_at(0.1, (0.5, 0.1, 0.1))
    for robot in (robot_at(0.1, (0.5, 0.1, 0.2)), low):
        motion = planner.motion(Observation(0.1, robot, plan, frame))
    assert motion is not None
    assert motion.text == "move arm down"


def test_it_is_registered():
    assert PLANNERS.get("compact") is CompactPlanner
