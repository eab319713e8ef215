"""What the arm is doing now, in words (RT-H's language motions) and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierarchy_nodes.geometry import beside_segment, deproject
from hierarchy_nodes.types import (
    Array,
    CameraIntrinsics,
    Gripper,
    LanguageMotion,
    Observation,
    Plan,
)

VALID = 0.5
# By how much a gripper that has done something is more open, or less, than before.
_MOVED = 0.06
AXES = (("forward", "backward"), ("left", "right"), ("up", "down"))


class Progress:
    """How far the tool has come along a path, and so where it goes next.

    Args:
        points: ``(3,)`` each, base frame, metres; None where that is not known.
        events: What the gripper does at each.
        near: A point nearer than this, in metres, counts as reached where the gripper has to do
            something; elsewhere 2.5 times that will do.
    """

    def __init__(
        self, points: Sequence[Array | None], events: Sequence[Gripper], near: float = 0.01
    ) -> None:
        self._points, self._events, self._near = points, events, near
        self._next = 1
        # The opening with which the tool came to the next point.
        self._came: float | None = None

    def update(self, tool: Array, opening: float) -> tuple[Array, Gripper] | None:
        """One look at the tool ``(3,)`` and the gripper, opened in [0, 1].

        Returns:
            The way ``(3,)`` to the next point, or what the gripper has to do where the tool is;
            None at the path's end.
        """
        while self._next < len(self._points):
            point, event = self._points[self._next], self._events[self._next]
            if point is not None:
                way = point - tool
                away = float(np.linalg.norm(way))
                if event == Gripper.KEEP:
                    passed = away <= 2.5 * self._near or self._beyond(tool)
                else:
                    if self._came is None and away <= 3 * self._near:
                        self._came = opening
                    passed = self._done(event, opening)
                if not passed:
                    waits = event != Gripper.KEEP and away <= 1.5 * self._near
                    return (np.zeros(3), event) if waits else (way, Gripper.KEEP)
            self._next, self._came = self._next + 1, None
        return None

    def _done(self, event: Gripper, opening: float) -> bool:
        """Whether the gripper has done since it came what it has to do here."""
        if self._came is None:
            return False
        if event == Gripper.CLOSE:
            return opening < max(self._came - _MOVED, _MOVED)
        return opening > min(self._came + _MOVED, 1.0 - _MOVED)

    def _beyond(self, tool: Array) -> bool:
        """Whether the tool is clearly nearer to the way after the next point than to that before.

        On the same way back, as over a button, it never is.
        """
        here = self._points[self._next]
        if here is None or self._next + 1 >= len(self._points):
            return False
        last, then = self._points[self._next - 1], self._points[self._next + 1]
        if last is None or then is None:
            return False
        before, _ = beside_segment(tool, last, here)
        after, share = beside_segment(tool, here, then)
        return share > 0.05 and after + self._near < before


class MotionNamer:
    """Follows the tool along a plan's path and names the motion that comes next.

    Args:
        share: An axis is named if its part of the direction is larger than this.
        near: As of `Progress`.
    """

    def __init__(self, share: float = 0.4, near: float = 0.01) -> None:
        self._share, self._near = share, near
        self._plan_id = ""
        self._progress = Progress([], [])

    def follow(self, plan: Plan, points: Sequence[Array | None]) -> None:
        """Name motions of `plan`, whose path has these points in space, from now on."""
        self._plan_id = plan.plan_id
        self._progress = Progress(points, [p.gripper for p in plan.path], self._near)

    def motion(self, observation: Observation) -> LanguageMotion | None:
        """None where there is no plan, no camera yet, or nothing left to do."""
        plan, frame = observation.plan, observation.frame
        if frame is None or len(plan.path) < 2:
            return None
        if plan.plan_id != self._plan_id:
            self.follow(plan, path_points(plan, frame.intrinsics))
        robot = observation.robot
        found = self._progress.update(robot.tool.position, robot.gripper)
        if found is None:
            return None
        way, event = found
        if event == Gripper.KEEP:
            words = direction_words(way, self._share)
        else:
            words = "close gripper" if event == Gripper.CLOSE else "open gripper"
        return _say(observation.now, words, way, event)


def path_points(plan: Plan, camera: CameraIntrinsics) -> list[Array | None]:
    """Base-frame points ``(3,)`` of the path; None for those without a depth."""
    return [
        deproject(p, camera, plan.camera_pose) if np.isfinite(p.depth) else None for p in plan.path
    ]


def direction_words(way: Array, share: float = 0.4) -> str:
    """ "move arm forward and down": the axes with more than `share` of the way, longest first."""
    length = float(np.linalg.norm(way))
    if length < 1e-6:
        return "hold arm"
    parts = np.asarray(way) / length
    order = np.argsort(-np.abs(parts))
    named = [AXES[i][0 if parts[i] > 0 else 1] for i in order if abs(parts[i]) > share]
    return "move arm " + " and ".join(named)


def _say(now: float, text: str, way: Array, gripper: Gripper = Gripper.KEEP) -> LanguageMotion:
    length = float(np.linalg.norm(way))
    return LanguageMotion(
        stamp=now,
        text=text,
        direction=way / length if length > 1e-9 else np.zeros(3),
        distance=length,
        gripper=gripper,
        valid_until=now + VALID,
        source="planner",
    )
