"""A person who interferes once: drags a thing of the task elsewhere, or holds paper before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from transforms3d.euler import quat2euler

from hardware.cell.cell import Cell
from hardware.cell.tasks import TaskSpec
from hardware.cell.truth import Truth
from hierarchy_nodes.geometry import project
from hierarchy_nodes.learning.variation import movable
from hierarchy_nodes.types import Array, RgbdFrame

if TYPE_CHECKING:
    from hierarchy_nodes.learning.stack import InProcessStack

SURPRISES = ("dragged", "hidden")
# The tasks in which things can be dragged.
FAMILIES = ("place", "stack")
# Seconds after the plan came, from which on it is done as soon as it can be.
_WHEN = (0.3, 3.0)
_DRAG, _FAR = 1.0, (0.06, 0.14)  # seconds, metres
_HIDE = 2.0  # seconds
# Half the side of the paper and its distance in front of the thing, metres.
_HALF, _BEFORE = 0.12, 0.25
_PAPER = (214, 205, 190)
_HAND = {"finger_left", "finger_right", "hand"}


@dataclass
class Surprise:
    """A watcher of an :class:`InProcessStack`.

    Args:
        cell: In which things are moved.
        task: Of which a thing is dragged or hidden.
        kind: One of `SURPRISES`.
        rng: Draws what, when and where to.

    Attributes:
        what: The thing; empty as long as nothing has happened.
        since: When it began.
    """

    cell: Cell
    task: TaskSpec
    kind: str
    rng: np.random.Generator
    what: str = ""
    since: float = np.inf
    _due: float | None = None
    _from: Array | None = None
    _to: Array | None = None
    _let_go: bool = False

    def __call__(self, stack: InProcessStack) -> None:
        now = stack.time
        if self._due is None:
            if stack.plan is not None:
                self._due = now + float(self.rng.uniform(*_WHEN))
            return
        if not self.what:
            if now >= self._due and stack.executive.task is not None:
                self._begin(now)
        elif self.kind == "dragged":
            self._drag(now)
        stack.lens = self._covered if self._hides(now) else None

    def report(self) -> dict[str, Any]:
        """What was done; empty where the task was over before."""
        if not self.what:
            return {}
        found: dict[str, Any] = {"kind": self.kind, "what": self.what}
        if self._from is not None and self._to is not None:
            found["metres"] = round(float(np.linalg.norm(self._to - self._from)), 3)
        return found

    def _begin(self, now: float) -> None:
        if self.kind == "dragged":
            found = movable(self.cell, self.task, self.rng, _FAR, FAMILIES)
            if found is None:
                return
            self.what, self._to = found
            self._from = np.array(self.cell.data.body(self.what).xpos)
        else:
            self.what = str(self.rng.choice([n for n in (self.task.target, self.task.goal) if n]))
        self.since = now

    def _drag(self, now: float) -> None:
        """At an even pace; let go of where the arm gets hold of it."""
        share = (now - self.since) / _DRAG
        if share > 1.0 or self._from is None or self._to is None or self._let_go:
            return
        self._let_go = bool(Truth(self.cell).touching(self.what) & _HAND)
        body = self.cell.data.body(self.what)
        x, y, z = self._from + share * (self._to - self._from)
        yaw = quat2euler(np.array(body.xquat))[2]
        self.cell.move_object(self.what, (float(x), float(y), float(z)), float(yaw))

    def _hides(self, now: float) -> bool:
        return self.kind == "hidden" and self.since <= now < self.since + _HIDE

    def _covered(self, frame: RgbdFrame) -> RgbdFrame:
        """`frame` with a sheet of paper between the camera and the thing."""
        middle = np.array(self.cell.data.body(self.what).xpos)
        pixels, depth = project(middle, frame.intrinsics, frame.camera_pose)
        near = max(float(depth[0]) - _BEFORE, 0.1)
        width, height = frame.intrinsics.width, frame.intrinsics.height
        column, row = pixels[0] * (width, height)
        half = _HALF * frame.intrinsics.fx / near
        rows = slice(max(0, round(row - half)), max(0, round(row + half)))
        columns = slice(max(0, round(column - half)), max(0, round(column + half)))
        color, far = frame.color.copy(), frame.depth.copy()
        shown = (far[rows, columns] == 0) | (far[rows, columns] > near)
        color[rows, columns][shown] = _PAPER
        far[rows, columns][shown] = near
        return replace(frame, color=color, depth=far)
