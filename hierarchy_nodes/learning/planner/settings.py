"""Draws what an image shows: things, arm, camera, light, table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hardware.cell.scene import CAMERAS, COLORS
from hierarchy_nodes.arm.kinematics import Kinematics, NoSolution
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.learning.planner.kinds import (
    CAST,
    KINDS,
    Kind,
    Look,
    Size,
    allowed,
    palette,
    strange_bowl,
    strange_looks,
    strange_stand,
)
from hierarchy_nodes.learning.planner.stage import Item, Setting
from hierarchy_nodes.learning.planner.texture import TRAINING_PATTERNS, draw_texture
from hierarchy_nodes.learning.skill import HOME
from hierarchy_nodes.learning.variation import shifted_camera
from hierarchy_nodes.types import Array, Pose

_AREA = ((0.31, 0.65), (-0.30, 0.30))
# Radii of the ground that a drawer with its travel needs, and how far before its middle.
_DRAWER = ((0.0, 0.11), (0.10, 0.09), (0.21, 0.07))
_GRIPPER = 0.08

Circle = tuple[float, float, float]
RGB = tuple[float, float, float]


class Drafter:
    """Settings from seeds.

    Args:
        kinematics: Of the arm.
    """

    def __init__(self, kinematics: Kinematics) -> None:
        self._kinematics = kinematics
        self._home = kinematics.solve(top_down(HOME))

    def draw(self, rng: np.random.Generator) -> Setting:
        """One image's."""
        items = _things(rng)
        items = _drop_some(rng, _put_some(rng, items))
        joints, opening, held, items = self._arm(rng, items)
        base = rng.uniform(0.2, 0.85)
        table = _clip(base + rng.uniform(-0.1, 0.1, 3))
        usual = rng.random() < 0.3
        return Setting(
            items=tuple(items),
            joints=joints,
            opening=opening,
            held=held,
            camera=_camera(rng),
            table=Setting.table if usual else table,
            floor=_clip(rng.uniform(0.15, 0.7) + rng.uniform(-0.05, 0.05, 3)),
            texture=draw_texture(rng, TRAINING_PATTERNS) if rng.random() < 0.4 else None,
            light=1.0 if usual else float(rng.uniform(0.6, 1.35)),
            slant=Setting.slant if usual else tuple(rng.uniform(-0.7, 0.7, 2).tolist()),
            fill=0.42 if usual else float(rng.uniform(0.3, 0.5)),
        )

    def _arm(
        self, rng: np.random.Generator, items: list[Item]
    ) -> tuple[Array, float, str, list[Item]]:
        """Where the arm is, and with what."""
        free = [t for t in items if t.what.taken and not t.on and not _carries(t, items)]
        held = free[rng.integers(len(free))] if free and rng.random() < 0.12 else None
        if held is None and rng.random() < 0.5:
            opening = 1.0 if rng.random() < 0.8 else float(rng.choice((0.0, 0.5)))
            return self._home, opening, "", items
        others = [t for t in items if t is not held]
        for _ in range(20):
            x, y = rng.uniform(*_AREA[0]), rng.uniform(*_AREA[1])
            z = rng.uniform(0.10, 0.45) if held is None or rng.random() < 0.9 else 0.05
            room = all(math.hypot(x - t.position[0], y - t.position[1]) > 0.12 for t in others)
            if z < 0.22 and not room:
                continue
            yaw = float(rng.uniform(-0.7, 0.7))
            try:
                joints = self._kinematics.solve(top_down((x, y, z), yaw))
            except NoSolution:
                continue
            if held is None:
                opening = 1.0 if rng.random() < 0.6 else float(rng.choice((0.0, 0.5)))
                return joints, opening, "", items
            low = z + 0.005 - held.size[2] / 2 > 0.0
            height = z + (0.0 if low else held.size[2] / 2)
            here = replace(held, position=(x, y, height), yaw=yaw)
            return joints, held.size[1] / _GRIPPER, held.name, [*others, here]
        return self._home, 1.0, "", items


def _carries(item: Item, items: list[Item]) -> bool:
    return any(t.on == item.name for t in items)


def _clip(values: Array) -> RGB:
    red, green, blue = np.clip(values, 0.05, 0.97).tolist()
    return red, green, blue


def _camera(rng: np.random.Generator) -> Pose:
    kind = rng.random()
    if kind < 0.35:
        return CAMERAS["front"]
    if kind < 0.6:
        return shifted_camera(rng, 0.03, 3.0)
    return shifted_camera(rng, 0.22, 22.0)


def _color(rng: np.random.Generator, liked: list[str]) -> tuple[str, RGB]:
    """A word, and a colour that people would call so."""
    known = palette()
    word = liked[rng.integers(len(liked))]
    for _ in range(20):
        shade = np.array(known[word]) * rng.uniform(0.78, 1.1) + rng.normal(0, 0.025, 3)
        rgb = _clip(shade)
        if allowed(rgb):
            return word, rgb
    return word, known[word]


def _colors(rng: np.random.Generator) -> list[str]:
    """The words that this image's colours are drawn from: few, so that things share colours."""
    known = list(palette())
    basic = [word for word in known if word in COLORS]
    if rng.random() < 0.55:
        return basic
    count = int(rng.integers(3, 8))
    return [known[i] for i in rng.permutation(len(known))[:count]]


def _things(rng: np.random.Generator) -> list[Item]:
    liked = _colors(rng)
    left = dict(CAST)
    items: list[Item] = []
    taken: list[Circle] = []
    for _ in range(int(rng.integers(3, 11))):
        # Twins make words such as "left" needed, and one colour in two shapes both words.
        twin = _twin(rng, items)
        kind = twin.kind if twin else _kind(rng)
        base = KINDS[kind].base
        if not left[base]:
            continue
        if twin is not None and rng.random() < 0.6:
            word, rgb = twin.color, twin.rgb
        else:
            word, rgb = _color(rng, liked)
        number = CAST[base] - left[base]
        item = _stand(rng, Item(f"{base}_{number}", kind, word, rgb, (0, 0, 0), (0, 0, 0)), taken)
        if item is not None:
            left[base] -= 1
            items.append(item)
    return items


def _twin(rng: np.random.Generator, items: list[Item]) -> Item | None:
    """One of the things, of which there is to be another; None half the time and more."""
    rare = [t for t in items if t.what.base in ("bottle", "button", "drawer")]
    lone = [t for t in rare if sum(o.kind == t.kind for o in rare) == 1]
    if lone and rng.random() < 0.25:
        return lone[rng.integers(len(lone))]
    return items[rng.integers(len(items))] if items and rng.random() < 0.3 else None


def _kind(rng: np.random.Generator) -> str:
    groups: list[Callable[[Kind], bool]] = [
        lambda k: k.taken,
        lambda k: k.goal,
        lambda k: k.base == "bottle",
        lambda k: k.base == "button",
        lambda k: k.base == "drawer",
    ]
    fits = groups[int(rng.choice(len(groups), p=(0.5, 0.26, 0.08, 0.08, 0.08)))]
    names = [name for name, kind in KINDS.items() if fits(kind)]
    plain = [name for name in names if name == KINDS[name].base]
    draw = rng.random()
    if draw < 0.12:
        names = [name for name in names if KINDS[name].strange] or names
    elif draw < 0.6:
        names = plain or names
    return names[rng.integers(len(names))]


def _stand(rng: np.random.Generator, item: Item, taken: list[Circle]) -> Item | None:
    """The thing on free ground; None where there is none."""
    kind = item.what
    scale = 1.0
    if kind.base not in ("button", "drawer", "bottle"):
        scale = float(rng.uniform(0.85, 1.2)) if rng.random() < 0.7 else 1.0
    size = [s * scale for s in kind.size]
    if kind.base == "zone":
        size[2] = kind.size[2]
    looks: tuple[Look, ...] = ()
    if kind.strange:
        size, looks = _strange(rng, kind)
    gap = float(rng.uniform(0.012, 0.05))
    for _ in range(30):
        opening, lying, yaw = 0.0, False, float(rng.uniform(-math.pi / 4, math.pi / 4))
        x, y = float(rng.uniform(*_AREA[0])), float(rng.uniform(*_AREA[1]))
        z = size[2] / 2
        ground = [(x, y, max(size[:2]) / 2)]
        if kind.base == "drawer":
            side = 1.0 if rng.random() < 0.5 else -1.0
            x, y = float(rng.uniform(0.40, 0.56)), side * float(rng.uniform(0.21, 0.27))
            yaw = -side * math.pi / 2 + float(rng.uniform(-0.2, 0.2))
            opening = float(rng.choice((0.0, 1.0, rng.uniform()), p=(0.45, 0.4, 0.15)))
            cos, sin = math.cos(yaw), math.sin(yaw)
            ground = [(x + a * cos, y + a * sin, r) for a, r in _DRAWER]
        elif kind.base == "bottle" and rng.random() < 0.3:
            lying, yaw, z = True, float(rng.uniform(-math.pi, math.pi)), size[0] / 2
            ground = [(x, y, size[2] / 2)]
        if all(math.hypot(x - a, y - b) > r + s + gap for x, y, r in ground for a, b, s in taken):
            taken += ground
            return replace(
                item,
                size=(size[0], size[1], size[2]),
                looks=looks,
                position=(x, y, z),
                yaw=yaw,
                opening=opening,
                lying=lying,
            )
    return None


def _strange(rng: np.random.Generator, kind: Kind) -> tuple[list[float], tuple[Look, ...]]:
    """Size and geoms of what looks like nothing else."""
    share = rng.uniform(0.75, 1.3, 3) if kind.taken else rng.uniform(0.88, 1.1, 3)
    size: Size = tuple((np.array(kind.size) * share).tolist())  # type: ignore[assignment]
    if kind.base == "bowl":
        return list(size), strange_bowl(size)
    return list(size), strange_looks(rng, size) if kind.taken else strange_stand(rng, size)


def _put_some(rng: np.random.Generator, items: list[Item]) -> list[Item]:
    """Some things already lie on or in others, as after a task."""
    if rng.random() < 0.55:
        return items
    moved = list(items)
    for _ in range(int(rng.integers(1, 3))):
        free = [t for t in moved if t.what.taken and not t.on and not _carries(t, moved)]
        if not free:
            break
        thing = free[rng.integers(len(free))]
        goals = [t for t in moved if t is not thing and not t.on and _takes(t, moved)]
        if not goals:
            continue
        goal = goals[rng.integers(len(goals))]
        spread = 0.3 * min(goal.size[:2]) / 2 if goal.what.goal else 0.004
        x, y = np.array(goal.position[:2]) + rng.uniform(-spread, spread, 2)
        floor = 0.006 if goal.what.base == "bowl" else goal.size[2]
        z = goal.position[2] - goal.size[2] / 2 + floor + thing.size[2] / 2
        there = replace(thing, position=(float(x), float(y), float(z)), on=goal.name)
        moved[moved.index(thing)] = there
    return moved


def _drop_some(rng: np.random.Generator, items: list[Item]) -> list[Item]:
    """Sometimes a thing lies right beside what it was to be put on, as after a task that failed."""
    free = [t for t in items if t.what.taken and not t.on and not _carries(t, items)]
    if not free or rng.random() < 0.75:
        return items
    thing = free[rng.integers(len(free))]
    goals = [t for t in items if t is not thing and not t.on and _takes(t, items)]
    if not goals:
        return items
    goal = goals[rng.integers(len(goals))]
    others = [t for t in items if t is not thing and t is not goal]
    for _ in range(10):
        heading = rng.uniform(-math.pi, math.pi)
        away = _radius(goal) + _radius(thing) + rng.uniform(0.0, 0.015)
        x = goal.position[0] + away * math.cos(heading)
        y = goal.position[1] + away * math.sin(heading)
        inside = _AREA[0][0] < x < _AREA[0][1] and _AREA[1][0] < y < _AREA[1][1]
        if inside and all(
            math.hypot(x - t.position[0], y - t.position[1]) > _radius(t) + _radius(thing)
            for t in others
        ):
            there = replace(thing, position=(x, y, thing.position[2]), beside=goal.name)
            return [there if t is thing else t for t in items]
    return items


def _radius(item: Item) -> float:
    return max(item.size[:2]) / 2


def _takes(item: Item, items: list[Item]) -> bool:
    """Whether something can be put there."""
    flat = item.kind in ("block", "cylinder", "tile", "puck")
    return item.what.goal or (flat and not _carries(item, items))
