"""The arm goes aside, because it may hide what the planner looks for."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np

from hierarchy_nodes.planner.drawing import draw_path
from hierarchy_nodes.planner.routes import Way
from hierarchy_nodes.types import Gripper, Interaction, Plan, RgbdFrame, RobotState

# Nearer than this to where it would go, the arm is aside already, metres.
_ASIDE = 0.10
_LIFETIME = 30.0


def in_the_way(robot: RobotState, aside: Sequence[float]) -> bool:
    """Whether the tool is not yet at `aside`, ``(3,)`` metres; never if that is empty."""
    return bool(aside) and float(np.linalg.norm(robot.tool.position - np.asarray(aside))) > _ASIDE


def retreat(frame: RgbdFrame, robot: RobotState, aside: Sequence[float]) -> Plan:
    """Straight up, then to `aside`; nothing is touched, and what is in the hand stays there."""
    goal, tool = np.asarray(aside, dtype=float), robot.tool.position
    above = np.array([*tool[:2], max(float(tool[2]), float(goal[2]) - 0.1)])
    return Plan(
        plan_id=f"aside-{uuid.uuid4().hex[:8]}",
        stamp=frame.stamp,
        frame_id=frame.frame_id,
        camera_pose=frame.camera_pose,
        instruction="",
        subtask="go aside to see better",
        interaction=Interaction.NONE,
        path=draw_path(frame, tool, Gripper.KEEP, [Way(above), Way(goal)]),
        prompts=(),
        valid_until=frame.stamp + _LIFETIME,
        source="executive",
    )
