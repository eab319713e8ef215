"""What is true in a cell, as nothing of the stack may know it: how things lie, move and touch."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.scene import BUTTON_TRAVEL
from hierarchy_nodes.types import Array

# Bodies of a tighter gap than this touch, metres.
_GAP = 0.001


class Truth:
    """The bodies of one cell as they are now; things have the names of the scene."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def position(self, name: str) -> Array:
        """``(3,)`` metres, middle of the body."""
        return np.array(self.cell.data.body(name).xpos)

    def rotation(self, name: str) -> Array:
        """``(3, 3)``, the body's axes in the base frame as columns."""
        return np.array(self.cell.data.body(name).xmat).reshape(3, 3)

    def tilt(self, name: str) -> float:
        """Radians between the body's z axis and the vertical."""
        return math.acos(float(np.clip(self.rotation(name)[2, 2], -1.0, 1.0)))

    def velocity(self, name: str) -> tuple[Array, Array]:
        """``(3,)`` m/s and ``(3,)`` rad/s along the base frame's axes."""
        model, data = self.cell.model, self.cell.data
        body, found = mujoco.mjtObj.mjOBJ_BODY, np.zeros(6)
        mujoco.mj_objectVelocity(model, data, body, model.body(name).id, found, 0)
        return found[3:], found[:3]

    def touching(self, name: str) -> set[str]:
        """Names of the bodies in contact with the body."""
        model, data = self.cell.model, self.cell.data
        own = model.body(name).id
        count = data.ncon
        if not count:
            return set()
        bodies = model.geom_bodyid[data.contact.geom[:count]]
        near = data.contact.dist[:count] < _GAP
        met = bodies[near & (bodies == own).any(axis=1)]
        return {model.body(int(b)).name for pair in met for b in pair if b != own}

    def opening(self, name: str) -> float:
        """Metres that a drawer is open."""
        return float(self.cell.data.joint(f"{name}_slide").qpos[0])

    def pressed(self, name: str) -> float:
        """The deepest that a button has been pressed, as a share of its travel."""
        return self.cell.peaks[f"{name}_cap"] / BUTTON_TRAVEL
