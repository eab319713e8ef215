"""From the mask of one thing to what depth says about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.robot_filter import RobotFilter, default_filter
from hierarchy_nodes.segmenter.clusters import (
    Cluster,
    ClusterOptions,
    cloud_of,
    describe,
    height_over_table,
    over_table,
)
from hierarchy_nodes.types import RgbdFrame, RobotState

_SPECK = 0.15  # parts smaller than this share of the largest are edges that bled


@dataclass(frozen=True)
class Reading:
    """A mask, looked at in depth.

    Attributes:
        cluster: What it shows on the table, None where that is too little to be a thing. Its mask
            lacks the pixels on the robot, on the table behind, and off the table.
        solid: Share of the mask's pixels that are in the cluster's.
        robot: Share of the mask's pixels that are on the robot.
    """

    cluster: Cluster | None
    solid: float
    robot: float


class MaskReader:
    """Reads any number of masks on one frame.

    Args:
        frame: Colour and depth.
        robot: The arm at that moment.
        options: Table region, heights and the smallest thing.
        robot_filter: Of another arm than the one in ``urdf/``.
    """

    def __init__(
        self,
        frame: RgbdFrame,
        robot: RobotState,
        options: ClusterOptions,
        robot_filter: RobotFilter | None = None,
    ) -> None:
        self._frame, self._robot, self._options = frame, robot, options
        self._filter = robot_filter or default_filter()
        self._cloud = cloud_of(frame)
        self._height = height_over_table(self._cloud, options)
        self._table = over_table(self._cloud, options)
        self._limit = max(1, round(options.min_pixels * frame.depth.size / (320 * 240)))

    def read(self, mask: NDArray[np.bool_]) -> Reading:
        """What ``(H, W)`` `mask` shows."""
        pixels = np.flatnonzero(mask)
        total = max(1, len(pixels))
        cloud = self._cloud.reshape(3, -1)
        pixels = pixels[np.isfinite(cloud[2, pixels])]
        own = self._filter.mask(cloud[:, pixels].T, self._robot)
        robot = float(own.sum()) / total
        pixels = self._standing(pixels[~own], mask.shape)
        solid = len(pixels) / total
        if len(pixels) < self._limit:
            return Reading(None, solid, robot)
        found = describe(self._frame, self._cloud, self._height, pixels, self._options)
        return Reading(found, solid, robot)

    def _standing(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
        """Without the table around a thing that stands, and without specks."""
        options = self._options
        pixels = pixels[self._table.reshape(-1)[pixels]]
        height = self._height.reshape(-1)[pixels]
        raised = (height > options.min_height) & (height < options.z_max)
        flat = np.abs(height) <= options.min_height
        # What is painted on the table has no raised pixels but the few that are noise.
        pixels = pixels[raised if raised.sum() >= 0.3 * max(1, flat.sum()) else flat]
        image = np.zeros(shape, np.uint8)
        image.reshape(-1)[pixels] = 1
        _, labels = cv2.connectedComponents(image, connectivity=8, ltype=cv2.CV_32S)
        parts = labels.reshape(-1)[pixels]
        sizes = np.bincount(parts, minlength=1)
        return pixels[sizes[parts] >= _SPECK * sizes.max()]
