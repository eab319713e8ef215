"""The things in view as the network sees them: a small picture of each, and where it is.

Which pixels belong together the depth image tells (``segmenter/clusters.py``); what they are the
network has to see for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.segmenter.clusters import Cluster, find_clusters
from hierarchy_nodes.types import RgbdFrame, RobotState

# At most so many things, the largest in view.
MOST = 16
# Pixels along a picture, which shows red, green, blue, and which pixels are the thing's.
CROP, CHANNELS = 24, 4
# Of a thing's box so much more is shown around it.
_AROUND = 0.25
# Place and size in space, turn, box in the image, a point well inside, what it stands on, and how
# much of it is seen.
GEOMETRY = 16
POINT = slice(12, 14)
# What lies in the middle of the table, metres.
_MIDDLE = np.array([0.45, 0.0, 0.05])


@dataclass(frozen=True)
class Things:
    """What is seen of K things.

    Attributes:
        crops: ``(K, CHANNELS, CROP, CROP)`` uint8.
        geometry: ``(K, GEOMETRY)`` float32 of about unit size.
    """

    crops: NDArray[np.uint8]
    geometry: NDArray[np.float32]


def see(frame: RgbdFrame, robot: RobotState | None) -> Things:
    """The things in `frame`, the largest first; what is the robot's is none."""
    clusters = find_clusters(frame, robot)[:MOST]
    return Things(crops_of(frame.color, [c.mask for c in clusters]), geometry_of(clusters))


def padded(
    things: Things, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Crops, geometry and colours of `count` things, and which of them are there."""
    many = len(things.crops)
    rest = [(0, count - many)]
    return (
        np.pad(things.crops, rest + [(0, 0)] * 3),
        np.pad(things.geometry, [*rest, (0, 0)]),
        np.pad(colors_of(things.crops), [*rest, (0, 0)]),
        np.arange(count) < many,
    )


def geometry_of(clusters: Sequence[Cluster]) -> NDArray[np.float32]:
    """``(K, GEOMETRY)``."""
    rows = np.zeros((len(clusters), GEOMETRY), np.float32)
    for row, c in zip(rows, clusters, strict=True):
        height, width = c.mask.shape
        top, bottom, left, right = _box(c.mask)
        row[0:3] = (c.centroid - _MIDDLE) / (0.2, 0.2, 0.1)
        row[3:6] = c.size / 0.1
        row[6:8] = np.sin(2 * c.yaw), np.cos(2 * c.yaw)
        row[8:10] = (left + right) / 2 / width, (top + bottom) / 2 / height
        row[10:12] = 4 * (right - left) / width, 4 * (bottom - top) / height
        row[POINT] = c.pixel
        row[14] = (c.centroid[2] - c.size[2] / 2) / 0.1
        row[15] = np.log10(len(c.points) / (width * height)) + 3
    return rows


def crops_of(color: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """``(K, CHANNELS, CROP, CROP)``: a square around each thing, scaled to one size.

    Args:
        color: ``(H, W, 3)`` RGB. masks: ``(H, W)`` each, none of them empty.
    """
    crops = np.zeros((len(masks), CROP, CROP, CHANNELS), np.uint8)
    for crop, mask in zip(crops, masks, strict=True):
        top, bottom, left, right = _box(mask)
        side = max(bottom - top, right - left) * (1 + _AROUND)
        scale = CROP / side
        # Pixel centres are at half numbers.
        x, y = (left + right) / 2, (top + bottom) / 2
        matrix = np.array(
            [[scale, 0, CROP / 2 - scale * x], [0, scale, CROP / 2 - scale * y]], np.float64
        )
        flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        for image, place in ((color, slice(0, 3)), (mask.astype(np.uint8) * 255, slice(3, 4))):
            drawn = cv2.warpAffine(
                image, matrix, (CROP, CROP), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            crop[..., place] = drawn.reshape(CROP, CROP, -1)
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))


def colors_of(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(K, 3)``: the mean colour of each thing, in the numbers of ``lexicon.describe``."""
    if not len(crops):
        return np.zeros((0, 3), np.float32)
    weights = crops[:, 3].astype(np.float32)
    total = weights.sum((1, 2))[:, None] + 1e-6
    mean = np.einsum("kchw,khw->kc", crops[:, :3].astype(np.float32), weights) / total / 255
    lab = cv2.cvtColor(mean[None], cv2.COLOR_RGB2Lab)[0]
    return np.asarray((lab - (50.0, 0.0, 0.0)) / 50, np.float32)


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what is set, the ends being outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
