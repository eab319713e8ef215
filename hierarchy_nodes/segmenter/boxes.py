"""Upright boxes around partly seen things."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

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
    top = float(np.percentile(height, 98))
    flat = np.ascontiguousarray(points[:, :2], dtype=np.float32)
    face = flat[height > top - _FACE]
    _, around, _ = cv2.minAreaRect(flat)
    _, over, angle = cv2.minAreaRect(face)
    if over[0] * over[1] < 0.5 * around[0] * around[1]:
        face, angle = flat, cv2.minAreaRect(flat)[2]
    yaw = float(np.radians(angle))
    axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    local = flat @ axes.T
    low, high = np.percentile(local, [0.7, 99.3], axis=0)
    extent = high - low + pitch
    middle = (low + high) / 2 @ axes
    if extent[1] > extent[0]:
        extent, yaw = extent[::-1], yaw + np.pi / 2
    yaw = float(np.arctan(np.tan(yaw)))
    # The lowest pixels lie above the thing's lower edge by up to their own height on its side.
    floor = float(np.percentile(height, 2))
    bottom = 0.0 if floor < _GROUNDED + 1.5 * pitch else floor - pitch / 2
    if support is not None:
        bottom = min(bottom, support)
    # Height is over the table's plane, which may lie a little off z = 0.
    base = float(np.median(points[:, 2] - height))
    center = np.array([middle[0], middle[1], base + (top + bottom) / 2])
    return center, np.array([extent[0], extent[1], max(top - bottom, 0.001)]), yaw
