"""Where the tool goes for each interaction: 3D points in the base frame with gripper events.

Each function returns the points after the first one (where the tool is now); the table in
README.md lists them. The tool frame is at the very ends of the fingers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.geometry import segment_distance
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.naming import Thing
from hierarchy_nodes.planner.parts import board
from hierarchy_nodes.types import Array, Gripper

FINGER = 0.012  # half of the closed fingers' width, metres


@dataclass(frozen=True)
class RouteOptions:
    """Distances of the classical planner's paths."""

    plan_lifetime: float = param(60.0, "A plan is valid for so long", unit="s", low=1.0, high=600.0)
    approach: float = param(0.10, "Height above a grasp or release", unit="m", low=0.02, high=0.3)
    lift: float = param(0.12, "Height to lift a thing by", unit="m", low=0.02, high=0.3)
    grasp_depth: float = param(
        0.03, "How far the fingers reach over a thing's top", unit="m", low=0.005, high=0.08
    )
    clearance: float = param(
        0.008, "Least height of the finger tips over the table", unit="m", low=0.0, high=0.05
    )
    max_width: float = param(0.074, "Widest thing to grasp", unit="m", low=0.01, high=0.3)
    push_distance: float = param(
        0.12, "Push where nobody named a distance", unit="m", low=0.02, high=0.4
    )
    move_distance: float = param(
        0.10, "Move where nobody named a distance", unit="m", low=0.02, high=0.4
    )
    press_depth: float = param(0.012, "How far a button is pressed", unit="m", low=0.0, high=0.03)
    pull: float = param(0.115, "How far a drawer is pulled open", unit="m", low=0.02, high=0.4)
    home_x: float = param(0.35, "Where the tool goes in the end", unit="m", low=0.1, high=1.0)
    home_z: float = param(0.40, "Where the tool goes in the end", unit="m", low=0.1, high=1.0)
    reach: float = param(0.80, "Farthest the tool goes from the base", unit="m", low=0.2, high=2.0)
    reach_min: float = param(0.20, "Nearest the tool goes to the base", unit="m", low=0.0, high=1.0)
    motion_share: float = param(
        0.4, "A direction is named if its share is larger than this", low=0.1, high=0.9
    )
    motion_distance: float = param(
        0.01, "Shorter ways are not named", unit="m", low=0.001, high=0.1
    )


@dataclass(frozen=True)
class Way:
    """One point of a route: ``(3,)`` base frame, metres, and what the gripper does there."""

    point: Array
    gripper: Gripper = Gripper.KEEP


@dataclass(frozen=True)
class Grasp:
    """Where a thing is held: the tool's position, and how high that is above its underside."""

    point: Array
    offset: float


def half_extent(thing: Thing, direction: Array) -> float:
    """Half of the thing's box along the horizontal unit vector `direction`, metres."""
    length, width, _ = thing.cluster.size
    cos, sin = np.cos(thing.cluster.yaw), np.sin(thing.cluster.yaw)
    along = direction[0] * cos + direction[1] * sin
    across = direction[1] * cos - direction[0] * sin
    return float(abs(along) * length / 2 + abs(across) * width / 2)


def grasp_of(thing: Thing, underside: float, options: RouteOptions) -> Grasp:
    """The tool's pose for grasping `thing`, which stands at height `underside`."""
    depth = min(options.grasp_depth, 0.7 * (thing.top - underside))
    z = max(thing.top - depth, underside + options.clearance)
    return Grasp(np.array([*thing.position[:2], z]), float(z - underside))


def _at(point: Array, z: float) -> Array:
    return np.array([point[0], point[1], z])


def _home(options: RouteOptions) -> Way:
    return Way(np.array([options.home_x, 0.0, options.home_z]))


def pick(grasp: Grasp, travel: float, options: RouteOptions) -> list[Way]:
    """Down onto a thing, close, and up."""
    point = grasp.point
    return [
        Way(_at(point, point[2] + options.approach)),
        Way(point, Gripper.CLOSE),
        Way(_at(point, travel)),
    ]


def put(release: Array, travel: float, options: RouteOptions) -> list[Way]:
    """From above to the release point, open, and up."""
    return [
        Way(_at(release, max(travel, release[2] + options.approach))),
        Way(release, Gripper.OPEN),
        Way(_at(release, release[2] + options.approach)),
    ]


def place(grasp: Grasp, release: Array, travel: float, options: RouteOptions) -> list[Way]:
    """Take a thing and put it down at `release`."""
    return [*pick(grasp, travel, options), *put(release, travel, options), _home(options)]


def place_held(tool: Array, release: Array, travel: float, options: RouteOptions) -> list[Way]:
    """Put down what is already held."""
    lift = Way(_at(tool, max(travel, tool[2])))
    return [lift, *put(release, travel, options), _home(options)]


def sweep(start: Array, end: Array, travel: float, options: RouteOptions) -> list[Way]:
    """Down at `start`, straight to `end`, up: a push, a knock, closing a drawer."""
    return [
        Way(_at(start, max(travel, start[2] + options.approach))),
        Way(start),
        Way(end),
        Way(_at(end, end[2] + options.approach)),
        _home(options),
    ]


def push(
    thing: Thing, direction: Array, distance: float, travel: float, options: RouteOptions
) -> list[Way]:
    """Push `thing` for `distance` metres along the horizontal unit vector `direction`."""
    half = half_extent(thing, direction)
    center = _at(thing.position, max(options.clearance, 0.3 * thing.top))
    way = np.array([*direction[:2], 0.0])
    start = center - way * (half + FINGER + 0.04)
    end = center + way * (distance - half - FINGER)
    return sweep(start, end, travel, options)


def top_middle(thing: Thing) -> Array:
    """``(3,)`` middle of the top face."""
    points = thing.cluster.points
    face = points[points[:, 2] > thing.top - 0.004]
    face = face if len(face) > 5 else points
    low, high = np.percentile(face[:, :2], [2, 98], axis=0)
    return np.array([*((low + high) / 2), thing.top])


def press(top: Array, options: RouteOptions) -> list[Way]:
    """Press a button whose top is at `top`."""
    above = Way(_at(top, top[2] + options.approach))
    return [above, Way(_at(top, top[2] - options.press_depth)), above, _home(options)]


def knock(thing: Thing, direction: Array, travel: float, options: RouteOptions) -> list[Way]:
    """Sweep through the upper part of `thing`."""
    half = half_extent(thing, direction)
    center = _at(thing.position, max(options.clearance, 0.72 * thing.top))
    way = np.array([*direction[:2], 0.0])
    start = center - way * (half + FINGER + 0.04)
    end = center + way * max(0.07, 0.75 * thing.top)
    return sweep(start, end, travel, options)


def knock_direction(thing: Thing, others: Sequence[Thing], tool: Array) -> Array:
    """The horizontal unit vector along which most room is free before and behind `thing`."""
    best, best_score = np.array([0.0, 1.0]), -np.inf
    for angle in np.arange(0, 2 * np.pi, np.pi / 4):
        direction = np.array([np.cos(angle), np.sin(angle)])
        start = thing.position[:2] - direction * 0.08
        end = thing.position[:2] + direction * (thing.top + 0.05)
        room = min(
            (segment_distance(t.position[:2], start, end) - t.cluster.size[0] / 2 for t in others),
            default=1.0,
        )
        # Sideways and from the tool's side first, and never off the table.
        inside = 0.28 < end[0] < 0.72 and abs(end[1]) < 0.38
        score = min(room, 0.08) + 0.01 * abs(direction[1]) - (0 if inside else 1)
        score += 0.005 * float((thing.position[:2] - tool[:2]) @ direction > 0)
        if score > best_score:
            best, best_score = direction, score
    return best


@dataclass(frozen=True)
class Drawer:
    """A drawer as measured.

    Attributes:
        direction: ``(3,)`` horizontal unit vector that it opens along.
        knob: ``(3,)`` where to grasp the knob.
        panel: ``(3,)`` where to push the front, beside the knob.
        gap: How far it is open, metres.
    """

    direction: Array
    knob: Array
    panel: Array
    gap: float


PANEL_THICKNESS = 0.008


def measure_drawer(thing: Thing, options: RouteOptions) -> Drawer | None:
    """The drawer that `thing` (its front, with the cabinet as base) is; None without a cabinet."""
    if thing.base is None:
        return None
    middle, axes, half = board(thing.base)
    front = thing.position[:2] - middle
    # Before the face that it is farthest beyond.
    index = int(np.argmax(axes @ front - half))
    direction = axes[index]
    side = np.array([-direction[1], direction[0]])
    points = thing.cluster.points
    along, across = points[:, :2] @ direction, points[:, :2] @ side
    tip = float(np.percentile(along, 99.5))
    knob = points[along > tip - 0.02]
    # Only its top shows both of its edges.
    ridge = knob[knob[:, 2] > np.percentile(knob[:, 2], 95) - 0.006][:, :2] @ side
    center = float(np.percentile(ridge, [3, 97]).mean())
    plate = along[np.abs(across - center) > 0.025]
    face = float(np.percentile(plate, 95)) if len(plate) > 10 else tip - 0.035
    edge = float(middle @ direction) + float(half[index])
    z = max(float(np.percentile(knob[:, 2], 95)) - options.grasp_depth, options.clearance)
    # Of the two sides of the knob, the one nearer to the robot.
    shift = -0.045 * np.sign(float(side @ middle) or 1.0)
    reach = direction * (tip - 0.017) + side * center
    panel = direction * face + side * (center + shift)
    return Drawer(
        direction=np.array([*direction, 0.0]),
        knob=np.array([*reach, z]),
        panel=np.array([*panel, max(0.5 * thing.top, options.clearance)]),
        gap=face - edge - PANEL_THICKNESS,
    )


def open_drawer(drawer: Drawer, travel: float, options: RouteOptions) -> list[Way]:
    """Grasp the knob, pull, let go."""
    end = drawer.knob + drawer.direction * max(options.pull - max(drawer.gap, 0.0), 0.01)
    return [
        Way(_at(drawer.knob, max(travel, drawer.knob[2] + options.approach))),
        Way(drawer.knob, Gripper.CLOSE),
        Way(end, Gripper.OPEN),
        Way(_at(end, end[2] + options.approach + 0.03)),
        _home(options),
    ]


def close_drawer(drawer: Drawer, travel: float, options: RouteOptions) -> list[Way]:
    """Push the front in, a little farther than it should need."""
    start = drawer.panel + drawer.direction * (FINGER + 0.03)
    end = drawer.panel + drawer.direction * (FINGER - drawer.gap - 0.004)
    return sweep(start, end, travel, options)
