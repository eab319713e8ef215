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


def sample_points(
    frame: RgbdFrame,
    robot: RobotState,
    segments: Segments | None,
    roles: Mapping[Role, int],
    count: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` points, half of them from the masks where there are any.

    Pixels are drawn before they are lifted, and the robot is taken out of the few that were drawn.

    Args:
        frame: Colour and depth.
        robot: The arm, at about the same time.
        segments: Masks on an image of the same size; None where there are none.
        roles: The number of each role in the result.
        count: Of the points; they repeat where there are fewer.
        rng: Draws the pixels.

    Returns:
        ``(count, 3)`` float32 metres in the base frame, ``(count, 3)`` uint8 RGB, ``(count,)``
        uint8 roles. All zeros where nothing is seen.
    """
    depth = frame.depth.ravel()
    rays, coarse = _rays(frame.intrinsics), _coarse(frame.intrinsics)
    rotation = quaternions.quat2mat(frame.camera_pose.quaternion).astype(np.float32)
    origin = frame.camera_pose.position.astype(np.float32)
    painted = _painted(segments, roles, frame.depth.shape)
    # Of what has no role every fourth pixel is enough.
    deep = frame.depth[::2, ::2].ravel()
    height = deep * (coarse.rays @ rotation[2]) + origin[2]
    standing = (height > FLAT) & (height < CEILING) & (deep > 0)
    masks: dict[int, NDArray[np.intp]] = {}
    if painted is not None:
        standing &= painted.reshape(frame.depth.shape)[::2, ::2].ravel() == 0
        # Of booleans that takes a tenth of the time.
        marked = np.flatnonzero(painted != 0)
        marked = marked[depth[marked] > 0]
        masks = {role: marked[painted[marked] == role] for role in roles.values()}
    present = [role for role, mask in masks.items() if len(mask)]
    # More than needed, because some will turn out to be the robot or out of reach.
    drawn = [_draw(coarse.pixels[standing], 3 * count, rng)]
    drawn += [_draw(masks[role], count, rng) for role in present]
    pixels = np.concatenate(drawn)
    points = rays[pixels] * depth[pixels, None] @ rotation.T + origin
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
    chosen = _share(groups, rest, count, rng)
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


class _Coarse(NamedTuple):
    """Every second pixel of every second row: ``(N,)`` indices and ``(N, 3)`` rays."""

    pixels: NDArray[np.intp]
    rays: NDArray[np.float32]


@lru_cache(maxsize=4)
def _coarse(camera: CameraIntrinsics) -> _Coarse:
    pixels = np.arange(camera.height * camera.width).reshape(camera.height, -1)[::2, ::2].ravel()
    return _Coarse(pixels, _rays(camera)[pixels])


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


def _draw(candidates: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """At most `most` of them, spread evenly from a random start: faster than a permutation."""
    if len(candidates) <= most:
        return candidates
    step = len(candidates) / most
    return candidates[((np.arange(most) + rng.random(most)) * step).astype(np.intp)]


def _share(
    groups: list[NDArray[np.intp]],
    rest: NDArray[np.intp],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """`count` indices: half of them from `groups` in equal parts, the others from `rest`."""
    wanted: list[NDArray[np.intp]] = []
    masked = count // 2 if groups and len(rest) else count if groups else 0
    for index, group in enumerate(groups):
        part = masked * (index + 1) // len(groups) - masked * index // len(groups)
        wanted.append(_exactly(group, part, rng))
    if len(rest):
        wanted.append(_exactly(rest, count - masked, rng))
    return np.concatenate(wanted) if wanted else np.zeros(0, dtype=np.intp)


def _exactly(group: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`count` of `group`, repeated where there are fewer."""
    if len(group) >= count:
        return rng.choice(group, count, replace=False, shuffle=False)
    return np.concatenate([group, rng.choice(group, count - len(group))])
