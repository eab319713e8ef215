"""A polyline of tool poses with a speed profile: where to be, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierarchy_nodes.geometry import angle_between, slerp
from hierarchy_nodes.types import Array, Pose

# Metres of path that a radian of turning counts as: 0.25 m/s of travel allows 1.25 rad/s.
METRES_PER_RADIAN = 0.2
# Speed is never planned below this before the end, so that a sharp corner is passed at last.
CRAWL = 0.02
_STEP = 0.002
_TICK = 0.005


class Line:
    """Straight segments between poses, passed at trapezoidal speed, ending at rest.

    Lengths are metres of travel, or of turning where that takes longer (`METRES_PER_RADIAN`).

    Args:
        poses: K + 1 poses, K >= 1; consecutive ones may coincide.
        speeds: K speed limits, metres per second.
        slow: K pairs (metres before the segment's end, speed there); (0, anything) for none.
        acceleration: m/s^2, of speeding up and of slowing down.
    """

    def __init__(
        self,
        poses: Sequence[Pose],
        speeds: Sequence[float],
        slow: Sequence[tuple[float, float]],
        acceleration: float,
    ) -> None:
        self.poses = list(poses)
        self.acceleration = acceleration
        self._points = np.array([p.position for p in poses])
        steps = np.diff(self._points, axis=0)
        turns = [
            angle_between(a.quaternion, b.quaternion)
            for a, b in zip(self.poses, self.poses[1:], strict=False)
        ]
        travel = np.linalg.norm(steps, axis=1)
        lengths = np.maximum(travel, METRES_PER_RADIAN * np.array(turns))
        self.marks = np.concatenate([[0.0], np.cumsum(lengths)])
        self._directions = steps / np.maximum(travel, 1e-9)[:, None]
        self._limit = self._speed_limit(np.asarray(speeds, dtype=float), slow, travel)

    @property
    def length(self) -> float:
        return float(self.marks[-1])

    def segment(self, s: float) -> int:
        """Index of the segment on which `s` lies; the later one at a corner."""
        index = int(np.searchsorted(self.marks, s + 1e-6, side="right")) - 1
        return min(max(index, 0), len(self.marks) - 2)

    def pose(self, s: float) -> Pose:
        """The pose at `s` metres from the start."""
        index = self.segment(s)
        span = self.marks[index + 1] - self.marks[index]
        fraction = 1.0 if span < 1e-9 else min(1.0, max(0.0, (s - self.marks[index]) / span))
        start, end = self.poses[index], self.poses[index + 1]
        position = start.position + fraction * (end.position - start.position)
        return Pose(position, slerp(start.quaternion, end.quaternion, fraction))

    def direction(self, s: float) -> Array:
        """Unit direction of travel ``(3,)`` at `s`; zeros where the tool only turns."""
        return self._directions[self.segment(s)]

    def advance(self, s: float, speed: float, times: Array) -> tuple[Array, Array]:
        """Distance and speed ``(N,)`` each at `times` (increasing, from 0), from `s` at `speed`."""
        grid = np.arange(0.0, float(times[-1]) + 2 * _TICK, _TICK)
        distance, rate = np.empty(len(grid)), np.empty(len(grid))
        change = self.acceleration * _TICK
        last = len(self._limit) - 1
        for i in range(len(grid)):
            distance[i], rate[i] = s, speed
            allowed = self._limit[min(int(s / _STEP), last)] if s < self.length else 0.0
            # Faster than the profile (a line rebuilt on the move): brake at twice the usual rate.
            speed = min(max(allowed, speed - 2 * change), speed + change)
            s = min(s + speed * _TICK, self.length)
        return np.interp(times, grid, distance), np.interp(times, grid, rate)

    def nearest(self, position: Array, around: float, window: float) -> tuple[float, float]:
        """The `s` in ``[around - window, around]`` nearest to `position`, and the distance."""
        low, best, best_distance = max(0.0, around - window), around, np.inf
        for index in range(len(self.marks) - 1):
            start, end = self.marks[index], self.marks[index + 1]
            if end < low or start > around:
                continue
            a, b = self._points[index], self._points[index + 1]
            square = float((b - a) @ (b - a))
            fraction = 1.0 if square < 1e-12 else float((position - a) @ (b - a)) / square
            span = max(end - start, 1e-9)
            floor, ceiling = max(0.0, (low - start) / span), min(1.0, (around - start) / span)
            fraction = min(max(fraction, floor), ceiling)
            distance = float(np.linalg.norm(a + fraction * (b - a) - position))
            if distance <= best_distance:
                best, best_distance = start + fraction * span, distance
        return float(best), best_distance

    def _speed_limit(
        self, speeds: Array, slow: Sequence[tuple[float, float]], travel: Array
    ) -> Array:
        """Greatest speed at each `_STEP` from which every later limit can still be kept."""
        grid = np.arange(0.0, self.length + 2 * _STEP, _STEP)
        cap = np.full(len(grid), CRAWL)
        for index, speed in enumerate(speeds):
            start, end = self.marks[index], self.marks[index + 1]
            inside = (grid >= start) & (grid < end)
            zone, slow_speed = slow[index]
            near = grid >= end - zone if zone > 0 else np.zeros(len(grid), dtype=bool)
            cap[inside] = np.where(near, min(speed, slow_speed), speed)[inside]
            if index > 0 and min(travel[index - 1], travel[index]) > 1e-6:
                # cos(turn) of the speed survives a corner; a right angle is passed at a crawl.
                along = float(self._directions[index - 1] @ self._directions[index])
                corner = max(CRAWL, speed * along) if along < 0.995 else speed
                cap[min(int(start / _STEP), len(grid) - 1)] = corner
        cap[grid >= self.length - _STEP] = CRAWL
        energy = cap**2 + 2 * self.acceleration * grid
        ahead = np.minimum.accumulate(energy[::-1])[::-1] - 2 * self.acceleration * grid
        return np.sqrt(np.maximum(ahead, CRAWL**2))
