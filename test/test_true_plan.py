"""The true plan: valid, on the true things, and followed by the path follower."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import FAMILIES, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.geometry import point_cloud
from hierarchy_nodes.learning.stack import InProcessStack, StackOptions
from hierarchy_nodes.learning.true_plan import TruePlanner, TruePlanOptions, simplify
from hierarchy_nodes.learning.variation import shifted_camera
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.types import Gripper, Interaction, PathPoint, Role

KINEMATICS = Kinematics()


def drawn(family, seed, axis="basic", camera=None, options=None):
    scene, task = sample(family, seed, axis)
    cell = Cell(scene)
    if camera is not None:
        cell.move_camera("front", camera)
    planner = TruePlanner(cell, task, options)
    robot = KINEMATICS.robot_state(cell.arm_state())
    frame = cell.capture()
    plan = planner.plan(PlanRequest(task.instruction, frame, robot))
    return cell, task, frame, plan, planner, robot


@pytest.mark.parametrize("family", FAMILIES)
def test_plans_are_valid_and_their_prompts_lie_on_the_things(family):
    cell, task, frame, plan, planner, robot = drawn(family, 8, "visual")
    validate_plan(plan, frame.stamp, frame)
    assert plan.interaction != Interaction.NONE
    assert 4 <= len(plan.path) <= 10
    cloud, known = point_cloud(frame)
    names = {Role.TARGET: task.target, Role.GOAL: task.goal}
    for prompt in plan.prompts:
        if prompt.role == Role.AVOID:
            continue
        row, column = int(prompt.y * 240), int(prompt.x * 320)
        assert known[row, column]
        thing = cell.scene.object(names[prompt.role])
        away = cloud[row, column] - cell.data.body(thing.name).xpos
        reach = max(thing.size) / 2 + (0.19 if thing.shape == "drawer" else 0.01)
        assert np.linalg.norm(away[:2]) < reach
        color = frame.color[row, column].astype(float)
        assert color.max() > 15
    assert {p.role for p in plan.prompts} >= ({Role.GOAL} if task.goal else set()) | {Role.TARGET}
    assert planner.verify(plan, frame, robot) is False
    cell.close()


def test_gripper_events_survive_the_simplification():
    cell, _, _, plan, _, _ = drawn("place", 9)
    events = [p.gripper for p in plan.path if p.gripper != Gripper.KEEP]
    assert events == [Gripper.OPEN, Gripper.CLOSE, Gripper.OPEN]
    cell.close()


def test_without_depth_the_path_is_flat():
    cell, _, frame, plan, _, _ = drawn("place", 9, options=TruePlanOptions(depth=False))
    validate_plan(plan, frame.stamp, frame)
    assert all(math.isnan(p.depth) for p in plan.path)
    cell.close()


def test_a_camera_elsewhere_sees_the_same_things():
    camera = shifted_camera(np.random.default_rng(1), 0.2, 20.0, exact=True)
    cell, task, frame, plan, _, _ = drawn("place", 9, camera=camera)
    assert np.allclose(frame.camera_pose.position, camera.position)
    assert np.linalg.norm(camera.position - (1.10, 0.0, 0.75)) == pytest.approx(0.2, abs=0.01)
    target = next(p for p in plan.prompts if p.role == Role.TARGET)
    cloud, known = point_cloud(frame)
    row, column = int(target.y * 240), int(target.x * 320)
    assert known[row, column]
    # The new pose is the one that the image was really taken from.
    away = cloud[row, column] - cell.data.body(task.target).xpos
    assert np.linalg.norm(away) < 0.05
    cell.close()


def test_simplify_drops_what_is_on_the_way_and_keeps_what_it_must():
    path = tuple(PathPoint(x, y) for x, y in [(0, 0), (0.2, 0.01), (0.4, 0), (0.5, 0.3), (0.6, 0)])
    assert simplify(path, 0.05, set()) == [0, 2, 3, 4]
    assert simplify(path, 0.05, {1}) == [0, 1, 2, 3, 4]
    assert simplify(path, 1.0, set()) == [0, 4]
    assert simplify(path[:1], 0.05, {0, 7}) == [0]


@pytest.mark.parametrize(("family", "seed"), [("place", 2), ("push", 2)])
def test_the_path_follower_can_follow_it(family, seed):
    scene, task = sample(family, seed)
    cell = Cell(scene)
    stack = InProcessStack(cell, StackOptions(), TruePlanner(cell, task))
    stack.run(0.5)
    outcome = stack.execute(task.instruction, 60, 1)
    assert outcome.success, outcome.message
    cell.close()
