"""The cell's arm as its controller box knows it: limits from the URDF, the rest from arm.yaml."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from hardware.base import ArmCapabilities
from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import read_yaml
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


def urdf_folder() -> Path:
    """Where the arm's files are: in the source tree, or where the package was installed to."""
    return share_folder() / "urdf"


@lru_cache(maxsize=1)
def load_arm() -> ArmModel:
    """The arm of ``urdf/arm.yaml``.

    Raises:
        ConfigError: A file is missing or a joint of arm.yaml is not in the URDF.
    """
    folder = urdf_folder()
    data = read_yaml(folder / "arm.yaml")
    urdf = folder / data["urdf"]
    limits = {}
    for joint in ElementTree.parse(urdf).getroot().iter("joint"):
        limit = joint.find("limit")
        if limit is not None:
            limits[joint.get("name", "")] = {k: float(v) for k, v in limit.items()}
    names = tuple(data["joints"])
    missing = [name for name in names if name not in limits]
    if missing:
        raise ConfigError(f"{urdf}: no limits for {', '.join(missing)}; has {', '.join(limits)}.")

    def column(key: str) -> Array:
        return np.array([limits[name][key] for name in names])

    capabilities = ArmCapabilities(
        joint_names=names,
        lower=column("lower"),
        upper=column("upper"),
        max_velocity=column("velocity"),
        max_acceleration=np.array(data["max_acceleration"], dtype=float),
        rate_hz=float(data["rate_hz"]),
        watchdog=float(data["watchdog"]),
        gripper_width=float(data["gripper"]["width"]),
    )
    left, right = data["gripper"]["finger_joints"]
    return ArmModel(
        urdf=urdf,
        capabilities=capabilities,
        effort=column("effort"),
        home=np.array(data["home"], dtype=float),
        gripper_joint=data["gripper"]["joint"],
        finger_joints=(left, right),
        tool_frame=data["tool_frame"],
    )
