"""The compact planner: from the network's path to one that may be followed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compact_script import EVERY, PUT, Script, placing, seen_at, table
from scenes import BLUE, GREEN, RED, cube, picture, plate, robot_at

from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import PlanRejected
from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.compact.answer import Spot
from hierarchy_nodes.planner.compact.backend import CompactPlanner
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.planner.motions import path_points
from hierarchy_nodes.types import Gripper, Observation, Role


@pytest.fixture
def world():
    return table()


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
