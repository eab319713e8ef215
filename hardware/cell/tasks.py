"""Seeded tasks: a scene that can be drawn again bit for bit, and what a person wants in it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hardware.cell.draft import TableDraft
from hardware.cell.phrases import say
from hardware.cell.scene import (
    BASIC_COLORS,
    CONTAINERS,
    NOVEL_COLORS,
    ObjectSpec,
    SceneSpec,
)
from hierarchy_nodes.errors import ConfigError, UnknownNameError

FAMILIES = ("place", "stack", "push", "press", "open_drawer", "close_drawer", "knock")
AXES = ("basic", "object_goal", "visual", "language", "spatial", "novel_object", "multiple")
WAYS = {
    "to the left": (0.0, 1.0),
    "to the right": (0.0, -1.0),
    "forward": (1.0, 0.0),
    "back": (-1.0, 0.0),
}
SPATIAL = {"left": (0.0, 1.0), "right": (0.0, -1.0), "nearest": (-1.0, 0.0), "farthest": (1.0, 0.0)}
DISTRACTORS = ("block", "cylinder", "plate", "bowl")
PUSH_ROOM = 0.16


@dataclass(frozen=True)
class TaskSpec:
    """What a person wants.

    Attributes:
        family: One of `FAMILIES`.
        instruction: In words. Left and right are the robot's own, looking along +x.
        target: Name of the object that is to be handled.
        goal: Name of the object where it shall end up, or empty.
        relation: ``on``, ``in`` or empty.
        direction: ``(x, y)`` unit vector of a push without a goal, else zeros.
        axis: What was varied, one of `AXES`.
        seed: What it was drawn with.
    """

    family: str
    instruction: str
    target: str
    goal: str = ""
    relation: str = ""
    direction: tuple[float, float] = (0.0, 0.0)
    axis: str = "basic"
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TaskSpec:
        """The inverse of :meth:`to_dict`."""
        return cls(**values | {"direction": tuple(values.get("direction", (0.0, 0.0)))})


def sample(family: str, seed: int, axis: str = "basic") -> tuple[SceneSpec, TaskSpec]:
    """Draw scene and task; the same arguments give the same ones.

    Raises:
        UnknownNameError: No such family or axis.
    """
    if family not in FAMILIES:
        raise UnknownNameError("task family", family, FAMILIES)
    if axis not in AXES:
        raise UnknownNameError("axis", axis, AXES)
    rng = np.random.default_rng([seed, FAMILIES.index(family), AXES.index(axis)])
    for _ in range(200):
        draft = _Draft(rng, family, axis)
        if draft.compose():
            return draft.scene(seed), draft.task(seed)
    raise ConfigError(f"Task {family}/{axis} with seed {seed}: no scene without overlaps found.")


class _Draft(TableDraft):
    """The scene of a task; `compose` says False where it ran out of room."""

    def __init__(self, rng: np.random.Generator, family: str, axis: str) -> None:
        super().__init__(rng, colors=NOVEL_COLORS if axis == "novel_object" else BASIC_COLORS)
        self.family, self.axis = family, axis

    def compose(self) -> bool:
        self.spatial = ""
        self.way, self.direction = "", (0.0, 0.0)
        self.goal: ObjectSpec | None = None
        self.relation = ""
        placed = self._principals() and self._twin() and self._distractors()
        return placed and (self.axis != "spatial" or bool(self.spatial))

    # -- what the task needs ------------------------------------------------------------------

    def _principals(self) -> bool:
        make = {
            "place": self._place,
            "stack": self._stack,
            "push": self._push,
            "press": lambda: self._single("button"),
            "open_drawer": lambda: self._single("drawer"),
            "close_drawer": lambda: self._single("drawer", opening=1.0),
            "knock": lambda: self._single("bottle"),
        }
        return make[self.family]()

    def _single(self, shape: str, opening: float = 0.0) -> bool:
        room = [(0.0, 0.0, 0.09)] if shape == "bottle" else None
        target = self.add(shape, self.color(shape), room, opening)
        if target is not None:
            self.target = target
        return target is not None

    def _target_shape(self) -> str:
        if self.axis == "novel_object":
            return str(self.pick(("bar", "cross", "cup")))
        if self.axis == "object_goal":
            return str(self.pick(("ball", "cylinder", "block")))
        return str(self.pick(("block", "cylinder")))

    def _place(self) -> bool:
        shape = self._target_shape()
        goals = ("tray", "zone", "bowl") if self.axis == "object_goal" else ("plate", "bowl")
        if self.axis == "novel_object":
            goals = ("plate", "tray")
        if shape == "ball":
            goals = ("tray", "bowl")  # it would roll off anything flat
        return self._pair(shape, str(self.pick(goals)))

    def _stack(self) -> bool:
        top = {"novel_object": ("bar", "cross"), "object_goal": ("cylinder", "block")}
        base = "cylinder" if self.axis == "object_goal" else "block"
        return self._pair(str(self.pick(top.get(self.axis, ("block",)))), base)

    def _pair(self, shape: str, goal_shape: str) -> bool:
        goal = self.add(goal_shape, self.color(goal_shape))
        if goal is None:
            return False
        target = self.add(shape, self.color(shape, avoid=(goal.color,)))
        if target is None:
            return False
        self.target, self.goal = target, goal
        self.relation = "in" if goal_shape in CONTAINERS else "on"
        return True

    def _push(self) -> bool:
        shape = self._target_shape() if self.axis == "novel_object" else "block"
        color = self.color(shape)
        if self.rng.random() < 0.5:
            self.way = str(self.pick(tuple(WAYS)))
            self.direction = WAYS[self.way]
            dx, dy = self.direction
        else:
            angle = self.rng.uniform(-math.pi, math.pi)
            dx, dy = math.cos(angle), math.sin(angle)
        # Room for the closed gripper behind it, and a free lane ahead.
        room = [(-0.08 * dx, -0.08 * dy, 0.03)]
        room += [(a * dx, a * dy, 0.04) for a in (0.08, PUSH_ROOM)]
        if not self.way:
            room = room[:2]
        target = self.add(shape, color, room)
        if target is None:
            return False
        self.target = target
        if self.way:
            return True
        x, y = target.position
        reach = self.rng.uniform(0.17, 0.22)
        spot = (x + reach * dx, y + reach * dy)
        if not self.inside(*spot):
            return False
        # The zone may touch the lane that leads to it.
        self.taken.pop()
        zone = self.add("zone", self.color("zone", avoid=(color,)), where=spot)
        self.goal, self.relation = zone, "on"
        return zone is not None

    # -- the rest -----------------------------------------------------------------------------

    def _twin(self) -> bool:
        """For spatial instructions: a second one, told apart only by where it is."""
        if self.axis != "spatial":
            return True
        target = self.target
        if target.shape == "drawer":
            side = -1 if target.position[1] > 0 else 1
            twin = self.add("drawer", target.color, side=side)
        else:
            twin = self.add(target.shape, target.color)
        if twin is None:
            return False
        difference = np.subtract(target.position, twin.position)
        words = ("left", "right") if target.shape == "drawer" else tuple(SPATIAL)
        fitting = [w for w in words if float(difference @ np.array(SPATIAL[w])) > 0.10]
        if fitting:
            self.spatial = str(self.pick(fitting))
        return bool(fitting)

    def _distractors(self) -> bool:
        avoided = {self.target.shape} | ({self.goal.shape} if self.goal else set())
        if self.axis == "multiple":
            shapes = [self.target.shape] * 2 if self.target.shape != "drawer" else []
            shapes += [self.goal.shape] if self.goal else ["block", "block"]
            shapes += [str(self.pick(("block", "cylinder")))]
        else:
            options = [s for s in DISTRACTORS if self.axis != "spatial" or s not in avoided]
            most = 6 - len(self.things)
            least = max(1, 3 - len(self.things))
            small = [s for s in options if s not in ("plate", "bowl")] or options
            count = int(self.rng.integers(least, min(most, 3) + 1))
            # At most one more large thing, or the table is full.
            shapes = [str(self.pick(options))] + [str(self.pick(small)) for _ in range(count - 1)]
        for shape in shapes:
            color = self.color(shape)
            if (color, shape) in self.used or self.add(shape, color) is None:
                return False
        return True

    # -- results ------------------------------------------------------------------------------

    def scene(self, seed: int) -> SceneSpec:
        if self.axis != "visual":
            return SceneSpec(tuple(self.things), seed)
        rng = self.rng
        base = rng.uniform(0.25, 0.75)
        table = tuple(round(float(np.clip(base + d, 0, 1)), 3) for d in rng.uniform(-0.08, 0.08, 3))
        slant = rng.uniform(-0.6, 0.6, 2)
        return SceneSpec(
            tuple(self.things),
            seed,
            table_color=table,  # type: ignore[arg-type]
            light=round(float(rng.uniform(0.65, 1.3)), 3),
            light_direction=(round(float(slant[0]), 3), round(float(slant[1]), 3), -1.0),
        )

    def _words(self, thing: ObjectSpec) -> str:
        plain = f"{thing.color} {thing.shape}"
        if thing is not self.target or not self.spatial:
            return plain
        # The goal may be of the same shape, and then the color is needed as well.
        name = plain if self.goal and self.goal.shape == thing.shape else thing.shape
        if self.spatial in ("left", "right"):
            return f"{self.spatial} {name}"
        return f"{name} {self.spatial} {'to' if self.spatial == 'nearest' else 'from'} the robot"

    def task(self, seed: int) -> TaskSpec:
        kind = self.family
        if kind == "place":
            kind = f"place {self.relation}"
        elif kind == "push" and self.goal is not None:
            kind = "push onto"
        goal = self._words(self.goal) if self.goal else ""
        words = say(
            kind, self._words(self.target), goal, self.way, self.rng, self.axis != "language"
        )
        return TaskSpec(
            self.family,
            words,
            self.target.name,
            self.goal.name if self.goal else "",
            self.relation,
            self.direction,
            self.axis,
            seed,
        )
