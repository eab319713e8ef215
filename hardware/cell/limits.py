"""Limits that a controller box applies to whatever it is told; free of the simulator."""

from __future__ import annotations

import math

import numpy as np

from hardware.base import ArmCapabilities, JointCommand
from hierarchy_nodes.errors import DriverError


def limited(command: JointCommand, capabilities: ArmCapabilities) -> JointCommand:
    """`command` within position and velocity limits.

    Raises:
        DriverError: It is not finite or has another number of joints.
    """
    count = len(capabilities.joint_names)
    positions = np.asarray(command.positions, dtype=float)
    velocities = np.asarray(command.velocities, dtype=float)
    if positions.shape != (count,) or velocities.shape != (count,):
        raise DriverError(
            f"Joint command: expected {count} positions and velocities, got "
            f"{positions.shape} and {velocities.shape}."
        )
    if not (
        np.isfinite(positions).all()
        and np.isfinite(velocities).all()
        and math.isfinite(command.gripper)
    ):
        raise DriverError(f"Joint command is not finite: {command}.")
    fastest = capabilities.max_velocity
    return JointCommand(
        np.minimum(np.maximum(positions, capabilities.lower), capabilities.upper),
        np.minimum(np.maximum(velocities, -fastest), fastest),
        min(max(float(command.gripper), 0.0), 1.0),
    )
