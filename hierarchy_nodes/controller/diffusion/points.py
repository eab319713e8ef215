"""A small sample of what stands on the table, out of a depth image, in a millisecond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from transforms3d import quaternions

from hierarchy_nodes.robot_filter import default_filter
from hierarchy_nodes.types import CameraIntrinsics, RgbdFrame, RobotState, Role, Segments

# Where points are kept, metres: x, y, and z above the table.
REACH_X, REACH_Y = (0.2, 0.85), (-0.45, 0.45)
FLAT, CEILING = 0.004, 0.45
# Masks may lie flat on the table, whose depth is noisy.
SUNK = -0.03
# The arm moved on since the image: it is put back along its velocity, at most this far in time.
MAX_AGE = 0.3
_LEVEL = 1e-6
# Of how many numbers in [0, 1) draws take theirs, and what takes seeds apart from one another.
_CHANCES = np.random.default_rng(0).random(2**16)
_PRIME = 7919
_COUNT = np.arange(len(_CHANCES))


def sample_points(
    frame: RgbdFrame,
    robot: RobotState,
    segments: Segments | None,
    roles: Mapping[Role, int],
    count: int,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` points, half of them from the masks where there are any.

    Pixels are drawn before they are lifted, and the robot is taken out of the few that were drawn.

    Args:
        frame: Colour and depth.
        robot: The arm, at about the same time.
        segments: Masks on an image of the same size; None where there are none.
        roles: The number of each role in the result.
        count: Of the points; they repeat where there are fewer.
        seed: Which pixels are drawn.

    Returns:
        ``(count, 3)`` float32 metres in the base frame, ``(count, 3)`` uint8 RGB, ``(count,)``
        uint8 roles. All zeros where nothing is seen.
    """
    depth = frame.depth.ravel()
    rotation = quaternions.quat2mat(frame.camera_pose.quaternion).astype(np.float32)
    origin = frame.camera_pose.position.astype(np.float32)
    painted = _painted(segments, roles, frame.depth.shape)
    chance = _chance(seed, 3 * count)
    # Of what has no role every fourth pixel is enough.
    sight = _sight(frame.intrinsics, *rotation[2].tolist(), float(origin[2]))
    standing = cv2.inRange(frame.depth[::2, ::2], sight.near, sight.far) != 0
    masks: dict[int, NDArray[np.intp]] = {}
    if painted is not None:
        covered = painted != 0
        standing &= ~covered.reshape(frame.depth.shape)[::2, ::2]
        marked = np.flatnonzero(covered)
        marked = marked[depth[marked] > 0]
        masks = {role: marked[painted[marked] == role] for role in roles.values()}
    present = [role for role, mask in masks.items() if len(mask)]
    # More than needed, because some will turn out to be the robot or out of reach.
    drawn = [_at_most(sight.pixels[standing], 3 * count, chance)]
    drawn += [_at_most(masks[role], count, chance) for role in present]
    pixels = np.concatenate(drawn)
    points = _rays(frame.intrinsics)[pixels] * depth[pixels, None] @ rotation.T + origin
    x, y, z = points.T
    good = (x > REACH_X[0]) & (x < REACH_X[1]) & (y > REACH_Y[0]) & (y < REACH_Y[1])
    good &= (z > SUNK) & (z < CEILING)
    pixels, points = pixels[good], points[good]
    own = default_filter().mask(points, _back_then(robot, frame.stamp))
    pixels, points = pixels[~own], points[~own]
    of_role = painted[pixels] if painted is not None else np.zeros(len(pixels), dtype=np.uint8)
    groups = [np.flatnonzero(of_role == role) for role in present]
    groups = [group for group in groups if len(group)]
    rest = np.flatnonzero(of_role == 0)
    chosen = _share(groups, rest, count, chance)
    if not len(chosen):
        zeros = np.zeros((count, 3))
        return zeros.astype(np.float32), zeros.astype(np.uint8), np.zeros(count, dtype=np.uint8)
    colors = frame.color.reshape(-1, 3)[pixels[chosen]]
    return points[chosen].astype(np.float32), colors, of_role[chosen].astype(np.uint8)


@lru_cache(maxsize=4)
def _rays(camera: CameraIntrinsics) -> NDArray[np.float32]:
    """``(H * W, 3)`` directions of the pixels in the optical frame, with z = 1."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1
    )
    return rays.reshape(-1, 3).astype(np.float32)


class _Sight(NamedTuple):
    """Every second pixel of every second row.

    Attributes:
        pixels: ``(H / 2, W / 2)`` indices in the whole image.
        near, far: ``(H / 2, W / 2)`` depths between which what is seen stands on the table.
    """

    pixels: NDArray[np.intp]
    near: NDArray[np.float32]
    far: NDArray[np.float32]


@lru_cache(maxsize=4)
def _sight(camera: CameraIntrinsics, x: float, y: float, z: float, height: float) -> _Sight:
    """What a camera at `height` sees, whose axes rise by `x`, `y` and `z` a metre."""
    pixels = np.arange(camera.height * camera.width).reshape(camera.height, -1)[::2, ::2]
    rise = _rays(camera)[pixels] @ np.array([x, y, z], dtype=np.float32)
    rise[rise == 0] = _LEVEL
    ends = np.sort([(FLAT - height) / rise, (CEILING - height) / rise], axis=0)
    # A depth of zero is none.
    return _Sight(pixels, np.maximum(ends[0], _LEVEL), ends[1])


def _painted(
    segments: Segments | None, roles: Mapping[Role, int], shape: tuple[int, ...]
) -> NDArray[np.uint8] | None:
    """``(H * W,)`` each pixel's role, or None without masks of this size."""
    if segments is None or segments.mask.shape != shape:
        return None
    table = np.zeros(256, dtype=np.uint8)
    for segment in segments.segments:
        table[segment.id] = roles.get(segment.role, 0)
    return cv2.LUT(segments.mask, table).ravel().astype(np.uint8, copy=False)


def _back_then(robot: RobotState, stamp: float) -> RobotState:
    """The arm when the image was taken."""
    age = float(np.clip(robot.stamp - stamp, 0.0, MAX_AGE))
    return replace(robot, joint_positions=robot.joint_positions - age * robot.joint_velocities)


def _chance(seed: int, count: int) -> NDArray[np.float64]:
    """``(count,)`` numbers in [0, 1): out of a table, which takes less time than a generator."""
    begin = seed * _PRIME % (len(_CHANCES) - count)
    return _CHANCES[begin : begin + count]


def _draw(
    candidates: NDArray[np.intp], count: int, chance: NDArray[np.float64]
) -> NDArray[np.intp]:
    """`count` of them, spread evenly, each from anywhere in its part; few are repeated."""
    places = (_COUNT[:count] + chance[:count]) * (len(candidates) / max(count, 1))
    return candidates[places.astype(np.intp)]


def _at_most(
    candidates: NDArray[np.intp], most: int, chance: NDArray[np.float64]
) -> NDArray[np.intp]:
    return candidates if len(candidates) <= most else _draw(candidates, most, chance)


def _share(
    groups: list[NDArray[np.intp]],
    rest: NDArray[np.intp],
    count: int,
    chance: NDArray[np.float64],
) -> NDArray[np.intp]:
    """`count` indices: half of them from `groups` in equal parts, the others from `rest`."""
    wanted: list[NDArray[np.intp]] = []
    masked = count // 2 if groups and len(rest) else count if groups else 0
    for index, group in enumerate(groups):
        part = masked * (index + 1) // len(groups) - masked * index // len(groups)
        wanted.append(_draw(group, part, chance))
    if len(rest):
        wanted.append(_draw(rest, count - masked, chance))
    return np.concatenate(wanted) if wanted else np.zeros(0, dtype=np.intp)
