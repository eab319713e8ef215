"""The truth about a cell, for expert and true plan; nothing that is evaluated looks here."""

from __future__ import annotations

import math
from collections.abc import Iterable

import mujoco
import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.scene import BUTTON_TRAVEL, ObjectSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.types import Array

FINGERS = ("finger_left", "finger_right")
# From the middle of a drawer's sliding box along its axis, metres: middle and tip of the knob.
KNOB_MIDDLE, KNOB_TIP = 0.115, 0.129


class World:
    """Where things are and what touches what, in the cell of one task.

    Attributes:
        start: ``(3,)`` where the target stood at first, metres.
    """

    def __init__(self, cell: Cell, task: TaskSpec) -> None:
        self.cell, self.task = cell, task
        self.target = cell.scene.object(task.target)
        self.goal = cell.scene.object(task.goal) if task.goal else None
        self._hand = cell.model.body("hand").id
        self.start = self.position(task.target)

    @property
    def time(self) -> float:
        return self.cell.time

    def others(self) -> list[ObjectSpec]:
        """All but target and goal."""
        known = {self.task.target, self.task.goal}
        return [thing for thing in self.cell.scene.objects if thing.name not in known]

    def position(self, name: str) -> Array:
        """``(3,)`` metres, middle of the body."""
        return np.array(self.cell.data.body(name).xpos)

    def rotation(self, name: str) -> Array:
        """``(3, 3)``, the body's axes in the base frame as columns."""
        return np.array(self.cell.data.body(name).xmat).reshape(3, 3)

    def tilt(self, name: str) -> float:
        """Radians between the body's z axis and the vertical."""
        return math.acos(float(np.clip(self.rotation(name)[2, 2], -1.0, 1.0)))

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
        velocity = np.zeros(6)
        tool = self.cell.model.body("tool0").id
        mujoco.mj_objectVelocity(
            self.cell.model, self.cell.data, mujoco.mjtObj.mjOBJ_BODY, tool, velocity, 0
        )
        return velocity[3:]

    def touching(self, name: str) -> set[str]:
        """Names of the bodies in contact with the body."""
        model, data = self.cell.model, self.cell.data
        own = model.body(name).id
        count = data.ncon
        if not count:
            return set()
        bodies = model.geom_bodyid[data.contact.geom[:count]]
        near = data.contact.dist[:count] < 0.001
        met = bodies[near & (bodies == own).any(axis=1)]
        return {model.body(int(b)).name for pair in met for b in pair if b != own}

    def between_fingers(self, names: Iterable[str]) -> bool:
        """Whether both fingers touch one of the bodies."""
        return any(set(FINGERS) <= self.touching(name) for name in names)

    def opening(self, name: str) -> float:
        """Metres that a drawer is open."""
        return float(self.cell.data.joint(f"{name}_slide").qpos[0])

    def drawer(self, name: str) -> tuple[Array, Array]:
        """The sliding box's middle ``(3,)`` and the unit vector ``(3,)`` that it opens along."""
        yaw = self.cell.scene.object(name).yaw
        return self.position(f"{name}_box"), np.array([math.cos(yaw), math.sin(yaw), 0.0])

    def pressed(self, name: str) -> float:
        """The deepest that a button has been pressed, as a share of its travel."""
        return self.cell.peaks[f"{name}_cap"] / BUTTON_TRAVEL
