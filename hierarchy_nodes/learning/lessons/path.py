"""The path that would have been right: the plan's own, less what a person had to correct of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.controller.diffusion.features import shorten
from hierarchy_nodes.geometry import deproject, on_plane, project
from hierarchy_nodes.learning.lessons.tape import Said, Tape
from hierarchy_nodes.planner.compact.inputs import PATH_POINTS
from hierarchy_nodes.planner.drawing import work_end
from hierarchy_nodes.types import (
    Array,
    CameraIntrinsics,
    CorrectionKind,
    Gripper,
    PathPoint,
    Plan,
    Role,
    Segments,
)

# Points as near to each other as this, seen from above, are one place, metres.
_SAME_PLACE = 0.03
# The tool was at a path point where it came as near as this in the image.
_REACHED = 0.03
# A correction of less than this is no lesson, metres.
_LEAST = 0.004
# A thing let go of is over the goal's top by so much, where nobody saw how high it was, metres.
_OVER = 0.03


@dataclass(frozen=True)
class Run:
    """A plan, and the time in which it was carried out.

    Attributes:
        plan: With a path.
        camera: Of the image that it is drawn on.
        segments: Its masks.
        since, until: When it came, and when another took its place or the task ended.
    """

    plan: Plan
    camera: CameraIntrinsics
    segments: Segments
    since: float
    until: float


def in_space(run: Run, tape: Tape) -> Array:
    """``(n, 3)`` base frame, metres: the points of the plan's path.

    Of a point without depth the height is that at which the tool passed it, else that of the
    thing which is taken or let go of there.
    """
    plan, known = run.plan, []
    way = tape.way(run.since, run.until)
    pixels = project(way, run.camera, plan.camera_pose)[0] if len(way) else np.empty((0, 2))
    first = 0
    for point in plan.path:
        away = np.linalg.norm(pixels[first:] - (point.x, point.y), axis=1)
        passed = first + int(np.argmin(away)) if len(away) and away.min() < _REACHED else None
        if math.isfinite(point.depth):
            known.append(deproject(point, run.camera, plan.camera_pose))
        else:
            height = _height(point, run.segments) if passed is None else float(way[passed, 2])
            known.append(on_plane(point.x, point.y, run.camera, plan.camera_pose, height))
        first = passed if passed is not None else first
    return np.array(known)


def shifts(run: Run, tape: Tape, motions: Sequence[Said]) -> Array:
    """``(n, 3)`` metres: how far each path point was from where the person wanted it.

    A motion is about what comes next: where the thing is taken, or else where the work ends; the
    points straight above go with it. Only what is level counts: how high things are grasped and
    let go of is read off masks and depth, and not drawn.

    Args:
        run: The plan.
        tape: With what the gripper did.
        motions: That were said during the run.
    """
    events = [point.gripper for point in run.plan.path]
    points = in_space(run, tape)
    found = np.zeros_like(points)
    taken = events.index(Gripper.CLOSE, 1) if Gripper.CLOSE in events[1:] else None
    closed = tape.closed(run.since)
    for said in motions:
        motion = said.correction.motion
        assert motion is not None  # Only motions are asked about.
        spot = work_end(run.plan.interaction, events)
        if taken is not None and said.at < closed:
            spot = taken
        offset = motion.direction * motion.distance * (1.0, 1.0, 0.0)
        for place in _beside(points, spot):
            found[place] += offset
    return found


def finished(run: Run, tape: Tape) -> float:
    """When the work of a run was done, and only the way home was left; infinity if it never was."""
    events = [point.gripper for point in run.plan.path]
    end = work_end(run.plan.interaction, events)
    if events[end] == Gripper.OPEN:
        return tape.opened(tape.closed(run.since))
    return tape.reached(in_space(run, tape)[end], _SAME_PLACE, run.since)


def drawn(run: Run, points: Array, start: Array) -> tuple[tuple[float, float, float, float], ...]:
    """``(n, 4)`` x, y, height, event, as planner data has a path; it begins where the tool is.

    Args:
        run: Whose events and camera.
        points: ``(n, 3)`` base frame, metres.
        start: ``(3,)`` of the tool.
    """
    points = np.vstack([start[None], points[1:]])
    pixels, depths = project(points, run.camera, run.plan.camera_pose)
    path = tuple(
        PathPoint(float(x), float(y), float(depth), point.gripper)
        for (x, y), depth, point in zip(
            np.clip(pixels, 0.0, 1.0), depths, run.plan.path, strict=True
        )
    )
    heights = {point: float(z) for point, z in zip(path, points[:, 2], strict=True)}
    return tuple((p.x, p.y, heights[p], float(p.gripper)) for p in shorten(path, PATH_POINTS))


def tells_where(said: Said) -> bool:
    """Whether a correction is a motion that has a length, and is not only up or down."""
    c = said.correction
    if c.kind != CorrectionKind.MOTION or c.motion is None:
        return False
    return bool(np.linalg.norm(c.motion.direction[:2] * c.motion.distance) >= _LEAST)


def _beside(points: Array, spot: int) -> list[int]:
    """`spot`, and its neighbours straight above it; the path's first point never."""
    found = [spot]
    for step in (-1, 1):
        place = spot + step
        while 0 < place < len(points):
            if np.linalg.norm(points[place, :2] - points[spot, :2]) > _SAME_PLACE:
                break
            found.append(place)
            place += step
    return found


def _height(point: PathPoint, segments: Segments) -> float:
    """Where the tool would be, metres, as far as the things' boxes tell."""
    goal, target = segments.role(Role.GOAL), segments.role(Role.TARGET)
    if point.gripper == Gripper.OPEN and goal is not None:
        return float(goal.centroid[2] + goal.size[2] / 2) + _OVER
    if target is not None:
        top = float(target.centroid[2] + target.size[2] / 2)
        return float(target.centroid[2]) if point.gripper == Gripper.CLOSE else top + _OVER
    return _OVER
