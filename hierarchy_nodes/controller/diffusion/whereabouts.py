"""Whether the arm gets anywhere: one that comes and goes in the same places does not."""

from __future__ import annotations

import numpy as np

from hierarchy_nodes.types import Array

# Metres between two places. Opening the fingers all the way counts as so many, too.
_MOVED, _ELSEWHERE, _OPENED = 0.015, 0.04, 0.15
# Between two looks that are further apart the arm was held, which is nobody's fault: seconds.
_HELD = 0.5


class Whereabouts:
    """Where the tool and the fingers have been.

    Attributes:
        still: Seconds since they last moved.
        nowhere: Seconds, at normal speed, since they were last where they had not been before.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: every place is new again."""
        self._stamp: float | None = None
        self._places: Array = np.empty((0, 4))
        self._last = np.full(4, np.inf)
        self.still = self.nowhere = 0.0

    def see(self, tool: Array, gripper: float, stamp: float, speed: float) -> None:
        """Take in where they are now.

        Args:
            tool: ``(3,)`` base frame, metres.
            gripper: Opening.
            stamp: When, seconds.
            speed: Of the arm, as a share of the normal one.
        """
        passed = 0.0 if self._stamp is None else stamp - self._stamp
        passed = passed if passed <= _HELD else 0.0
        self._stamp = stamp
        self.still += passed
        self.nowhere += passed * speed
        here = np.array([*tool, _OPENED * gripper])
        if np.linalg.norm(here - self._last) > _MOVED:
            self._last, self.still = here, 0.0
        away = np.linalg.norm(self._places - here, axis=1)
        if away.min(initial=np.inf) > _ELSEWHERE:
            self._places = np.vstack([self._places, here])
            self.nowhere = 0.0
