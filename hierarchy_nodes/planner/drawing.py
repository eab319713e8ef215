"""Routes as paths in the image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hierarchy_nodes.geometry import project, segment_distance
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.naming import Thing
from hierarchy_nodes.planner.routes import Way
from hierarchy_nodes.types import Array, Gripper, Interaction, PathPoint, Prompt, RgbdFrame, Role

AVOID_DISTANCE, AVOID_MOST = 0.10, 4


def draw_path(
    frame: RgbdFrame, tool: Array, first: Gripper, ways: Sequence[Way]
) -> tuple[PathPoint, ...]:
    """The tool's present place, then `ways`, as image points with depth.

    A point outside the image is drawn back along the way that leads to it until it is inside.
    """
    image, depth = project(np.asarray(tool), frame.intrinsics, frame.camera_pose)
    x, y = np.clip(image[0], 0.0, 1.0)
    path = [PathPoint(float(x), float(y), max(float(depth[0]), 0.01), first)]
    before = np.asarray(tool, dtype=float)
    for way in ways:
        point = way.point
        found = _seen(frame, point)
        if found is None:
            point = _back_inside(frame, before, way.point)
            found = _seen(frame, point)
        if found is not None:
            path.append(PathPoint(*found, way.gripper))
            before = point
    return tuple(path)


def _seen(frame: RgbdFrame, point: Array) -> tuple[float, float, float] | None:
    image, depth = project(point, frame.intrinsics, frame.camera_pose)
    inside = depth[0] > 0 and (image[0] >= 0.0).all() and (image[0] <= 1.0).all()
    return (float(image[0, 0]), float(image[0, 1]), float(depth[0])) if inside else None


def _back_inside(frame: RgbdFrame, start: Array, end: Array) -> Array:
    """The last point in the image on the way from `start` to `end`, to a millimetre."""
    low, high = 0.0, 1.0
    while (high - low) * np.linalg.norm(end - start) > 1e-3:
        middle = (low + high) / 2
        inside = _seen(frame, start + middle * (end - start)) is not None
        low, high = (middle, high) if inside else (low, middle)
    return start + low * (end - start)


def work_end(interaction: Interaction, events: Sequence[Gripper]) -> int:
    """Which path point the work ends at: the last opening or closing, or the end of the push.

    After it the tool only goes away. A path that breaks off before ends at its last point.
    """
    if interaction in (Interaction.PLACE, Interaction.OPEN):
        happen = [i for i, event in enumerate(events) if i and event != Gripper.KEEP]
        return happen[-1] if happen else len(events) - 1
    return min(2 if interaction == Interaction.PRESS else 3, len(events) - 1)


def draw_prompts(
    frame: RgbdFrame,
    target: Thing,
    goal: Thing | None,
    others: Sequence[Thing],
    ways: Sequence[Way],
) -> tuple[Prompt, ...]:
    """Points on the target, the goal, and what stands near the way."""
    prompts = [Prompt(Role.TARGET, target.label, *target.cluster.pixel)]
    if goal is not None:
        prompts.append(Prompt(Role.GOAL, goal.label, *goal.cluster.pixel))
    # The way home leads over everything and is high.
    flat = [w.point[:2] for w in ways[:-1]]
    near = []
    for thing in others:
        pairs = pairwise(flat)
        away = min((segment_distance(thing.position[:2], a, b) for a, b in pairs), default=1.0)
        away -= float(thing.cluster.size[0]) / 2
        if away < AVOID_DISTANCE:
            near.append((away, thing))
    near.sort(key=lambda n: n[0])
    for _, thing in near[:AVOID_MOST]:
        prompts.append(Prompt(Role.AVOID, thing.label, *thing.cluster.pixel))
    return tuple(prompts)


def held_prompt(request: PlanRequest, label: str) -> Prompt | None:
    """A point on what is in the hand, where the tool is; None if that is out of view."""
    at = _seen(request.frame, request.robot.tool.position)
    return Prompt(Role.TARGET, label, *at[:2]) if at is not None else None
