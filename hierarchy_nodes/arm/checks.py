"""What an action chunk must be before the arm looks at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.errors import ChunkRejected
from hierarchy_nodes.types import ActionChunk, Array

# Clocks of processes on one machine agree; hosts kept by NTP differ by less than this.
_CLOCK_TOLERANCE = 0.1
_NORM_TOLERANCE = 1e-2
# Points may imply twice the speed limit: the arm then lags behind instead of refusing.
_SPEED_FACTOR = 2.0


def check_chunk(
    chunk: ActionChunk, now: float, config: ArmConfig, newest: float = -np.inf
) -> ActionChunk:
    """`chunk` with unit quaternions, if it is fit to be executed.

    Args:
        now: Seconds, of the same clock as the chunk's stamp.
        newest: Stamp of the newest chunk accepted so far.

    Raises:
        ChunkRejected: Names the first thing that is wrong, its value and the limit.
    """
    _check_shape(chunk, config)
    _check_numbers(chunk)
    _check_times(chunk, now, config, newest)
    norms = np.linalg.norm(chunk.quaternions, axis=1)
    worst = int(np.argmax(np.abs(norms - 1)))
    if abs(norms[worst] - 1) > _NORM_TOLERANCE:
        raise ChunkRejected(f"quaternion {worst} has norm {norms[worst]:.3f}, must be 1.")
    _check_workspace(chunk, config)
    quaternions = chunk.quaternions / norms[:, None]
    _check_speed(chunk, quaternions, config)
    return replace(chunk, quaternions=quaternions)


def _check_shape(chunk: ActionChunk, config: ArmConfig) -> None:
    count = len(chunk.times)
    if count == 0:
        raise ChunkRejected("chunk is empty.")
    if count > config.max_chunk_points:
        raise ChunkRejected(f"chunk has {count} points, limit {config.max_chunk_points}.")
    shapes = {
        "times": (chunk.times.shape, (count,)),
        "positions": (chunk.positions.shape, (count, 3)),
        "quaternions": (chunk.quaternions.shape, (count, 4)),
        "gripper": (chunk.gripper.shape, (count,)),
    }
    for name, (shape, expected) in shapes.items():
        if shape != expected:
            raise ChunkRejected(f"{name} has shape {shape}, expected {expected}.")


def _check_numbers(chunk: ActionChunk) -> None:
    if not np.isfinite(chunk.stamp):
        raise ChunkRejected(f"stamp is {chunk.stamp}.")
    for name in ("times", "positions", "quaternions", "gripper"):
        bad = np.argwhere(~np.isfinite(getattr(chunk, name)))
        if len(bad):
            raise ChunkRejected(f"{name} is not finite at point {int(bad[0][0])}.")
    outside = np.flatnonzero((chunk.gripper < -1e-6) | (chunk.gripper > 1 + 1e-6))
    if len(outside):
        i = int(outside[0])
        raise ChunkRejected(f"gripper opening {chunk.gripper[i]:.3g} at point {i} not in [0, 1].")


def _check_times(chunk: ActionChunk, now: float, config: ArmConfig, newest: float) -> None:
    age = now - chunk.stamp
    if age > config.max_chunk_age:
        raise ChunkRejected(f"chunk is {age:.3f} s old, limit {config.max_chunk_age} s.")
    if age < -_CLOCK_TOLERANCE:
        raise ChunkRejected(f"chunk is stamped {-age:.3f} s in the future.")
    if chunk.stamp < newest:
        raise ChunkRejected(
            f"out of order: {newest - chunk.stamp:.3f} s older than one already accepted."
        )
    times = chunk.times
    if times[0] < 0:
        raise ChunkRejected(f"times start at {times[0]:.3f} s, before the chunk's stamp.")
    steps = np.diff(times)
    if len(steps) and steps.min() <= 0:
        i = int(np.argmax(steps <= 0))
        raise ChunkRejected(f"times do not increase from point {i} to {i + 1}.")
    if times[-1] > config.max_chunk_horizon:
        raise ChunkRejected(
            f"chunk reaches {times[-1]:.3f} s ahead, limit {config.max_chunk_horizon} s."
        )
    if times[-1] < age:
        raise ChunkRejected(f"chunk ended {age - times[-1]:.3f} s ago.")


def _check_workspace(chunk: ActionChunk, config: ArmConfig) -> None:
    lower, upper = np.array(config.workspace_lower), np.array(config.workspace_upper)
    lower[2] = max(lower[2], config.table_height)
    excess = np.maximum(lower - chunk.positions, chunk.positions - upper)
    point, axis = np.unravel_index(int(np.argmax(excess)), excess.shape)
    if excess[point, axis] > config.workspace_tolerance:
        name = "xyz"[int(axis)]
        raise ChunkRejected(
            f"out of reach: point {point} has {name} = {chunk.positions[point, axis]:.3f} m, "
            f"workspace [{lower[axis]:.3f}, {upper[axis]:.3f}]."
        )


def _check_speed(chunk: ActionChunk, quaternions: Array, config: ArmConfig) -> None:
    steps = np.diff(chunk.times)
    if not len(steps):
        return
    speeds = np.linalg.norm(np.diff(chunk.positions, axis=0), axis=1) / steps
    cosines = np.abs(np.sum(quaternions[1:] * quaternions[:-1], axis=1)).clip(0, 1)
    turning = 2 * np.arccos(cosines) / steps
    for name, values, limit, unit in (
        ("speed", speeds, config.max_speed, "m/s"),
        ("turning speed", turning, config.max_angular_speed, "rad/s"),
    ):
        i = int(np.argmax(values))
        if values[i] > _SPEED_FACTOR * limit:
            raise ChunkRejected(
                f"{name} {values[i]:.2f} {unit} after point {i} is over "
                f"{_SPEED_FACTOR:g} times the limit of {limit} {unit}."
            )
