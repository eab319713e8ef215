"""Percentiles of the newest durations, and rates."""

from __future__ import annotations

from collections import deque

import numpy as np


class Window:
    """The newest `size` values."""

    def __init__(self, size: int = 1000) -> None:
        self._values = np.full(size, np.nan)
        self._count = 0

    def add(self, value: float) -> None:
        self._values[self._count % len(self._values)] = value
        self._count += 1

    def __len__(self) -> int:
        return min(self._count, len(self._values))

    def percentiles(self, *shares: float) -> list[float]:
        """NaN while there is nothing."""
        if not len(self):
            return [float("nan")] * len(shares)
        return [float(v) for v in np.percentile(self._values[: len(self)], shares)]


class Rate:
    """Events a second over the newest `size` of them."""

    def __init__(self, size: int = 50) -> None:
        self._times: deque[float] = deque(maxlen=size)

    def tick(self, now: float) -> None:
        self._times.append(now)

    def hz(self, now: float) -> float:
        """Counts the silence since the last event too, so that a dead source goes to 0."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(now - self._times[0], 1e-9)
