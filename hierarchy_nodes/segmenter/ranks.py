"""Percentiles of few numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.types import Array


def percentiles(values: NDArray, *shares: float) -> Array:
    """Percentiles over the last axis, interpolated linearly as numpy.percentile does.

    For the few hundred numbers of one thing a plain sort is ten times faster than that function.

    Args:
        values: ``(..., N)``, N >= 1.
        shares: M numbers in [0, 100].

    Returns:
        ``(M, ...)`` float64.
    """
    # Bytes are sorted by radix where a stable sort is asked for, all else with vector instructions.
    ordered = np.sort(values, axis=-1, kind="stable" if values.itemsize == 1 else None)
    last = ordered.shape[-1] - 1
    found = []
    for share in shares:
        place = share / 100 * last
        below, above = int(place), min(int(place) + 1, last)
        part = place - below
        found.append((1 - part) * ordered[..., below] + part * ordered[..., above])
    return np.array(found, dtype=float)


def median(values: NDArray) -> Array:
    """Median over the last axis of ``(..., N)``, float64."""
    return percentiles(values, 50.0)[0]
