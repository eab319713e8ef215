"""The truth about a cell, for expert and true plan; nothing that is evaluated looks here."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.scene import ObjectSpec
from hardware.cell.tasks import TaskSpec
from hardware.cell.truth import Truth
from hierarchy_nodes.types import Array

FINGERS = ("finger_left", "finger_right")
# From the middle of a drawer's sliding box along its axis, metres: middle and tip of the knob.
KNOB_MIDDLE, KNOB_TIP = 0.115, 0.129


class World(Truth):
    """Where things are and what touches what, in the cell of one task.

    Attributes:
        start: ``(3,)`` where the target stood at first, metres.
    """

    def __init__(self, cell: Cell, task: TaskSpec) -> None:
        super().__init__(cell)
        self.task = task
        self.target = cell.scene.object(task.target)
        self.goal = cell.scene.object(task.goal) if task.goal else None
        self.start = self.position(task.target)

    @property
    def time(self) -> float:
        return self.cell.time

    def others(self) -> list[ObjectSpec]:
        """All but target and goal."""
        known = {self.task.target, self.task.goal}
        return [thing for thing in self.cell.scene.objects if thing.name not in known]

    def box(self, thing: ObjectSpec) -> tuple[float, Array]:
        """How a thing lies now: yaw of its longer level side, and length, width, height."""
        rotation = self.rotation(thing.name)
        upright = int(np.argmax(np.abs(rotation[2])))
        level = [i for i in range(3) if i != upright]
        level.sort(key=lambda i: -thing.size[i])
        if thing.size[level[0]] - thing.size[level[1]] < 1e-4:
            level.sort()
        first = rotation[:, level[0]]
        yaw = math.atan2(first[1], first[0])
        return yaw, np.array([thing.size[level[0]], thing.size[level[1]], thing.size[upright]])

    def half_extent(self, thing: ObjectSpec, way: Array) -> float:
        """Half of the thing's box along the level unit vector ``(2,)``, metres."""
        yaw, (length, width, _) = self.box(thing)
        if thing.shape in ("cylinder", "ball", "bottle", "cup", "plate", "bowl"):
            return float(max(length, width)) / 2
        along = way[0] * math.cos(yaw) + way[1] * math.sin(yaw)
        across = way[1] * math.cos(yaw) - way[0] * math.sin(yaw)
        return float(abs(along) * length + abs(across) * width) / 2

    def tool_velocity(self) -> Array:
        """``(3,)`` m/s of the tool frame, base axes."""
        return self.velocity("tool0")[0]

    def between_fingers(self, names: Iterable[str]) -> bool:
        """Whether both fingers touch one of the bodies."""
        return any(set(FINGERS) <= self.touching(name) for name in names)

    def drawer(self, name: str) -> tuple[Array, Array]:
        """The sliding box's middle ``(3,)`` and the unit vector ``(3,)`` that it opens along."""
        yaw = self.cell.scene.object(name).yaw
        return self.position(f"{name}_box"), np.array([math.cos(yaw), math.sin(yaw), 0.0])
