"""An action chunk as a smooth function of time."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from hierarchy_nodes.geometry import slerp
from hierarchy_nodes.types import ActionChunk, Array, Pose


class ChunkTrajectory:
    """Poses and gripper opening of a chunk at any time.

    Positions are the chunk's polyline averaged over `window` seconds, which rounds its corners
    evenly (a turn by dv is cut by ``|dv| * window / 8``) and needs an acceleration of no more than
    ``|dv| / window``. Orientations are slerped. Before its first point and after its last one the
    chunk stands still.

    Args:
        chunk: Checked.
        window: Seconds.
        start: Where the tool and gripper are at time `begin`, used if the chunk begins later.
        begin: Seconds after the chunk's stamp.
    """

    def __init__(
        self,
        chunk: ActionChunk,
        window: float = 0.0,
        start: tuple[Pose, float] | None = None,
        begin: float = 0.0,
    ) -> None:
        times, positions = chunk.times, chunk.positions
        quaternions, gripper = chunk.quaternions, chunk.gripper
        if start is not None and begin < times[0]:
            pose, opening = start
            times = np.concatenate([[begin], times])
            positions = np.vstack([pose.position, positions])
            quaternions = np.vstack([pose.quaternion, quaternions])
            gripper = np.concatenate([[opening], gripper])
        self.plan_id = chunk.plan_id
        self.end = float(times[-1])
        self._times = times.tolist()
        self._window = window
        self._gripper = gripper.tolist()
        steps = np.diff(times)[:, None]
        areas = (positions[1:] + positions[:-1]) / 2 * steps
        # Lists of rows, because sampling takes single ones.
        self._positions, self._quaternions = list(positions), list(quaternions)
        self._slopes = list(np.diff(positions, axis=0) / steps)
        self._integrals = [np.zeros(3), *np.cumsum(areas, axis=0)]

    def sample(self, time: float) -> tuple[Pose, float]:
        """Pose and gripper opening `time` seconds after the chunk's stamp."""
        half = self._window / 2
        if half > 0:
            area = self._integral(time + half) - self._integral(time - half)
            position = area / self._window
            quaternion = _middle(
                self._orientation(time - half / 2), self._orientation(time + half / 2)
            )
        else:
            position, quaternion = self._position(time), self._orientation(time)
        return Pose(position, quaternion), self._opening(time)

    def _segment(self, time: float) -> tuple[int, float]:
        """Index of the point before `time` (clamped), and seconds since it."""
        if time <= self._times[0]:
            return 0, 0.0
        if time >= self.end:
            return len(self._times) - 1, 0.0
        index = bisect_right(self._times, time) - 1
        return index, time - self._times[index]

    def _position(self, time: float) -> Array:
        index, since = self._segment(time)
        if since == 0.0:
            return self._positions[index]
        return self._positions[index] + since * self._slopes[index]

    def _integral(self, time: float) -> Array:
        index, since = self._segment(time)
        if since == 0.0:
            # The chunk stands still outside its times, where the integral goes on.
            outside = time - self._times[index]
            return self._integrals[index] + outside * self._positions[index]
        here = self._positions[index] + (since / 2) * self._slopes[index]
        return self._integrals[index] + since * here

    def _fraction(self, time: float) -> tuple[int, float]:
        index, since = self._segment(time)
        if since == 0.0:
            return index, 0.0
        return index, since / (self._times[index + 1] - self._times[index])

    def _orientation(self, time: float) -> Array:
        index, fraction = self._fraction(time)
        if fraction == 0.0:
            return self._quaternions[index]
        return slerp(self._quaternions[index], self._quaternions[index + 1], fraction)

    def _opening(self, time: float) -> float:
        index, fraction = self._fraction(time)
        if fraction == 0.0:
            return self._gripper[index]
        return (1 - fraction) * self._gripper[index] + fraction * self._gripper[index + 1]


def _middle(first: Array, second: Array) -> Array:
    """Halfway between two orientations: there the normalised sum is the slerp."""
    if first is second:
        return first
    total = first + second if float(first @ second) >= 0 else first - second
    return total / math.sqrt(float(total @ total))
