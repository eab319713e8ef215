"""Things that stand in training images: more kinds than the cell's tasks have, on its own bodies.

A thing is one of the cell's objects in another size, sometimes with other geometry. Kinds, colours
and words that evaluation keeps for itself (see `HELD_OUT_SHAPES`) do not occur.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from hardware.cell.scene import BASIC_COLORS, COLORS, NOVEL_COLORS
from hierarchy_nodes.planner import words
from hierarchy_nodes.planner.compact.lexicon import RGB, css_colors, lab

# Shapes of the axes object_goal and novel_object that the basic tasks do not have.
HELD_OUT_SHAPES = ("ball", "bar", "cross", "cup", "tray")
# How near to a held-out colour, as it is seen and as CSS has it, training may come (CIE76).
_NEAR_SEEN, _NEAR_CSS = 22.0, 12.0
CYLINDER, BOX = int(mujoco.mjtGeom.mjGEOM_CYLINDER), int(mujoco.mjtGeom.mjGEOM_BOX)
ELLIPSOID, CAPSULE = int(mujoco.mjtGeom.mjGEOM_ELLIPSOID), int(mujoco.mjtGeom.mjGEOM_CAPSULE)

Size = tuple[float, float, float]
# Type and size of a geom.
Look = tuple[int, tuple[float, float, float]]


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    Attributes:
        base: The shape of the cell that it is made of.
        nouns: What people call it, the plainest first.
        size: Of its box at scale 1, metres.
        looks: From its box to the geoms of its body, where these are not the base's, scaled.
    """

    base: str
    nouns: tuple[str, ...]
    size: Size
    looks: Callable[[Size], list[Look]] | None = None

    @property
    def taken(self) -> bool:
        """Whether it can be taken in the hand, pushed and stacked."""
        return self.base in ("block", "cylinder")

    @property
    def goal(self) -> bool:
        """Whether things are put there."""
        return self.base in ("plate", "bowl", "zone")


def _box(size: Size) -> list[Look]:
    return [(BOX, (size[0] / 2, size[1] / 2, size[2] / 2))]


def _round(size: Size) -> list[Look]:
    return [(CYLINDER, (size[0] / 2, size[2] / 2, 0.0))]


def _egg(size: Size) -> list[Look]:
    return [(ELLIPSOID, (size[0] / 2, size[1] / 2, size[2] / 2))]


def _pill(size: Size) -> list[Look]:
    return [(CAPSULE, (size[0] / 2, max(size[2] / 2 - size[0] / 2, 0.001), 0.0))]


KINDS: dict[str, Kind] = {
    "block": Kind("block", ("block", "cube", "brick", "box"), (0.04, 0.04, 0.04), _box),
    "tile": Kind("block", ("tile", "slab", "square"), (0.05, 0.05, 0.014), _box),
    "post": Kind("block", ("post", "pillar", "tower"), (0.03, 0.03, 0.075), _box),
    "cylinder": Kind("cylinder", ("cylinder", "can", "drum", "tin"), (0.04, 0.04, 0.05), _round),
    "puck": Kind("cylinder", ("puck", "coin", "disc"), (0.05, 0.05, 0.016), _round),
    "candle": Kind("cylinder", ("candle", "column"), (0.026, 0.026, 0.085), _round),
    "egg": Kind("cylinder", ("egg", "oval", "pebble"), (0.038, 0.038, 0.058), _egg),
    "pill": Kind("cylinder", ("pill", "capsule", "bean"), (0.03, 0.03, 0.065), _pill),
    "bottle": Kind("bottle", ("bottle", "flask"), (0.05, 0.05, 0.14)),
    "plate": Kind("plate", ("plate", "dish", "saucer"), (0.16, 0.16, 0.012), _round),
    "mat": Kind("plate", ("mat", "pad", "board"), (0.14, 0.14, 0.010), _box),
    "bowl": Kind("bowl", ("bowl", "basin"), (0.16, 0.16, 0.045)),
    "zone": Kind("zone", ("zone", "circle", "spot", "area"), (0.14, 0.14, 0.001), _round),
    "sheet": Kind("zone", ("sheet", "paper", "patch"), (0.13, 0.13, 0.001), _box),
    "button": Kind("button", ("button", "switch"), (0.09, 0.09, 0.05)),
    "drawer": Kind("drawer", ("drawer",), (0.18, 0.16, 0.09)),
}
# Bodies that a stage has of each base.
CAST = {"block": 5, "cylinder": 5, "bottle": 2, "plate": 2, "bowl": 2, "zone": 2, "button": 2}
CAST |= {"drawer": 2}


@lru_cache(maxsize=1)
def palette() -> dict[str, RGB]:
    """Colour words of training, with what they look like; those of the cell come first."""
    found = {name: COLORS[name] for name in BASIC_COLORS}
    for name, rgb in css_colors().items():
        spoken = any(word in name for word in NOVEL_COLORS)
        if name in COLORS or spoken or words.COLORS.get(name) in NOVEL_COLORS:
            continue
        if allowed(rgb):
            found[name] = rgb
    return found


def allowed(rgb: RGB) -> bool:
    """Whether a colour is far enough from those that evaluation keeps for itself."""
    seen, css = _held_out()
    here = lab(rgb)
    far = np.linalg.norm(seen - here, axis=1).min() > _NEAR_SEEN
    return bool(far and np.linalg.norm(css - here, axis=1).min() > _NEAR_CSS)


@lru_cache(maxsize=1)
def _held_out() -> tuple[np.ndarray, np.ndarray]:
    seen = np.array([lab(COLORS[name]) for name in NOVEL_COLORS])
    return seen, np.array([lab(css_colors()[name]) for name in NOVEL_COLORS])
