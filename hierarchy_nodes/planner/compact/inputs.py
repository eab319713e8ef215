"""What the compact planner looks at beside image and words, as numbers of about unit size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from transforms3d import quaternions

from hierarchy_nodes.geometry import project
from hierarchy_nodes.types import CameraIntrinsics, Interaction, Plan, Pose, RobotState, Role

WIDTH, HEIGHT = 320, 240
STATE = 16
PATH_POINTS = 8
STATUSES = ("plan", "not there", "ambiguous", "done")
INTERACTIONS = tuple(i for i in Interaction if i != Interaction.NONE)
ROLES = (Role.TARGET, Role.GOAL, Role.AVOID)
# x, y and 1 where there is one, of the target and of the goal of the plan before.
BEFORE = 6
_MIDDLE = np.array([0.45, 0.0, 0.2])


def state_of(
    robot: RobotState, camera: CameraIntrinsics, camera_pose: Pose, holding: bool
) -> NDArray[np.float32]:
    """``(STATE,)``: tool in the image, tool in space, gripper, and where the camera stands."""
    pixel = np.clip(project(robot.tool.position, camera, camera_pose)[0][0], -0.5, 1.5)
    turned = quaternions.quat2mat(camera_pose.quaternion)
    return np.concatenate(
        [
            pixel,
            (robot.tool.position - _MIDDLE) / 0.2,
            [robot.gripper, float(holding)],
            (camera_pose.position - [1.1, 0.0, 0.75]) / 0.2,
            turned[:, 0],
            turned[:, 2],
        ]
    ).astype(np.float32)


def before_of(previous: Plan | None) -> NDArray[np.float32]:
    """``(BEFORE,)``: where the last plan's target and goal were in the image."""
    found = np.zeros(BEFORE, dtype=np.float32)
    for i, role in enumerate((Role.TARGET, Role.GOAL)):
        prompts = previous.prompts if previous is not None else ()
        prompt = next((p for p in prompts if p.role == role), None)
        if prompt is not None:
            found[3 * i : 3 * i + 3] = prompt.x, prompt.y, 1.0
    return found
