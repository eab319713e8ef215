"""How far the things that a plan talks about have moved since it was drawn."""

from __future__ import annotations

from collections import deque

import numpy as np

from hierarchy_nodes.types import Array, Role, Segments


class Anchor:
    """The displacement of one segment, steadied.

    A single odd box does not move it (median of three), nor does jitter below `deadband` metres,
    nor a segment with a health below `min_health` (half hidden: its box is not to be trusted).
    """

    def __init__(self, deadband: float, min_health: float) -> None:
        self._deadband, self._min_health = deadband, min_health
        self._reference: Array | None = None
        self._recent: deque[Array] = deque(maxlen=3)
        self._stamp = -np.inf
        self._lost_since: float | None = None
        self.offset: Array = np.zeros(3)

    def update(self, segments: Segments, role: Role, now: float) -> None:
        """Take in newer `segments`."""
        segment = segments.role(role)
        if segment is None or segments.stamp <= self._stamp:
            return
        self._stamp = segments.stamp
        if segment.lost:
            self._lost_since = now if self._lost_since is None else self._lost_since
            return
        self._lost_since = None
        if segment.health < self._min_health:
            return
        if self._reference is None:
            self._reference = segment.centroid
        self._recent.append(segment.centroid - self._reference)
        if len(self._recent) < 3:
            return
        moved = np.median(np.array(self._recent), axis=0)
        change = moved - self.offset
        # A box's height follows what is hidden of it: a moved thing still stands on the table.
        if abs(change[2]) < 2 * self._deadband:
            change[2] = 0.0
        if np.linalg.norm(change) > self._deadband:
            self.offset = self.offset + change

    def lost_for(self, now: float) -> float:
        """Seconds since the thing was lost; 0 while it is seen."""
        return 0.0 if self._lost_since is None else now - self._lost_since
