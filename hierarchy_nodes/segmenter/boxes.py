"""Upright boxes around partly seen things."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.segmenter.ranks import median, percentiles
from hierarchy_nodes.types import Array

_GROUNDED = 0.005  # lower points count as table
_FACE = 0.008  # roughness of a top face


def upright_box(
    points: NDArray[np.float32],
    height: NDArray[np.float32],
    pitch: float,
    support: float | None = None,
) -> tuple[Array, Array, float]:
    """The upright box around a thing of which the camera sees one side and the top.

    The yaw is that of the smallest rectangle around the top face, where there is one (its corners
    are seen, while those on the table behind are not), else around all points. Extents are
    percentiles, so that a few wrong depths do no harm.

    Args:
        points: ``(N, 3)`` base frame, metres.
        height: ``(N,)`` over the table, metres.
        pitch: Distance between neighbour pixels' points; a thing ends half a pixel outside the
            last one that is seen.
        support: Height of what the thing stands on, where that is known.

    Returns:
        Centre ``(3,)``, size ``(3,)`` as length >= width, height, and the yaw of the length in
        (-pi/2, pi/2].
    """
    floor, top = percentiles(height, 2, 98).tolist()
    flat = np.ascontiguousarray(points[:, :2], dtype=np.float32)
    _, around, whole = cv2.minAreaRect(flat)
    _, over, angle = cv2.minAreaRect(flat[height > top - _FACE])
    if over[0] * over[1] < 0.5 * around[0] * around[1]:
        angle = whole
    yaw = math.radians(angle)
    axes = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    low, high = percentiles(axes @ flat.T, 0.7, 99.3)
    length, width = (high - low + pitch).tolist()
    x, y = ((low + high) / 2 @ axes).tolist()
    if width > length:
        length, width, yaw = width, length, yaw + math.pi / 2
    yaw = math.atan(math.tan(yaw))
    # The lowest pixels lie above the thing's lower edge by up to their own height on its side.
    bottom = 0.0 if floor < _GROUNDED + 1.5 * pitch else floor - pitch / 2
    if support is not None:
        bottom = min(bottom, support)
    # Height is over the table's plane, which may lie a little off z = 0.
    base = float(median(points[:, 2] - height))
    center = np.array([x, y, base + (top + bottom) / 2])
    return center, np.array([length, width, max(top - bottom, 0.001)]), yaw
