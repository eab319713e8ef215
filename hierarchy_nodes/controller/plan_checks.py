"""Whether a plan may be followed: its form, its age, and the camera it was drawn for."""

from __future__ import annotations

import math

import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanRejected
from hierarchy_nodes.geometry import angle_between
from hierarchy_nodes.types import Gripper, Interaction, PathPoint, Plan, RgbdFrame

MAX_POINTS = 100
MAX_CAMERA_SHIFT = 0.01
MAX_CAMERA_TURN = math.radians(1.0)
MAX_DEPTH = 10.0


def validate_plan(plan: Plan, now: float, frame: RgbdFrame | None) -> None:
    """Check `plan` at time `now` against the newest camera `frame` (None: not known yet).

    Raises:
        PlanRejected: With PLAN_REJECTED (malformed), PLAN_EXPIRED, or PLAN_WRONG_FRAME (drawn for
            another camera, or the camera has been moved since).
    """
    _check_form(plan)
    check_age(plan, now)
    if frame is not None and plan.path:
        _check_camera(plan, frame)


def check_age(plan: Plan, now: float) -> None:
    """Raises PlanRejected with PLAN_EXPIRED once `plan` is no longer valid."""
    if plan.path and now > plan.valid_until:
        raise PlanRejected(
            ErrorCode.PLAN_EXPIRED,
            f"plan '{plan.plan_id}' was valid until {now - plan.valid_until:.1f} s ago.",
        )


def _check_form(plan: Plan) -> None:
    name = f"plan '{plan.plan_id}'"
    if len(plan.path) > MAX_POINTS:
        raise _malformed(f"{name}: {len(plan.path)} path points, at most {MAX_POINTS} allowed.")
    if not isinstance(plan.interaction, Interaction):
        valid = ", ".join(Interaction)
        raise _malformed(f"{name}: interaction {plan.interaction!r}. Valid: {valid}.")
    for index, point in enumerate(plan.path):
        _check_point(f"{name}: path point {index}", point)
    for prompt in plan.prompts:
        if not (0 <= prompt.x <= 1 and 0 <= prompt.y <= 1):
            raise _malformed(
                f"{name}: prompt '{prompt.label}' at ({prompt.x}, {prompt.y}), outside [0, 1]."
            )
    if not plan.path:
        return
    numbers = [plan.stamp, plan.valid_until, *plan.camera_pose.position]
    if not np.isfinite([*numbers, *plan.camera_pose.quaternion]).all():
        raise _malformed(f"{name}: stamps or camera pose are not finite.")
    if abs(np.linalg.norm(plan.camera_pose.quaternion) - 1) > 0.01:
        raise _malformed(f"{name}: camera pose {plan.camera_pose.quaternion} is no rotation.")


def _check_point(name: str, point: PathPoint) -> None:
    # NaN fails both comparisons.
    if not (0 <= point.x <= 1 and 0 <= point.y <= 1):
        raise _malformed(f"{name} at ({point.x}, {point.y}), outside [0, 1].")
    if not (math.isnan(point.depth) or 0 < point.depth <= MAX_DEPTH):
        raise _malformed(f"{name}: depth {point.depth} m, outside (0, {MAX_DEPTH}] and not NaN.")
    if not isinstance(point.gripper, Gripper):
        valid = ", ".join(g.name for g in Gripper)
        raise _malformed(f"{name}: gripper {point.gripper!r}. Valid: {valid}.")


def _check_camera(plan: Plan, frame: RgbdFrame) -> None:
    name = f"plan '{plan.plan_id}'"
    if plan.frame_id != frame.frame_id:
        raise PlanRejected(
            ErrorCode.PLAN_WRONG_FRAME,
            f"{name} is drawn for camera frame '{plan.frame_id}', here is '{frame.frame_id}'.",
        )
    shift = float(np.linalg.norm(plan.camera_pose.position - frame.camera_pose.position))
    turn = angle_between(plan.camera_pose.quaternion, frame.camera_pose.quaternion)
    if shift > MAX_CAMERA_SHIFT or turn > MAX_CAMERA_TURN:
        raise PlanRejected(
            ErrorCode.PLAN_WRONG_FRAME,
            f"{name}: the camera has been moved by {shift * 100:.1f} cm and "
            f"{math.degrees(turn):.1f} degrees since the plan was drawn; limits are "
            f"{MAX_CAMERA_SHIFT * 100:.0f} cm and {math.degrees(MAX_CAMERA_TURN):.0f} degree.",
        )


def _malformed(message: str) -> PlanRejected:
    return PlanRejected(ErrorCode.PLAN_REJECTED, message)
