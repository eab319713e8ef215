"""Where to put things down, how high to travel, which way to push."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import segment_distance
from hierarchy_nodes.planner.checking import HOLLOW, Memory
from hierarchy_nodes.planner.language import Instruction
from hierarchy_nodes.planner.naming import Thing
from hierarchy_nodes.planner.routes import RouteOptions, Way, half_extent
from hierarchy_nodes.types import Array, Gripper

DIRECTIONS = {
    "left": np.array([0.0, 1.0]),
    "right": np.array([0.0, -1.0]),
    "forward": np.array([1.0, 0.0]),
    "front": np.array([1.0, 0.0]),
    "back": np.array([-1.0, 0.0]),
    "behind": np.array([-1.0, 0.0]),
}
AREA = ((0.30, 0.68), (-0.34, 0.34))
HAND_HEIGHT = 0.40  # higher than this there is nothing to hit
# Something lies in a container if it rises so far over its bottom, metres, in so many pixels.
_RAISED, _NOISE = 0.015, 6


def underside(thing: Thing, things: Sequence[Thing]) -> float:
    """Height that `thing` stands at: 0 unless something is seen below it (a ball's is hidden)."""
    below = [
        t.top
        for t in things
        if t is not thing
        and t.top < thing.position[2]
        and np.linalg.norm(t.position[:2] - thing.position[:2]) < t.cluster.size[1] / 2
        and t.shape not in HOLLOW
    ]
    if below:
        return max(below)
    # Low enough to stand on the table or in a bowl.
    return 0.0 if thing.bottom < 0.035 else thing.bottom


def travel_height(
    points: Sequence[Array], others: Sequence[Thing], hanging: float, least: float
) -> float:
    """Height of the tool that clears all `others` along the straight way through `points`.

    Args:
        points: ``(3,)`` or ``(2,)`` corners of the way.
        others: What is not to be touched.
        hanging: How far the held thing reaches below the tool, metres.
        least: Lower is never returned.
    """
    height = least
    ends = [np.asarray(p, dtype=float)[:2] for p in points]
    pairs = list(pairwise(ends)) or [(ends[0], ends[0])]
    for thing in others:
        radius = float(np.linalg.norm(thing.cluster.size[:2])) / 2 + 0.06
        if any(segment_distance(thing.position[:2], a, b) < radius for a, b in pairs):
            height = max(height, thing.top + hanging + 0.03)
    return min(height, HAND_HEIGHT)


def surface(goal: Thing) -> float:
    """Height of what a thing put on or in `goal` will rest on."""
    points = goal.cluster.points
    radius = 0.5 * float(goal.cluster.size[1])
    near = points[np.linalg.norm(points[:, :2] - goal.position[:2], axis=1) < 0.7 * radius]
    if goal.shape in HOLLOW and len(near) > 5:
        return max(0.0, float(np.percentile(near[:, 2], 25)))
    return goal.top


def release_spot(
    step: Instruction,
    target: Thing,
    goal: Thing | None,
    others: Sequence[Thing],
    origin: Array | None,
    options: RouteOptions,
) -> Array:
    """``(3,)`` where the underside of the target's middle shall be."""
    if step.relation == "back" and origin is not None:
        return np.array([*origin[:2], 0.0])
    if goal is not None and step.relation in ("on", "in", "to") and not _beside(step, goal):
        return inside(target, goal, others, step.target.every)
    if goal is not None:
        return _free_near(target, goal.position, half_size(goal), step.relation, [*others, goal])
    if step.direction:
        way = DIRECTIONS[step.direction] * (step.distance or options.move_distance)
        spot = target.position[:2] + way
        _check_free(spot, target, others)
        return np.array([*spot, 0.0])
    return _free_near(target, target.position, 0.0, "beside", others)


def _beside(step: Instruction, goal: Thing) -> bool:
    """ "to the plate" means onto it, "to the block" beside it."""
    return step.relation == "to" and goal.cluster.size[1] < 0.09 and goal.shape not in HOLLOW


def half_size(thing: Thing) -> float:
    """Radius of the circle round the footprint."""
    length, width, _ = thing.cluster.size
    round_things = ("cylinder", "ball", "plate", "bowl", "zone", "cup", "bottle")
    return float(length / 2 if thing.shape in round_things else np.hypot(length, width) / 2)


def inside(target: Thing, goal: Thing, others: Sequence[Thing], more: bool) -> Array:
    """``(3,)`` the middle of the goal, or where it is still free; if full, on the lowest things.

    What lies there counts whether it was told from the goal or, being of its colour, was not.

    Args:
        more: Others are to follow: the first ones go to the rim, where they leave room.
    """
    base = surface(goal)
    middle = goal.position[:2]
    need = half_size(target)
    room = max(0.0, float(goal.cluster.size[1]) / 2 - 0.015 - need)
    angles = np.arange(12) * np.pi / 6
    ring = [middle + room * np.array([np.cos(a), np.sin(a)]) for a in angles] if room else []
    there = [t for t in others if np.linalg.norm(t.position[:2] - middle) < half_size(goal)]
    # Within the walls, if it has any.
    points = goal.cluster.points[goal.cluster.points[:, 2] > base + _RAISED]
    points = points[np.linalg.norm(points[:, :2] - middle, axis=1) < room + 0.8 * need]

    def gap(spot: Array, thing: Thing) -> float:
        away = float(np.linalg.norm(thing.position[:2] - spot))
        return away - half_size(thing) - need

    def under(spot: Array) -> Array:
        """Heights of the goal's own points below the target."""
        return points[np.linalg.norm(points[:, :2] - spot, axis=1) < need, 2]

    spots = [*ring, middle] if more else [middle, *ring]
    for spot in spots:
        if all(gap(spot, t) > 0.012 for t in there) and len(under(spot)) < _NOISE:
            return np.array([*spot, base])

    def support(spot: Array) -> tuple[float, float]:
        tops = [t.top for t in there if gap(spot, t) < 0.0]
        known = under(spot)
        if len(known) >= _NOISE:
            tops.append(float(known.max()))
        return max([base, *tops]), len(known) - 100 * min((gap(spot, t) for t in there), default=0)

    best = min(spots, key=support)
    return np.array([*best, support(best)[0]])


def _is_free(spot: Array, target: Thing, others: Sequence[Thing]) -> bool:
    (x_low, x_high), (y_low, y_high) = AREA
    if not (x_low < spot[0] < x_high and y_low < spot[1] < y_high):
        return False
    need = half_size(target) + 0.015
    return all(np.linalg.norm(t.position[:2] - spot) > half_size(t) + need for t in others)


def _check_free(spot: Array, target: Thing, others: Sequence[Thing]) -> None:
    if not _is_free(spot, target, others):
        raise PlanningError(
            ErrorCode.OUT_OF_REACH,
            f"There is no room for the {target.label} at ({spot[0]:.2f}, {spot[1]:.2f}) m.",
        )


def _free_near(
    target: Thing, at: Array, radius: float, relation: str, others: Sequence[Thing]
) -> Array:
    """The free spot on the table nearest to the target, beside `at` in the asked direction."""
    found: list[tuple[float, Array]] = []
    for extra in (0.03, 0.05, 0.08, 0.12):
        away = radius + half_size(target) + extra
        for angle in np.arange(16) * np.pi / 8:
            way = np.array([np.cos(angle), np.sin(angle)])
            if relation in DIRECTIONS and way @ DIRECTIONS[relation] < 0.9:
                continue
            spot = at[:2] + way * away
            if _is_free(spot, target, others):
                cost = float(np.linalg.norm(spot - target.position[:2])) + 3 * extra
                found.append((cost, spot))
    if not found:
        raise PlanningError(
            ErrorCode.OUT_OF_REACH, f"There is no room for the {target.label} there."
        )
    best = min(found, key=lambda f: f[0])[1]
    return np.array([*best, 0.0])


def push_way(
    step: Instruction, target: Thing, goal: Thing | None, options: RouteOptions
) -> tuple[Array, float]:
    """Horizontal unit vector ``(2,)`` and distance in metres of a push.

    Raises:
        PlanningError: OUT_OF_REACH where the target is already at the goal.
    """
    if goal is None:
        return DIRECTIONS[step.direction or "forward"], step.distance or options.push_distance
    way = goal.position[:2] - target.position[:2]
    away = float(np.linalg.norm(way))
    if away < 0.01:
        raise PlanningError(
            ErrorCode.PLAN_REJECTED, f"The {target.label} is already at the {goal.label}."
        )
    direction = way / away
    flat = goal.top < 0.02 or goal.shape in ("zone", "plate")
    if not flat:
        away -= half_extent(target, direction) + half_extent(goal, direction) + 0.005
    return direction, min(max(away, 0.02), step.distance or np.inf)


def grasp_offset(
    ways: Sequence[Way], target: Thing, things: Sequence[Thing], held: Memory | None
) -> float:
    """Height of the tool over the underside of the thing that `ways` take hold of, metres."""
    closing = next((w for w in ways if w.gripper == Gripper.CLOSE), None)
    if closing is None:
        return held.offset if held else 0.0
    return float(closing.point[2] - underside(target, things))
