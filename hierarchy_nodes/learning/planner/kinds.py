"""Things that stand in training images: more kinds than the cell's tasks have, on its own bodies.

A thing is one of the cell's objects in another size, sometimes with other geometry. Kinds, colours
and words that evaluation keeps for itself (see `HELD_OUT_SHAPES`) do not occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from hardware.cell.scene import BASIC_COLORS, COLORS, NOVEL_COLORS
from hierarchy_nodes.planner import words
from hierarchy_nodes.planner.compact.lexicon import RGB, lab, named_colors

# Shapes of the axes object_goal and novel_object that the basic tasks do not have.
HELD_OUT_SHAPES = ("ball", "bar", "cross", "cup", "tray")
# How near to a held-out colour, as it is seen and as it is known, training may come (CIE76).
_NEAR_SEEN, _NEAR_KNOWN = 22.0, 12.0
CYLINDER, BOX = int(mujoco.mjtGeom.mjGEOM_CYLINDER), int(mujoco.mjtGeom.mjGEOM_BOX)
ELLIPSOID, CAPSULE = int(mujoco.mjtGeom.mjGEOM_ELLIPSOID), int(mujoco.mjtGeom.mjGEOM_CAPSULE)

Size = tuple[float, float, float]
# Type and size of a geom, and where its middle is from that of its body.
Look = tuple[int, Size, Size]


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    Attributes:
        base: The shape of the cell that it is made of.
        nouns: What people call it, the plainest first; none where each has a name of its own that
            nobody has heard before.
        size: Of its box at scale 1, metres.
        looks: From its box to the geoms of its body, where these are not the base's, scaled.
        strange: Made anew for each image: what an unknown word means where there is such a thing.
        taken: Can be taken in the hand, pushed and stacked. goal: Things are put there.
    """

    base: str
    nouns: tuple[str, ...]
    size: Size
    looks: Callable[[Size], list[Look]] | None = None
    strange: bool = False
    taken: bool = False
    goal: bool = False


_MIDDLE = (0.0, 0.0, 0.0)


def _box(size: Size) -> list[Look]:
    return [(BOX, (size[0] / 2, size[1] / 2, size[2] / 2), _MIDDLE)]


def _round(size: Size) -> list[Look]:
    return [(CYLINDER, (size[0] / 2, size[2] / 2, 0.0), _MIDDLE)]


def _egg(size: Size) -> list[Look]:
    return [(ELLIPSOID, (size[0] / 2, size[1] / 2, size[2] / 2), _MIDDLE)]


def _pill(size: Size) -> list[Look]:
    half = max(size[2] / 2 - size[0] / 2, 0.001)
    return [(CAPSULE, (size[0] / 2, half, 0.0), _MIDDLE)]


def strange_looks(rng: np.random.Generator, size: Size) -> tuple[Look, ...]:
    """Two bodies that fill a box together, at right angles, on each other or side by side."""
    length, width, height = (s / 2 for s in size)
    form = (BOX, CYLINDER, ELLIPSOID)[rng.integers(3)]
    share = float(rng.uniform(0.3, 0.7))

    def part(form: int, half: Size, middle: Size) -> Look:
        if form == CYLINDER:
            return form, (min(half[:2]), half[2], 0.0), middle
        return form, half, middle

    kind = rng.integers(3)
    if kind == 0:  # An angle, or a T.
        thick = width * float(rng.uniform(0.3, 0.45))
        end = (length - thick) * float(rng.choice((-1.0, 1.0)))
        bar = part(BOX, (length, thick, height), (0.0, (width - thick) * rng.choice((-1, 0)), 0.0))
        return bar, part(BOX, (thick, width, height * share), (end, 0.0, height * (share - 1)))
    if kind == 1:  # A foot and a head.
        slim = float(rng.uniform(0.35, 0.6))
        foot, head = (slim, 1.0) if rng.random() < 0.5 else (1.0, slim)
        low, high = share * height, (1 - share) * height
        return (
            part(CYLINDER, (foot * length, foot * width, low), (0.0, 0.0, low - height)),
            part(form, (head * length, head * width, high), (0.0, 0.0, height - high)),
        )
    # Side by side, one lower.
    left, right = share * length, (1 - share) * length
    low = height * float(rng.uniform(0.4, 0.8))
    return (
        part(form, (left, width, height), (left - length, 0.0, 0.0)),
        part(BOX, (right, width * 0.8, low), (length - right, 0.0, low - height)),
    )


def strange_stand(rng: np.random.Generator, size: Size) -> tuple[Look, ...]:
    """Two flat bodies of one height, beside or across each other: something to put things on."""
    length, width, height = (s / 2 for s in size)
    slim = float(rng.uniform(0.45, 0.65))
    if rng.random() < 0.5:
        wide, aside = (length, slim * width, height), (1 - slim) * width
        end = (1 - slim) * length * float(rng.choice((-1.0, 1.0)))
        return (BOX, wide, (0.0, aside, 0.0)), (
            BOX,
            (slim * length, width, height),
            (end, 0.0, 0.0),
        )
    near = (CYLINDER, (slim * length, height, 0.0), ((slim - 1) * length, 0.0, 0.0))
    return near, (CYLINDER, (slim * length, height, 0.0), ((1 - slim) * length, 0.0, 0.0))


def strange_bowl(size: Size) -> tuple[Look, ...]:
    """A bowl that is not round: its floor, and the boards that stand around it."""
    length, width, height = (s / 2 for s in size)
    wall, floor, boards = 0.0025, 0.003, 16
    half = max(length, width) * math.tan(math.pi / boards)
    found: list[Look] = [(ELLIPSOID, (length, width, floor), (0.0, 0.0, floor - height))]
    for k in range(boards):
        angle = 2 * math.pi * k / boards
        where = ((length - wall) * math.cos(angle), (width - wall) * math.sin(angle), 0.001)
        found.append((BOX, (wall, half, height - 0.001), where))
    return tuple(found)


KINDS: dict[str, Kind] = {
    "block": Kind("block", ("block", "cube", "brick", "box"), (0.04, 0.04, 0.04), _box, taken=True),
    "tile": Kind("block", ("tile", "slab", "square"), (0.05, 0.05, 0.014), _box, taken=True),
    "post": Kind("block", ("post", "pillar", "stake"), (0.03, 0.03, 0.075), _box, taken=True),
    "cylinder": Kind(
        "cylinder", ("cylinder", "can", "drum", "tin"), (0.04, 0.04, 0.05), _round, taken=True
    ),
    "puck": Kind("cylinder", ("puck", "coin", "disc"), (0.05, 0.05, 0.016), _round, taken=True),
    "candle": Kind("cylinder", ("candle", "column"), (0.026, 0.026, 0.085), _round, taken=True),
    "egg": Kind("cylinder", ("egg", "oval", "pebble"), (0.038, 0.038, 0.058), _egg, taken=True),
    "pill": Kind("cylinder", ("pill", "capsule", "bean"), (0.03, 0.03, 0.065), _pill, taken=True),
    "strange": Kind("cross", (), (0.055, 0.05, 0.045), strange=True, taken=True),
    "bottle": Kind("bottle", ("bottle", "flask"), (0.05, 0.05, 0.14)),
    "plate": Kind("plate", ("plate", "dish", "saucer"), (0.16, 0.16, 0.012), _round, goal=True),
    "mat": Kind("plate", ("mat", "pad", "board"), (0.14, 0.14, 0.010), _box, goal=True),
    "bowl": Kind("bowl", ("bowl", "basin"), (0.16, 0.16, 0.045), goal=True),
    "zone": Kind(
        "zone", ("zone", "circle", "spot", "area"), (0.14, 0.14, 0.001), _round, goal=True
    ),
    "sheet": Kind("zone", ("sheet", "paper", "patch"), (0.13, 0.13, 0.001), _box, goal=True),
    "stand": Kind("cross", (), (0.16, 0.15, 0.022), strange=True, goal=True),
    "pot": Kind("bowl", (), (0.16, 0.11, 0.035), strange=True, goal=True),
    "button": Kind("button", ("button", "switch"), (0.09, 0.09, 0.05)),
    "drawer": Kind("drawer", ("drawer",), (0.18, 0.16, 0.09)),
}
# Bodies that a stage has of each base.
CAST = {"block": 5, "cylinder": 5, "bottle": 2, "plate": 2, "bowl": 3, "zone": 2, "button": 2}
CAST |= {"drawer": 2, "cross": 4}


@lru_cache(maxsize=1)
def palette() -> dict[str, RGB]:
    """Colour words of training, with what they look like; those of the cell come first."""
    found = {name: COLORS[name] for name in BASIC_COLORS}
    for name, rgb in named_colors().items():
        spoken = any(word in name for word in NOVEL_COLORS)
        if name in COLORS or spoken or words.COLORS.get(name) in NOVEL_COLORS:
            continue
        if allowed(rgb):
            found[name] = rgb
    return found


def allowed(rgb: RGB) -> bool:
    """Whether a colour is far enough from those that evaluation keeps for itself."""
    seen, known = _held_out()
    here = lab(rgb)
    far = np.linalg.norm(seen - here, axis=1).min() > _NEAR_SEEN
    return bool(far and np.linalg.norm(known - here, axis=1).min() > _NEAR_KNOWN)


@lru_cache(maxsize=1)
def _held_out() -> tuple[np.ndarray, np.ndarray]:
    seen = np.array([lab(COLORS[name]) for name in NOVEL_COLORS])
    return seen, np.array([lab(named_colors()[name]) for name in NOVEL_COLORS])
