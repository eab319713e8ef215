"""A person who changes their mind midway, and comes back to the first task in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware.cell.errands import Errand
from hardware.cell.referee import Referee, Verdict
from hardware.cell.truth import Truth
from hierarchy_nodes.types import Array

if TYPE_CHECKING:
    from hardware.cell.cell import Cell
    from hierarchy_nodes.learning.stack import InProcessStack

# Before the first thing is taken; while it is carried; just after it was let go.
MOMENTS = ("early", "mid", "late")
# Seconds from what marks the moment until it is said.
_WAIT = {"early": (0.2, 1.2), "mid": (0.3, 1.0), "late": (0.0, 0.3)}
_CARRIED = 0.03  # metres over where it stood
_FINGERS = {"finger_left", "finger_right"}
# What falls farther than this was dropped, metres; a bowl is 45 mm deep.
DROP = 0.07
_LANDED = 0.8  # seconds after which a thing that was let go lies somewhere
# For each of the tasks, seconds.
_LIMIT, _REST = 120.0, 1.0
BACK = "now go back to the first task"


class Falls:
    """Watches how far things fall once they are let go.

    Attributes:
        farthest: Metres, of all so far.
    """

    def __init__(self, cell: Cell) -> None:
        self._truth = Truth(cell)
        self._names = [t.name for t in cell.scene.objects if t.shape in ("block", "cylinder")]
        self._held: dict[str, float] = {}
        self._falling: list[tuple[str, float, float]] = []
        self.farthest = 0.0

    def __call__(self, stack: InProcessStack) -> None:
        now = stack.time
        for name in self._names:
            held = self._truth.touching(name) >= _FINGERS
            height = float(self._truth.position(name)[2])
            if held:
                self._held[name] = height
            elif name in self._held:
                self._falling.append((name, self._held.pop(name), now + _LANDED))
        for entry in [e for e in self._falling if e[2] <= now]:
            self._falling.remove(entry)
            if entry[0] not in self._held:
                fell = entry[1] - float(self._truth.position(entry[0])[2])
                self.farthest = max(self.farthest, fell)


@dataclass
class Switching:
    """Says midway to do the other task, and when that has ended, to go back.

    Args:
        cell: Stepped by nobody but the stack.
        errand: A pair of tasks.
        moment: One of `MOMENTS`.
        rng: Draws when it is said.

    Attributes:
        said: When the other task was asked for; None before.
    """

    cell: Cell
    errand: Errand
    moment: str
    rng: np.random.Generator
    said: float | None = None
    _due: float | None = None
    _carried: bool = False
    _start: Array = field(init=False)

    def __post_init__(self) -> None:
        self._truth = Truth(self.cell)
        self._first, self._second = (Referee(self.cell, aim) for aim in self.errand.aims)
        self._start = self._truth.position(self.errand.aims[0].target)

    def __call__(self, stack: InProcessStack) -> None:
        """A watcher of the stack."""
        if self.said is not None:
            return
        if self._due is None and self._reached(stack):
            self._due = stack.time + float(self.rng.uniform(*_WAIT[self.moment]))
        if self._due is not None and stack.time >= self._due:
            self._speak(stack)

    def run(self, stack: InProcessStack) -> tuple[Verdict, dict[str, Any]]:
        """Both tasks; the verdict is about the other one and about what fell."""
        falls = Falls(self.cell)
        stack.watchers += [falls, self]
        stack.execute(self.errand.instruction, _LIMIT, 3)
        if self.said is None:
            # It ended too early, in whatever way.
            self._speak(stack)
        self._finish(stack)
        asked = self._second.verdict()
        stack.say(BACK)
        self._finish(stack)
        resumed, kept = self._first.verdict(), self._second.verdict()
        dropped = falls.farthest > DROP
        reason = asked.reason if not asked.success else f"something fell {falls.farthest:.2f} m"
        report = {
            "moment": self.moment,
            "done": asked.success,
            "fell": round(falls.farthest, 3),
            "dropped": dropped,
            "resumed": resumed.success and kept.success,
            "resumed_reason": resumed.reason if kept.success else kept.reason,
        }
        ok = asked.success and not dropped
        return Verdict(ok, asked.reason if ok else reason), report

    def _speak(self, stack: InProcessStack) -> None:
        self.said = stack.time
        stack.say(f"no, {self.errand.aims[1].instruction} instead")

    def _finish(self, stack: InProcessStack) -> None:
        stack.run(_LIMIT, lambda: stack.executive.task is None)
        stack.run(_REST)

    def _reached(self, stack: InProcessStack) -> bool:
        """Whether what marks the moment has come."""
        target = self.errand.aims[0].target
        held = self._truth.touching(target) >= _FINGERS
        risen = float(self._truth.position(target)[2] - self._start[2]) > _CARRIED
        if self.moment == "early":
            return stack.plan is not None
        if self.moment == "mid":
            return held and risen
        self._carried = self._carried or (held and risen)
        return self._carried and not held
