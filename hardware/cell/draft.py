"""Drawing scenes at random: things on free ground, within reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hardware.cell.scene import (
    BASIC_COLORS,
    DRAWER_TRAVEL,
    KNOB_REACH,
    SIZES,
    ObjectSpec,
)

# Where middles of objects may be, base frame, metres.
AREA = ((0.34, 0.62), (-0.26, 0.26))
GAP = 0.045  # between things, so that an open finger fits

Circle = tuple[float, float, float]  # x, y, radius


@dataclass
class TableDraft:
    """A scene in the making.

    Attributes:
        things, taken: What stands there, and the ground that it needs.
        used: Colours and shapes that are there.
        colors: To choose from.
    """

    rng: np.random.Generator
    things: list[ObjectSpec] = field(default_factory=list)
    taken: list[Circle] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    colors: tuple[str, ...] = BASIC_COLORS

    def pick(self, options: Sequence[Any]) -> Any:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def color(self, shape: str, avoid: Sequence[str] = ()) -> str:
        """One that no thing of this shape has yet, if there is one left."""
        free = [c for c in self.colors if (c, shape) not in self.used and c not in avoid]
        return str(self.pick(free or [c for c in self.colors if c not in avoid]))

    def fits(self, circles: list[Circle]) -> bool:
        """Whether this ground is free."""
        return all(
            math.hypot(x - a, y - b) >= r + s + GAP for x, y, r in circles for a, b, s in self.taken
        )

    def inside(self, x: float, y: float) -> bool:
        """Whether the middle of a thing may be here."""
        return AREA[0][0] <= x <= AREA[0][1] and AREA[1][0] <= y <= AREA[1][1]

    def add(
        self,
        shape: str,
        color: str,
        extra: list[tuple[float, float, float]] | None = None,
        opening: float = 0.0,
        where: tuple[float, float] | None = None,
        side: int = 0,
    ) -> ObjectSpec | None:
        """Put a thing on free ground; `extra` circles (relative) must be free and in reach too."""
        count = sum(t.shape == shape and t.color == color for t in self.things)
        name = f"{color}_{shape}" + (f"_{count + 1}" if count else "")
        for _ in range(60):
            if shape == "drawer":
                sign = side or self.pick((-1, 1))
                position = (self.rng.uniform(0.42, 0.54), sign * self.rng.uniform(0.23, 0.26))
                yaw = -sign * math.pi / 2 + self.rng.uniform(-0.15, 0.15)
            else:
                position = where or (self.rng.uniform(*AREA[0]), self.rng.uniform(*AREA[1]))
                yaw = self.rng.uniform(-math.pi / 4, math.pi / 4)
            spot = (round(float(position[0]), 4), round(float(position[1]), 4))
            thing = ObjectSpec(name, shape, color, SIZES[shape], spot, round(yaw, 4), opening)
            around = [(spot[0] + dx, spot[1] + dy, r) for dx, dy, r in extra or []]
            reachable = shape == "drawer" or self.inside(*spot)
            reachable = reachable and all(self.inside(x, y) for x, y, _ in around)
            ground = [*_circles(thing, twin=bool(side)), *around]
            if reachable and self.fits(ground):
                self.things.append(thing)
                self.taken += ground
                self.used.add((color, shape))
                return thing
            if where is not None:
                return None
        return None


def _circles(thing: ObjectSpec, twin: bool = False) -> list[Circle]:
    """The ground that `thing` needs, with the room that its moving parts need."""
    x, y = thing.position
    if thing.shape != "drawer":
        return [(x, y, max(thing.size[:2]) / 2)]
    if twin:  # it stays as it is, so the other one may come close
        return [(x, y, 0.12)]
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    ahead = [0.0, 0.10, 0.12 + DRAWER_TRAVEL / 2, 0.09 + DRAWER_TRAVEL + KNOB_REACH]
    radii = [0.12, 0.09, 0.09, 0.06]
    return [(x + a * cos, y + a * sin, r) for a, r in zip(ahead, radii, strict=True)]
