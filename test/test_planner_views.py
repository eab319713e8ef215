"""Two cameras: points carried across, paths triangulated, plans put together."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.scene import ObjectSpec, SceneSpec
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import project, ray
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.planner.two_views import TwoViews
from hierarchy_nodes.planner.views import apart, carry, carry_plan, deepen, triangulate
from hierarchy_nodes.types import Gripper, Interaction, PathPoint, Plan, Prompt, Role

BLOCK, BOWL = (0.45, -0.15), (0.50, 0.15)
WAY = [
    ((0.40, 0.0, 0.32), Gripper.OPEN),
    ((0.45, -0.15, 0.20), Gripper.KEEP),
    ((*BLOCK, 0.02), Gripper.CLOSE),
    ((0.45, -0.15, 0.22), Gripper.KEEP),
    ((0.47, 0.0, 0.26), Gripper.KEEP),
    ((*BOWL, 0.10), Gripper.OPEN),
    ((0.45, 0.1, 0.28), Gripper.KEEP),
]


@cache
def seen():
    """Frames of the front and the side camera, and the arm."""
    block = ObjectSpec("red_block", "block", "red", (0.04, 0.04, 0.04), BLOCK)
    bowl = ObjectSpec("blue_bowl", "bowl", "blue", (0.16, 0.16, 0.05), BOWL)
    cell = Cell(SceneSpec((block, bowl)))
    try:
        robot = Kinematics().robot_state(cell.arm_state())
        return cell.capture("front"), cell.capture("side"), robot
    finally:
        cell.close()


def pixel(point, frame):
    return project(np.array(point, float), frame.intrinsics, frame.camera_pose)[0][0]


def drawn(frame, way=WAY, depth=False, **changes):
    """The way as a planner draws it on a frame."""
    points = []
    for place, gripper in way:
        pixels, depths = project(np.array(place), frame.intrinsics, frame.camera_pose)
        known = float(depths[0]) if depth else math.nan
        points.append(PathPoint(*map(float, pixels[0]), known, gripper))
    prompts = [
        Prompt(role, name, *map(float, pixel((*at, height), frame)))
        for role, name, at, height in [
            (Role.TARGET, "red block", BLOCK, 0.04),
            (Role.GOAL, "blue bowl", BOWL, 0.01),
        ]
    ]
    plan = Plan(
        f"on-{frame.frame_id}", frame.stamp, frame.frame_id, frame.camera_pose, "do it",
        Interaction.PLACE, tuple(points), tuple(prompts), frame.stamp + 60, "test",
    )  # fmt: skip
    return replace(plan, **changes)


def mistaken(frame):
    """A plan that takes the bowl for the target."""
    target, goal = drawn(frame).prompts
    return drawn(frame, prompts=(replace(target, x=goal.x, y=goal.y), goal))


def place_of(point, frame):
    way = ray(point.x, point.y, frame.intrinsics, frame.camera_pose)
    return frame.camera_pose.position + point.depth * way


def test_rays_of_one_point_meet_there():
    front, side, _ = seen()
    point = np.array([0.5, 0.1, 0.2])
    meeting = triangulate(pixel(point, front), front, pixel(point, side), side)
    assert np.allclose(meeting.point, point, atol=1e-6)
    assert meeting.gap < 1e-6
    off = triangulate(pixel(point, front), front, pixel(np.add(point, (0, 0, 0.1)), side), side)
    assert off.gap > 0.03
    assert triangulate((0.5, 0.5), front, (0.5, 0.5), front) is None


def test_a_point_is_carried_by_its_depth_or_by_what_is_seen():
    front, side, _ = seen()
    known = drawn(front, depth=True).path[4]
    there = carry(known, front, side)
    assert (there.x, there.y) == pytest.approx(tuple(pixel(WAY[4][0], side)), abs=1e-6)
    assert np.allclose(place_of(there, side), WAY[4][0], atol=1e-6)
    top = carry(PathPoint(*pixel((*BLOCK, 0.04), front)), front, side)
    assert (top.x, top.y) == pytest.approx(tuple(pixel((*BLOCK, 0.04), side)), abs=0.02)
    assert math.isnan(top.depth)
    assert carry(PathPoint(0.5, 0.5, 5.0), front, side) is None


def test_a_plan_is_carried_with_events_and_prompts():
    front, side, robot = seen()
    plan = carry_plan(drawn(side, depth=True), side, front, robot)
    assert (plan.frame_id, plan.stamp) == (front.frame_id, front.stamp)
    assert [p.gripper for p in plan.path] == [gripper for _, gripper in WAY]
    for point, (place, _) in zip(plan.path[1:], WAY[1:], strict=True):
        assert np.allclose(place_of(point, front), place, atol=1e-6)
    for prompt, at in zip(plan.prompts, (BLOCK, BOWL), strict=True):
        assert np.linalg.norm([prompt.x, prompt.y] - pixel((*at, 0.02), front)) < 0.05
    lost = replace(drawn(side, depth=True).path[2], depth=8.0)
    path = (*drawn(side, depth=True).path[:2], lost, *drawn(side, depth=True).path[3:])
    assert carry_plan(drawn(side, path=path), side, front, robot) is None


def test_a_path_in_both_images_gets_its_depth_in_free_space():
    front, side, _ = seen()
    # The other planner draws more points, and not the same ones.
    finer = [*WAY[:4], ((0.455, -0.08, 0.24), Gripper.KEEP), *WAY[4:]]
    plan = deepen(drawn(front), front, drawn(side, finer), side)
    for point, (place, gripper) in list(zip(plan.path, WAY, strict=True))[1:-1]:
        if gripper == Gripper.KEEP:
            assert np.linalg.norm(place_of(point, front) - place) < 0.02
        else:
            assert math.isnan(point.depth)
    # They do not agree on what happens.
    other = drawn(side, [w for w in finer if w[1] != Gripper.CLOSE])
    assert deepen(drawn(front), front, other, side) == drawn(front)


def test_plans_that_mean_different_things_are_apart():
    front, side, _ = seen()
    assert apart(drawn(front), front, drawn(side), side) < 0.04
    wrong = replace(
        drawn(side).prompts[0], **dict(zip("xy", pixel((*BOWL, 0.01), side), strict=True))
    )
    prompts = (wrong, drawn(side).prompts[1])
    assert apart(drawn(front), front, drawn(side, prompts=prompts), side) > 0.25


class Drawing(PlannerBackend):
    """Draws the way on whatever it is shown; raises what is set for a frame."""

    def __init__(self):
        super().__init__(None)
        self.errors, self.plans, self.asked = {}, {}, []

    def plan(self, request):
        name = request.frame.frame_id
        self.asked.append(name)
        if name in self.errors:
            raise self.errors[name]
        return self.plans.get(name) or drawn(request.frame, depth=name != seen()[0].frame_id)

    def verify(self, plan, frame, robot):
        return True


@pytest.fixture
def two():
    front, side, robot = seen()
    inner = Drawing()
    return TwoViews(inner), inner, PlanRequest("do it", front, robot, second=side)


def test_one_view_is_as_before(two):
    both, inner, request = two
    assert both.plan(replace(request, second=None)) == drawn(request.frame)
    assert inner.asked == [request.frame.frame_id]


def test_the_first_view_is_planned_last_and_deepened(two):
    both, inner, request = two
    plan = both.plan(request)
    assert inner.asked == [request.second.frame_id, request.frame.frame_id]
    assert plan.frame_id == request.frame.frame_id
    assert math.isfinite(plan.path[4].depth)


def test_what_is_hidden_in_the_first_view_is_carried_over(two):
    both, inner, request = two
    hidden = PlanningError(ErrorCode.OBJECT_NOT_FOUND, "I cannot see a block.")
    inner.errors[request.frame.frame_id] = hidden
    plan = both.plan(request)
    assert plan.frame_id == request.frame.frame_id
    assert plan.plan_id == f"on-{request.second.frame_id}"
    inner.errors[request.second.frame_id] = TaskDone("it is there")
    with pytest.raises(PlanningError, match="cannot see a block"):
        both.plan(request)


def test_two_different_things_make_a_question(two):
    both, inner, request = two
    side = request.second
    inner.plans[side.frame_id] = mistaken(side)
    with pytest.raises(PlanningError, match="Which thing do you mean") as caught:
        both.plan(request)
    assert caught.value.code == ErrorCode.OBJECT_AMBIGUOUS
