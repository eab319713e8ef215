"""What the arm is doing now, in words (RT-H's language motions) and numbers."""

from __future__ import annotations

import numpy as np

from hierarchy_nodes.geometry import ray
from hierarchy_nodes.types import (
    Array,
    CameraIntrinsics,
    Gripper,
    LanguageMotion,
    Observation,
    PathPoint,
    Plan,
)

VALID = 0.5
AXES = (("forward", "backward"), ("left", "right"), ("up", "down"))


class MotionNamer:
    """Follows the tool along a plan's path and names the motion that comes next.

    Args:
        share: An axis is named if its part of the direction is larger than this.
        near: A point nearer than this, in metres, counts as reached.
    """

    def __init__(self, share: float = 0.4, near: float = 0.01) -> None:
        self._share, self._near = share, near
        self._plan_id = ""
        self._next = 0

    def motion(self, observation: Observation) -> LanguageMotion | None:
        """None where there is no plan, no camera yet, or nothing left to do."""
        plan, frame = observation.plan, observation.frame
        if frame is None or len(plan.path) < 2:
            return None
        if plan.plan_id != self._plan_id:
            self._plan_id, self._next = plan.plan_id, 1
        points = path_points(plan, frame.intrinsics)
        tool, gripper = observation.robot.tool.position, observation.robot.gripper
        while self._next < len(points):
            point, event = points[self._next], plan.path[self._next].gripper
            away = float(np.linalg.norm(point - tool)) if point is not None else 0.0
            reach = self._near if event != Gripper.KEEP else 2.5 * self._near
            waiting = (event == Gripper.CLOSE and gripper > 0.9) or (
                event == Gripper.OPEN and gripper < 0.5
            )
            # The way to a grasp is often the way back up: who still has to close is not past it.
            passed = not waiting and self._passed(points, tool)
            if point is not None and away > reach and not passed:
                way = point - tool
                return _say(observation.now, direction_words(way, self._share), way)
            if point is not None and waiting:
                words = "close gripper" if event == Gripper.CLOSE else "open gripper"
                return _say(observation.now, words, np.zeros(3), event)
            self._next += 1
        return None

    def _passed(self, points: list[Array | None], tool: Array) -> bool:
        """Whether the tool is already on the leg after the next point."""
        if self._next + 1 >= len(points):
            return False
        here, there = points[self._next], points[self._next + 1]
        if here is None or there is None:
            return False
        leg = there - here
        length = float(leg @ leg)
        share = float((tool - here) @ leg) / length if length > 1e-9 else 0.0
        aside = float(np.linalg.norm(tool - here - share * leg))
        return 0.05 < share <= 1.0 and aside < 1.5 * self._near


def path_points(plan: Plan, camera: CameraIntrinsics) -> list[Array | None]:
    """Base-frame points ``(3,)`` of the path; None for those without a depth."""
    return [_lift(p, plan, camera) for p in plan.path]


def _lift(point: PathPoint, plan: Plan, camera: CameraIntrinsics) -> Array | None:
    if not np.isfinite(point.depth):
        return None
    return plan.camera_pose.position + point.depth * ray(point.x, point.y, camera, plan.camera_pose)


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
