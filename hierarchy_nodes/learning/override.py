"""A person who says once, midway: a few centimetres that way. Is it done, and how far?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware.cell.truth import Truth
from hierarchy_nodes.learning.disturbance import stamped
from hierarchy_nodes.learning.variation import random_motion
from hierarchy_nodes.types import Array, LanguageMotion

if TYPE_CHECKING:
    from hierarchy_nodes.learning.stack import InProcessStack

DURATION = 1.0
DISTANCE = (0.03, 0.08)
# When it is said, seconds after the plan came; how long the arm may lag behind.
_WHEN, _LAG = (0.8, 3.5), 0.15
_FINGERS = {"finger_left", "finger_right"}
# Where the tool may be asked to go, metres.
_LOW, _HIGH = np.array([0.28, -0.36, 0.03]), np.array([0.68, 0.36, 0.50])


@dataclass
class Override:
    """A watcher of an :class:`InProcessStack` that speaks once and measures.

    It asks for nothing that cannot be: to go out of the working space, or aside while the hand is
    closed around a drawer's handle.

    Attributes:
        heard: Whether the stack hears it; what it does that way unasked is the least to beat.
        told: What was said, None before.
        farthest: How far the tool got along it while it was in force, metres.
    """

    rng: np.random.Generator
    heard: bool = True
    told: LanguageMotion | None = None
    farthest: float = 0.0
    _at: float | None = None
    _from: Array = field(default_factory=lambda: np.zeros(3))

    def __call__(self, stack: InProcessStack) -> None:
        tool = stack.cell.tool_position()
        if self.told is not None:
            if stack.time <= self.told.valid_until + _LAG:
                along = float((tool - self._from) @ self.told.direction)
                self.farthest = max(self.farthest, along)
            return
        if self._at is None:
            if stack.plan is not None:
                self._at = stack.time + float(self.rng.uniform(*_WHEN))
            return
        if stack.time < self._at or stack.plan is None or _held_fast(stack):
            return
        for _ in range(50):
            motion = random_motion(self.rng, DISTANCE, DURATION, plain=True)
            end = tool + motion.distance * motion.direction
            if (end > _LOW).all() and (end < _HIGH).all():
                self.told = stamped(motion, stack.time, "override")
                self._from = tool
                if self.heard:
                    stack.correct(self.told)
                return

    def report(self) -> dict[str, Any]:
        """What was asked for and what came of it; empty where the task was over before."""
        if self.told is None:
            return {}
        asked = self.told.distance
        return {
            "direction": [round(float(x), 3) for x in self.told.direction],
            "asked": round(asked, 4),
            "moved": round(self.farthest, 4),
            "share": round(self.farthest / asked, 3),
        }


def _held_fast(stack: InProcessStack) -> bool:
    """Whether the hand is closed around a drawer's handle, from which it cannot go anywhere."""
    truth = Truth(stack.cell)
    drawers = [t.name for t in stack.cell.scene.objects if t.shape == "drawer"]
    return any(truth.touching(f"{name}_box") >= _FINGERS for name in drawers)
