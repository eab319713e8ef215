"""An action chunk as a smooth function of time."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hierarchy_nodes.arm.rotations import rotated, rotation_between
from hierarchy_nodes.types import ActionChunk, Array, Pose

# The tool comes back to the path that it is beside at this speed (m/s and rad/s), within these
# times. What it lags behind is made up for gently, so that it does not dash off from rest; what it
# is ahead is given up at once, so that a blocked arm does not press ever harder.
_RETURN_SPEED = (0.03, 0.2)
_RETURN, _AHEAD, _BEHIND = 0.1, 0.15, 1.0


class Start(NamedTuple):
    """How the arm moves when it takes up a chunk.

    Attributes:
        times: ``(K,)`` seconds after the chunk's stamp: half a window before and after now, and
            what lies between.
        points: ``(K, 6)`` the polyline that it was to go at these times: position, and rotation
            vector from `quaternion` in the base frame.
        quaternion: Of the tool now.
        gripper: Opening now.
    """

    times: Array
    points: Array
    quaternion: Array
    gripper: float

    @property
    def now(self) -> float:
        """Seconds after the chunk's stamp."""
        return float(self.times[0] + self.times[-1]) / 2


class ChunkTrajectory:
    """Poses and gripper opening of a chunk at any time.

    Poses are the chunk's polyline, of positions and of rotation vectors, under a sliding average of
    `window` seconds whose weights are a triangle, which makes them piecewise cubic. Velocity and
    acceleration are continuous: a turn by dv takes ``2 |dv| / window`` of acceleration and
    ``4 |dv| / window**2`` of jerk, and cuts the corner by ``|dv| * window / 12``. Before its first
    point and after its last one the chunk stands still.

    Args:
        chunk: Checked.
        window: Seconds.
        start: The tool goes on as it was to for half a window, and from there to the chunk, so that
            nothing jumps; the gripper goes on from here if the chunk begins later.
    """

    def __init__(self, chunk: ActionChunk, window: float = 0.0, start: Start | None = None) -> None:
        self.plan_id = chunk.plan_id
        self.end = float(chunk.times[-1])
        self._reference = chunk.quaternions[0] if start is None else start.quaternion
        turns = rotation_vectors(chunk.quaternions, self._reference)
        times, points = chunk.times, np.hstack([chunk.positions, turns])
        moments, gripper = times, chunk.gripper
        if start is not None:
            times, points = _joined(times, points, start)
            if start.now < moments[0]:
                moments = np.concatenate([[start.now], moments])
                gripper = np.concatenate([[start.gripper], gripper])
        self._half = window / 2
        self._moments, self._gripper = moments, gripper
        self._times = times.tolist()
        steps = np.diff(times)[:, None]
        slopes = np.diff(points, axis=0) / steps
        areas = np.cumsum((points[1:] + points[:-1]) / 2 * steps, axis=0)
        areas = np.vstack([np.zeros(6), areas])
        second = areas[:-1] * steps + points[:-1] * steps**2 / 2 + slopes * steps**3 / 6
        # Lists of rows, because sampling takes single ones.
        self._points, self._slopes, self._areas = list(points), list(slopes), list(areas)
        self._volumes = [np.zeros(6), *np.cumsum(second, axis=0)]

    def sample(self, time: float) -> tuple[Pose, float]:
        """Pose and gripper opening `time` seconds after the chunk's stamp."""
        half = self._half
        if half > 0:
            sides = self._volume(time - half) + self._volume(time + half)
            point = (sides - 2 * self._volume(time)) / half**2
        else:
            point = self._point(time)
        opening = float(np.interp(time, self._moments, self._gripper))
        return Pose(point[:3], rotated(self._reference, point[3:])), opening

    def polyline(self, begin: float, end: float, reference: Array) -> tuple[Array, Array]:
        """What is averaged, from `begin` to `end`.

        Returns:
            Times ``(K,)`` and ``(K, 6)`` positions and rotation vectors from `reference`.
        """
        times = [begin, *(t for t in self._times if begin < t < end), end]
        points = np.array([self._point(t) for t in times])
        quaternions = np.array([rotated(self._reference, turn) for turn in points[:, 3:]])
        turns = rotation_vectors(quaternions, reference)
        return np.array(times), np.hstack([points[:, :3], turns])

    def _point(self, time: float) -> Array:
        index, since = _segment(self._times, time)
        if since == 0.0:
            return self._points[index]
        return self._points[index] + since * self._slopes[index]

    def _volume(self, time: float) -> Array:
        """Integral of the integral of the points."""
        index, since = _segment(self._times, time)
        # The chunk stands still outside its times, where the integrals go on.
        after = time - self._times[index] if since == 0.0 else since
        result = self._volumes[index] + after * (
            self._areas[index] + (after / 2) * self._points[index]
        )
        return result if since == 0.0 else result + (since**3 / 6) * self._slopes[index]


def rotation_vectors(quaternions: Array, reference: Array) -> Array:
    """``(N, 4)`` orientations as ``(N, 3)`` turns from `reference`, radians, in the base frame.

    The first is the shortest one, and each of the others the nearest to the one before.
    """
    result = np.array([rotation_between(reference, q) for q in quaternions])
    for before, turn in pairwise(result):
        angle = math.sqrt(float(turn @ turn))
        if angle > 1e-6:
            axis = turn / angle
            rounds = round((float(before @ axis) - angle) / math.tau)
            turn += math.tau * rounds * axis
    return result


def _joined(times: Array, points: Array, start: Start) -> tuple[Array, Array]:
    """The polyline of `start`, then the chunk's, beside which it is less and less."""
    leave = float(start.times[-1])
    at = np.array([np.interp(leave, times, column) for column in points.T])
    if leave < times[0] and len(times) > 1:
        # Where the chunk comes from, which is later than its first point is on the way to it.
        at -= (times[0] - leave) * (points[1] - points[0]) / (times[1] - times[0])
    off = start.points[-1] - at
    rate = np.array([np.interp(leave + _RETURN, times, column) for column in points.T]) - at
    returns = [
        max(_duration(off[part], rate[part], speed), float(times[0]) - leave)
        for part, speed in zip((slice(0, 3), slice(3, 6)), _RETURN_SPEED, strict=True)
    ]
    later = np.union1d(times[times > leave + 1e-6], [leave + duration for duration in returns])
    path = np.stack([np.interp(later, times, column) for column in points.T], axis=-1)
    share = np.maximum(0.0, 1 - (later - leave)[:, None] / np.repeat(returns, 3))
    return np.concatenate([start.times, later]), np.vstack([start.points, path + share * off])


def _duration(off: Array, rate: Array, speed: float) -> float:
    """Seconds in which `off` is taken back where the path goes along `rate`."""
    longest = _BEHIND if float(off @ rate) < 0 else _AHEAD
    return min(max(_length(off) / speed, _RETURN), longest)


def _length(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))


def _segment(times: list[float], time: float) -> tuple[int, float]:
    """Index of the point before `time` (clamped), and seconds since it."""
    if time <= times[0]:
        return 0, 0.0
    if time >= times[-1]:
        return len(times) - 1, 0.0
    index = bisect_right(times, time) - 1
    return index, time - times[index]
