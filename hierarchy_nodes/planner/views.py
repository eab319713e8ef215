"""What one calibrated camera's plan says in another one, and what two of them say together.

A point with a depth is carried across by geometry. A point of a path that was drawn in both images
is triangulated, after Motion Tracks (Ren et al. 2025), where a network draws both: here they are
drawn apart, so that points that belong together are found by the epipolar constraint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hierarchy_nodes.geometry import deproject, project, ray
from hierarchy_nodes.planner.learned import surface
from hierarchy_nodes.types import (
    Array,
    Gripper,
    PathPoint,
    Plan,
    Prompt,
    RgbdFrame,
    RobotState,
    Role,
)

# Rays of one point that pass each other farther apart than this do not belong together: metres.
MAX_GAP = 0.04
# Where a stretch of a path is looked for points that belong together, and what a difference of the
# whole stretch counts as: metres.
_SAMPLES, _OUT_OF_STEP = 33, 0.05


@dataclass(frozen=True)
class Meeting:
    """Where two rays pass nearest to each other: ``(3,)`` base frame, and their gap, metres."""

    point: Array
    gap: float


def triangulate(
    first: Sequence[float], frame: RgbdFrame, second: Sequence[float], other: RgbdFrame
) -> Meeting | None:
    """The point that is seen at `first` in `frame` and at `second` in `other` (normalised).

    None where the rays are parallel or meet behind a camera.
    """
    a, b = frame.camera_pose.position, other.camera_pose.position
    u = ray(first[0], first[1], frame.intrinsics, frame.camera_pose)
    v = ray(second[0], second[1], other.intrinsics, other.camera_pose)
    square = np.array([[u @ u, -(u @ v)], [u @ v, -(v @ v)]])
    if abs(np.linalg.det(square)) < 1e-9:
        return None
    s, t = np.linalg.solve(square, [u @ (b - a), v @ (b - a)])
    if s <= 0 or t <= 0:
        return None
    here, there = a + s * u, b + t * v
    return Meeting((here + there) / 2, float(np.linalg.norm(here - there)))


def carry(point: PathPoint, frame: RgbdFrame, other: RgbdFrame) -> PathPoint | None:
    """A point of `frame` as `other` sees it; None where its depth is unknown or it is not in view.

    A point without a depth of its own is on what `frame` sees there.
    """
    if math.isfinite(point.depth):
        at: Array | None = deproject(point, frame.intrinsics, frame.camera_pose)
    else:
        at = surface(point.x, point.y, frame)
    seen = _seen(at, other) if at is not None else None
    if seen is None or not (0 <= seen.x <= 1 and 0 <= seen.y <= 1):
        return None
    depth = seen.depth if math.isfinite(point.depth) else math.nan
    return replace(seen, depth=depth, gripper=point.gripper)


def _seen(at: Array, frame: RgbdFrame) -> PathPoint | None:
    """A base-frame point in the image's plane, or outside of it; None behind the camera."""
    pixels, depths = project(at, frame.intrinsics, frame.camera_pose)
    (x, y), depth = pixels[0], float(depths[0])
    return PathPoint(float(x), float(y), depth) if depth > 0 else None


def carry_plan(plan: Plan, frame: RgbdFrame, other: RgbdFrame, robot: RobotState) -> Plan | None:
    """`plan`, which was drawn on `frame`, drawn on `other`.

    None where the tool (the first point), a gripper event, the target or the goal cannot be
    carried; other points are left out.
    """
    path = []
    for index, point in enumerate(plan.path):
        carried = carry(point, frame, other)
        if carried is not None:
            path.append(carried)
        elif index == 0 and (tool := _seen(robot.tool.position, other)) is not None:
            # It is never left out, but may lie on the image's edge.
            x, y = np.clip([tool.x, tool.y], 0.0, 1.0)
            path.append(replace(tool, x=float(x), y=float(y), gripper=point.gripper))
        elif index == 0 or point.gripper != Gripper.KEEP:
            return None
    prompts = []
    for prompt in plan.prompts:
        carried = carry(PathPoint(prompt.x, prompt.y), frame, other)
        if carried is not None:
            prompts.append(Prompt(prompt.role, prompt.label, carried.x, carried.y))
        elif prompt.role != Role.AVOID:
            return None
    return replace(
        plan,
        stamp=other.stamp,
        frame_id=other.frame_id,
        camera_pose=other.camera_pose,
        path=tuple(path),
        prompts=tuple(prompts),
    )


def apart(plan: Plan, frame: RgbdFrame, second: Plan, other: RgbdFrame) -> float:
    """How far two plans' targets and goals are from each other, metres; 0 where nobody knows."""
    most = 0.0
    for prompt in plan.prompts:
        match = next((p for p in second.prompts if p.role == prompt.role), None)
        if match is None or prompt.role == Role.AVOID:
            continue
        here, there = surface(prompt.x, prompt.y, frame), surface(match.x, match.y, other)
        if here is not None and there is not None:
            most = max(most, float(np.linalg.norm(here - there)))
    return most


def deepen(plan: Plan, frame: RgbdFrame, second: Plan, other: RgbdFrame) -> Plan:
    """`plan` with the depths of points in free space that both of two paths show.

    Args:
        plan: Drawn on `frame`.
        second: Of the same movement, drawn on `other`.

    Returns:
        The plan; points with gripper events and such whose rays do not meet are as before. How
        high a thing is grasped is seen in the depth image, see ``controller/lifting.py``.
    """
    stretches, others = _stretches(plan.path), _stretches(second.path)
    if len(stretches) != len(others):
        # They disagree about what is grasped and let go of.
        return plan
    depths: dict[int, float] = {}
    for (start, end), (first, last) in zip(stretches, others, strict=True):
        line = _samples(second.path[first : last + 1])
        shares = _shares(plan.path[start : end + 1])
        for index in range(start + 1, end):
            if plan.path[index].gripper == Gripper.KEEP:
                depth = _depth(plan.path[index], float(shares[index - start]), line, frame, other)
                depths[index] = depth
    path = [
        replace(point, depth=depths[i]) if math.isfinite(depths.get(i, math.nan)) else point
        for i, point in enumerate(plan.path)
    ]
    return replace(plan, path=tuple(path))


def _depth(
    point: PathPoint, share: float, line: Array, frame: RgbdFrame, other: RgbdFrame
) -> float:
    """Along the optical axis of `frame`; NaN where nothing in `line` belongs to `point`."""
    best, found = math.inf, math.nan
    for i, pixel in enumerate(line):
        meeting = triangulate((point.x, point.y), frame, pixel, other)
        if meeting is None or meeting.gap > MAX_GAP:
            continue
        cost = meeting.gap + _OUT_OF_STEP * abs(i / (len(line) - 1) - share)
        if cost < best:
            best = cost
            found = float(project(meeting.point, frame.intrinsics, frame.camera_pose)[1][0])
    return found


def _stretches(path: Sequence[PathPoint]) -> list[tuple[int, int]]:
    """First and last index of each part between gripper events."""
    marks = [i for i, p in enumerate(path) if 0 < i < len(path) - 1 and p.gripper != Gripper.KEEP]
    return list(pairwise([0, *marks, len(path) - 1])) if len(path) > 1 else []


def _shares(path: Sequence[PathPoint]) -> Array:
    """How much of the path's length in the image lies before each point."""
    points = np.array([[p.x, p.y] for p in path])
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    return along / max(float(along[-1]), 1e-9)


def _samples(path: Sequence[PathPoint]) -> Array:
    """``(_SAMPLES, 2)`` points spread evenly along a path in the image."""
    shares = _shares(path)
    at = np.linspace(0.0, 1.0, _SAMPLES)
    return np.stack(
        [np.interp(at, shares, [p.x for p in path]), np.interp(at, shares, [p.y for p in path])],
        axis=1,
    )
