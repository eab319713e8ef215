"""Figures that are quoted: shares with their intervals, latencies with their n."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest


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
