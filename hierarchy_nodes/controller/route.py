"""Progress along a list of waypoints: the line to the next stop, and how it bends on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hierarchy_nodes.controller.lifting import Waypoint
from hierarchy_nodes.controller.line import Line
from hierarchy_nodes.types import Array, Gripper, Interaction, Pose, Role

# Commanded ahead of measured by at most this, metres: lag neither accumulates nor slows the arm.
LEAD = 0.06
# Farther from the line than this, metres: begin anew from where the tool is.
OFF_LINE = 0.06
_BRAKING = 2.0
_SLOW_PHASES = (str(Interaction.PUSH), str(Interaction.CLOSE), "pull")


@dataclass(frozen=True)
class Speeds:
    """Metres per second (squared), and the slow way before a contact in metres."""

    travel: float
    contact: float
    push: float
    knock: float
    acceleration: float
    contact_zone: float


class Route:
    """Waypoints with a position on the way through them.

    The line in force runs to the next waypoint at which the gripper acts, or to the last one.
    """

    def __init__(self, waypoints: Sequence[Waypoint], speeds: Speeds) -> None:
        self.waypoints = list(waypoints)
        self.line: Line | None = None
        self._speeds = speeds
        self._next = 0
        self._s = self._v = self._passed = 0.0

    @property
    def index(self) -> int:
        """Of the waypoint being approached; the number of waypoints once all are passed."""
        return self._next if self.line is None else self._next + self.line.segment(self._s)

    @property
    def current(self) -> Waypoint | None:
        return self.waypoints[self.index] if self.index < len(self.waypoints) else None

    @property
    def phase(self) -> str:
        return self.current.phase if self.current is not None else ""

    @property
    def finished(self) -> bool:
        return self.line is None and self._next >= len(self.waypoints)

    @property
    def at_end(self) -> bool:
        """Whether the line has been travelled; the tool may lag behind."""
        return self.line is not None and self._s >= self.line.length - 1e-4

    @property
    def progress(self) -> float:
        """In [0, 1], by waypoints."""
        inside = 0.0
        if self.line is not None and self.line.length > 0:
            inside = self._s / self.line.length * (len(self.line.poses) - 1)
        return min(1.0, (self._next + inside) / max(1, len(self.waypoints)))

    def start(self, pose: Pose) -> None:
        """From `pose`, at rest, through the waypoints that remain."""
        self._next = self.index
        self.line = self._make_line(pose) if self._next < len(self.waypoints) else None
        self._s = self._v = self._passed = 0.0

    def arrive(self) -> Waypoint:
        """Leave the line at its end; the waypoint there."""
        assert self.line is not None
        self._next += len(self.line.poses) - 1
        self.line, self._s, self._v = None, 0.0, 0.0
        return self.waypoints[self._next - 1]

    def advance(self, seconds: float, tool: Array) -> tuple[float, float]:
        """Move on; what the tool at ``(3,)`` has really travelled, and its distance from the line.

        The commanded point never runs away from the measured tool by more than `LEAD`.
        """
        assert self.line is not None
        if seconds > 0:
            way, rate = self.line.advance(self._s, self._v, np.array([0.0, seconds]))
            self._s, self._v = float(way[1]), float(rate[1])
        # Never backwards: a line that returns the way it came would be mistaken for its way there.
        window = min(self._s - self._passed, 0.15)
        measured, error = self.line.nearest(tool, self._s, window)
        self._passed = max(self._passed, measured)
        if self._s > measured + LEAD:
            self._s, self._v = measured + LEAD, self._v * 0.5
        return measured, error

    def ahead(self, times: Array) -> list[Pose]:
        """The poses at `times` (N seconds from now)."""
        assert self.line is not None
        return [self.line.pose(s) for s in self.line.advance(self._s, self._v, times)[0]]

    def brake(self, times: Array, elapsed: float) -> list[Pose]:
        """The poses at `times` of coming to rest along the line; call once a tick of `elapsed`."""
        assert self.line is not None
        rate = _BRAKING * self._speeds.acceleration
        before = self._v
        self._v = max(0.0, self._v - rate * elapsed)
        self._s = min(self._s + (before + self._v) / 2 * elapsed, self.line.length)
        moving = np.minimum(times, self._v / rate)
        return [self.line.pose(self._s + self._v * t - rate * t**2 / 2) for t in moving]

    def shift(self, role: Role, offset: Array) -> None:
        """A thing has moved: move what is anchored to it, and what goes with that."""
        first = self.index
        last = self._group_end(first)
        for i in range(first, len(self.waypoints)):
            if i <= last or self.waypoints[i].anchor == role:
                self.waypoints[i] = self.waypoints[i].moved(offset)
        self._bend(first)

    def correct(self, offset: Array, rotation: float) -> None:
        """A person's displacement also holds for the rest of what is being done.

        Up and down are kept for a contact point only when spoken on the way down to it: "higher"
        during the approach means the way, not the grasp.
        """
        first = self.index
        near = self.current is not None and self.current.contact
        turn = euler2quat(0.0, 0.0, rotation)
        for i in range(first, min(self._group_end(first) + 1, len(self.waypoints))):
            waypoint = self.waypoints[i]
            if waypoint.phase == "retreat":
                break
            rise = offset[2] if near or not waypoint.contact else 0.0
            moved = waypoint.moved(np.array([offset[0], offset[1], rise]))
            quaternion = quaternions.qmult(moved.pose.quaternion, turn)
            self.waypoints[i] = replace(moved, pose=Pose(moved.pose.position, quaternion))

    def _group_end(self, first: int) -> int:
        """Last waypoint that goes with the next gripper event: it, and those straight above it."""
        points = self.waypoints
        events = (i for i in range(first, len(points)) if points[i].gripper != Gripper.KEEP)
        event = next(events, None)
        if event is None:
            return max((i for i, w in enumerate(points) if w.phase != "retreat"), default=first)
        at = points[event].pose.position
        end = event
        while end + 1 < len(points):
            if np.linalg.norm((points[end + 1].pose.position - at)[:2]) > 0.01:
                break
            end += 1
        return end

    def _bend(self, index: int) -> None:
        """The line again after its points moved, keeping the speed that points the new way."""
        if self.line is None:
            return
        start, before, speed = self.line.pose(self._s), self.line.direction(self._s), self._v
        self._next, self._s, self._passed = index, 0.0, 0.0
        self.line = self._make_line(start)
        self._v = speed * max(0.0, float(before @ self.line.direction(0.0)))

    def _make_line(self, start: Pose) -> Line:
        rest = self.waypoints[self._next :]
        events = (i for i, w in enumerate(rest) if w.gripper != Gripper.KEEP)
        ahead = rest[: next(events, len(rest) - 1) + 1]
        speeds, slow = [], []
        for waypoint in ahead:
            fast = waypoint.phase == str(Interaction.KNOCK)
            pushing = waypoint.phase in _SLOW_PHASES
            s = self._speeds
            speeds.append(s.knock if fast else s.push if pushing else s.travel)
            slow.append((s.contact_zone if waypoint.contact and not fast else 0.0, s.contact))
        poses = [start, *(w.pose for w in ahead)]
        return Line(poses, speeds, slow, self._speeds.acceleration)
