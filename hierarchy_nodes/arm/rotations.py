"""Rotation vectors in the base frame, for single orientations at the rate of the arm."""

from __future__ import annotations

import mujoco
import numpy as np

from hierarchy_nodes.types import Array


def rotation_between(start: Array, end: Array) -> Array:
    """Rotation vector ``(3,)`` in radians, base frame, that turns `start` into `end`."""
    local = np.empty(3)
    mujoco.mju_subQuat(local, end, start)
    result = np.empty(3)
    mujoco.mju_rotVecQuat(result, local, start)
    return result


def rotated(quaternion: Array, vector: Array) -> Array:
    """`quaternion` turned by a rotation vector ``(3,)`` given in the base frame."""
    conjugate, local = np.empty(4), np.empty(3)
    mujoco.mju_negQuat(conjugate, quaternion)
    mujoco.mju_rotVecQuat(local, vector, conjugate)
    result = quaternion.copy()
    mujoco.mju_quatIntegrate(result, local, 1.0)
    return result
