"""The cell's arm as its controller box knows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hardware.base import ArmCapabilities
from hierarchy_nodes.arm.description import load_description
from hierarchy_nodes.types import Array


@dataclass(frozen=True)
class ArmModel:
    """File, limits and conventions of the arm.

    Attributes:
        urdf: Path of the URDF.
        capabilities: What the controller box promises.
        effort: ``(7,)`` N m.
        home: ``(7,)`` radians.
        gripper_joint: The opening's joint; `finger_joints` mimic it.
        finger_joints: The two prismatic joints.
        tool_frame: Link between the finger tips.
    """

    urdf: Path
    capabilities: ArmCapabilities
    effort: Array
    home: Array
    gripper_joint: str
    finger_joints: tuple[str, str]
    tool_frame: str


@lru_cache(maxsize=1)
def load_arm() -> ArmModel:
    """The stack's own arm.

    Raises:
        ConfigError: Its files are missing or wrong.
    """
    told = load_description()
    left, right = told.finger_joints
    return ArmModel(
        urdf=told.path,
        capabilities=told.capabilities(),
        effort=told.effort,
        home=told.home,
        gripper_joint=told.gripper_joint,
        finger_joints=(left, right),
        tool_frame=told.tool_frame,
    )
