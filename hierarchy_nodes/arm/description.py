"""The arm on paper: its URDF, and beside it the YAML with what a URDF cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from hardware.base import ArmCapabilities
from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import read_yaml
from hierarchy_nodes.types import Array


@dataclass(frozen=True)
class ArmDescription:
    """What the files say; joint arrays are ``(N,)`` in the order of `joint_names`.

    Attributes:
        path: Of the URDF.
        lower, upper: Radians.
        max_velocity: rad/s.
        max_acceleration: rad/s^2.
        effort: N m.
        home: Radians.
        gripper_joint: Joint whose position is the opening in [0, 1].
        finger_joints: That follow it.
        gripper_width: Metres between the fingers at opening 1.
        max_gripper_velocity: Openings a second.
        rate_hz: How often the controller box takes setpoints.
        watchdog: Seconds without a setpoint after which it holds by itself.
    """

    path: Path
    base_frame: str
    tool_frame: str
    joint_names: tuple[str, ...]
    lower: Array
    upper: Array
    max_velocity: Array
    max_acceleration: Array
    effort: Array
    home: Array
    gripper_joint: str
    finger_joints: tuple[str, ...]
    gripper_width: float
    max_gripper_velocity: float
    rate_hz: float
    watchdog: float

    def capabilities(self, watchdog: float | None = None) -> ArmCapabilities:
        """What a driver of this arm promises; `watchdog` (seconds) over that of the file."""
        return ArmCapabilities(
            joint_names=self.joint_names,
            lower=self.lower,
            upper=self.upper,
            max_velocity=self.max_velocity,
            max_acceleration=self.max_acceleration,
            rate_hz=self.rate_hz,
            watchdog=self.watchdog if watchdog is None else watchdog,
            gripper_width=self.gripper_width,
        )


def default_urdf() -> Path:
    """The arm that comes with the stack."""
    return share_folder() / "urdf" / "arm.urdf"


@lru_cache(maxsize=1)
def load_arm() -> ArmDescription:
    """The arm that comes with the stack, read once.

    Raises:
        ConfigError: As :func:`load_description`.
    """
    return load_description()


def load_description(urdf_path: str | Path | None = None) -> ArmDescription:
    """Read a URDF and the YAML file of the same name beside it.

    Raises:
        ConfigError: A file cannot be read, or a joint that the YAML names has no limits.
    """
    path = Path(urdf_path) if urdf_path else default_urdf()
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ConfigError(f"{path}: cannot be loaded as a URDF: {error}") from error
    limits = {
        joint.get("name", ""): limit.attrib
        for joint in root.iter("joint")
        if (limit := joint.find("limit")) is not None
    }
    extra = read_yaml(path.with_suffix(".yaml"))
    try:
        names = tuple(extra["joints"])
        gripper = extra["gripper"]
        columns = ("lower", "upper", "velocity", "effort")
        rows = [[float(limits[name][column]) for column in columns] for name in names]
        lower, upper, velocity, effort = np.array(rows).T
        description = ArmDescription(
            path=path,
            base_frame=extra["base_frame"],
            tool_frame=extra["tool_frame"],
            joint_names=names,
            lower=lower,
            upper=upper,
            max_velocity=velocity,
            max_acceleration=np.array(extra["max_acceleration"], dtype=float),
            effort=effort,
            home=np.array(extra["home"], dtype=float),
            gripper_joint=gripper["joint"],
            finger_joints=tuple(gripper["finger_joints"]),
            gripper_width=float(gripper["width"]),
            max_gripper_velocity=float(limits[gripper["joint"]]["velocity"]),
            rate_hz=float(extra["rate_hz"]),
            watchdog=float(extra["watchdog"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path.with_suffix('.yaml')}: missing or wrong: {error}.") from error
    for field in ("home", "max_acceleration"):
        if len(getattr(description, field)) != len(names):
            raise ConfigError(f"{path}: {field} must have {len(names)} entries, as joints has.")
    return description
