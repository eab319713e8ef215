"""Plans that must not be followed."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy_nodes.controller.plan_checks import MAX_POINTS, validate_plan
from hierarchy_nodes.errors import ErrorCode, PlanRejected
from hierarchy_nodes.geometry import look_at
from hierarchy_nodes.types import (
    CameraIntrinsics,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Pose,
    Prompt,
    RgbdFrame,
    Role,
)

CAMERA = look_at((1.10, 0.0, 0.75), (0.45, 0.0, 0.02))
FRAME = RgbdFrame(
    stamp=100.0,
    frame_id="camera_color_optical_frame",
    color=np.zeros((24, 32, 3), dtype=np.uint8),
    depth=np.zeros((24, 32), dtype=np.float32),
    intrinsics=CameraIntrinsics(32, 24, 29.0, 29.0, 16.0, 12.0),
    camera_pose=CAMERA,
)
PLAN = Plan(
    plan_id="p1",
    stamp=100.0,
    frame_id="camera_color_optical_frame",
    camera_pose=CAMERA,
    instruction="put the red block on the blue plate",
    interaction=Interaction.PLACE,
    path=(PathPoint(0.2, 0.2), PathPoint(0.5, 0.5, 0.9, Gripper.CLOSE)),
    prompts=(Prompt(Role.TARGET, "red block", 0.5, 0.5),),
    valid_until=130.0,
    source="test",
)


def rejected(plan, now=101.0, frame=FRAME) -> PlanRejected:
    with pytest.raises(PlanRejected) as caught:
        validate_plan(plan, now, frame)
    return caught.value


def with_point(**changes) -> Plan:
    return replace(PLAN, path=(PLAN.path[0], replace(PLAN.path[1], **changes)))


def test_good_plans_pass():
    validate_plan(PLAN, 101.0, FRAME)
    validate_plan(PLAN, 101.0, None)
    validate_plan(with_point(depth=float("nan")), 101.0, FRAME)
    validate_plan(replace(PLAN, path=(), prompts=(), valid_until=0.0), 101.0, FRAME)


def test_expired_plan():
    error = rejected(PLAN, now=131.0)
    assert error.code == ErrorCode.PLAN_EXPIRED
    assert "1.0 s" in str(error)


@pytest.mark.parametrize(
    "changes",
    [{"x": 1.2}, {"y": -0.1}, {"x": float("nan")}, {"depth": -1.0}, {"depth": float("inf")}],
)
def test_points_off_the_image(changes):
    error = rejected(with_point(**changes))
    assert error.code == ErrorCode.PLAN_REJECTED
    assert "path point 1" in str(error)


def test_unknown_gripper_names_the_valid_ones():
    error = rejected(with_point(gripper=7))
    assert error.code == ErrorCode.PLAN_REJECTED
    assert "KEEP, OPEN, CLOSE" in str(error)


def test_too_many_points():
    error = rejected(replace(PLAN, path=(PLAN.path[0],) * (MAX_POINTS + 1)))
    assert error.code == ErrorCode.PLAN_REJECTED
    assert str(MAX_POINTS) in str(error)


def test_bad_prompt_stamp_and_pose():
    assert "prompt" in str(rejected(replace(PLAN, prompts=(Prompt(Role.GOAL, "x", 2.0, 0.0),))))
    assert "finite" in str(rejected(replace(PLAN, valid_until=float("nan"))))
    broken = Pose(CAMERA.position, np.zeros(4))
    assert "no rotation" in str(rejected(replace(PLAN, camera_pose=broken)))


def test_other_camera_frame():
    error = rejected(replace(PLAN, frame_id="side_camera"))
    assert error.code == ErrorCode.PLAN_WRONG_FRAME
    assert "side_camera" in str(error)
    assert FRAME.frame_id in str(error)


def test_moved_camera():
    shifted = Pose(CAMERA.position + np.array([0.02, 0, 0]), CAMERA.quaternion)
    assert rejected(replace(PLAN, camera_pose=shifted)).code == ErrorCode.PLAN_WRONG_FRAME
    turned = look_at((1.10, 0.0, 0.75), (0.45, 0.03, 0.02))
    assert rejected(replace(PLAN, camera_pose=turned)).code == ErrorCode.PLAN_WRONG_FRAME
    nudged = Pose(CAMERA.position + np.array([0.005, 0, 0]), CAMERA.quaternion)
    validate_plan(replace(PLAN, camera_pose=nudged), 101.0, FRAME)
