"""Figures that are quoted: shares with their intervals, latencies with their n."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from hierarchy_nodes.types import Array


def share(successes: int, episodes: int) -> dict[str, Any]:
    """Success rate with the exact (Clopper-Pearson) 95% interval."""
    if episodes == 0:
        return {"episodes": 0, "successes": 0, "success_rate": None, "interval": [0.0, 1.0]}
    found = binomtest(successes, episodes).proportion_ci(confidence_level=0.95, method="exact")
    return {
        "episodes": episodes,
        "successes": successes,
        "success_rate": successes / episodes,
        "interval": [float(found.low), float(found.high)],
    }


def grouped(outcomes: Iterable[tuple[str, bool]]) -> dict[str, dict[str, Any]]:
    """One :func:`share` for each name among ``(name, success)`` pairs."""
    groups: dict[str, list[bool]] = {}
    for name, success in outcomes:
        groups.setdefault(name, []).append(success)
    return {name: share(sum(found), len(found)) for name, found in sorted(groups.items())}


def latency(seconds: Sequence[float]) -> dict[str, Any]:
    """Median and 99th percentile in milliseconds, and how many were measured."""
    if not len(seconds):
        return {"n": 0, "p50": None, "p99": None}
    p50, p99 = np.percentile(np.asarray(seconds) * 1e3, [50, 99])
    return {"n": len(seconds), "p50": round(float(p50), 3), "p99": round(float(p99), 3)}


def resampled(
    rows: Array, figure: Callable[[Array], float], times: int = 1000
) -> tuple[float, float] | None:
    """Percentile bootstrap: 95% interval of `figure` of ``(n, ...)`` rows; None without rows."""
    if not len(rows):
        return None
    rng = np.random.default_rng(0)
    drawn = [figure(rows[rng.integers(len(rows), size=len(rows))]) for _ in range(times)]
    low, high = np.percentile(np.array(drawn), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def calibration_error(confidence: Array, right: Array, bins: int = 10) -> float:
    """Expected calibration error over equally filled bins (Guo et al. 2017, eq. 3).

    Args:
        confidence, right: ``(n,)`` probabilities, and 1 where what they are about is true.
    """
    total = 0.0
    for part in np.array_split(np.argsort(confidence), bins):
        if len(part):
            total += abs(float(confidence[part].mean() - right[part].mean())) * len(part)
    return total / max(len(confidence), 1)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
