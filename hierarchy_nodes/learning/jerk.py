"""How smooth the arm is told to move: the third difference of the tool's setpoints."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from hierarchy_nodes.types import Array

if TYPE_CHECKING:
    from hierarchy_nodes.learning.stack import InProcessStack

# Ticks after a new chunk that its border reaches: as many as a third difference spans.
_SPAN = 3


class JerkMeter:
    """A watcher of an :class:`InProcessStack`.

    Args:
        period: Seconds between two setpoints.

    Attributes:
        border: Largest jerk in m/s^3 in the ticks at which one chunk takes the place of another.
        inside: Largest elsewhere.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._points: deque[Array] = deque(maxlen=4)
        self._accepted = self._restarts = 0
        self._since = _SPAN + 1
        self.border = self.inside = 0.0

    def __call__(self, stack: InProcessStack) -> None:
        if stack.setpoint is None or not np.isfinite(stack.setpoint.positions).all():
            return
        counts = stack.executor.statistics
        accepted = counts.accepted
        self.add(
            stack.executor.kinematics.forward(stack.setpoint.positions).position,
            accepted != self._accepted,
            # Setpoints that begin anew where a blocked arm was found are no motion.
            bool(stack.executor.reason) or counts.restarts != self._restarts,
        )
        self._accepted, self._restarts = accepted, counts.restarts

    def add(self, point: Array, new_chunk: bool, holding: bool = False) -> None:
        """One setpoint ``(3,)``; a hold is neither a border nor inside a chunk."""
        if holding:
            self._points.clear()
            self._since = _SPAN + 1
            return
        self._points.append(point)
        self._since = 0 if new_chunk else self._since + 1
        if len(self._points) < 4:
            return
        a, b, c, d = self._points
        jerk = float(np.linalg.norm(d - 3 * c + 3 * b - a)) / self._period**3
        if self._since <= _SPAN:
            self.border = max(self.border, jerk)
        else:
            self.inside = max(self.inside, jerk)
