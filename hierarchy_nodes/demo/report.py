"""What a run was, in numbers: read from its recording alone."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from hierarchy_nodes.demo.timeline import Timeline

PACKAGES = ("hierarchy_nodes", "mujoco", "mink", "open3d-cpu", "open3d", "numpy", "ros-rclpy")


def percentiles(seconds: list[float]) -> dict[str, Any]:
    """n, median, p95, p99 and maximum of a list of seconds, in milliseconds."""
    if not seconds:
        return {"n": 0}
    values = np.asarray(seconds) * 1e3
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return {
        "n": len(values),
        "p50": round(float(p50), 2),
        "p95": round(float(p95), 2),
        "p99": round(float(p99), 2),
        "max": round(float(values.max()), 2),
    }


def latencies(line: Timeline) -> dict[str, Any]:
    """Milliseconds from camera stamps to what was made of them, as the recorder received it."""
    return {
        "image_to_plan": percentiles(
            [
                t - p.stamp
                for t, p in zip(line.plans.times, line.plans.values, strict=True)
                if p.path
            ]
        ),
        "image_to_segments": percentiles(line.segment_delays),
        "image_to_chunk": percentiles([t - s for t, s in line.chunks if s > 0]),
        "joint_state_period": percentiles(np.diff(line.states).tolist()),
    }


def phases(line: Timeline, end: float) -> list[dict[str, Any]]:
    """The controller's phases in order: name, seconds after the first plan, duration."""
    series = line.statuses.get("controller")
    began = line.began
    if series is None or not began:
        return []
    found: list[dict[str, Any]] = []
    for time, status in zip(series.times, series.values, strict=True):
        name = status.phase
        # Between two chunks the controller may have no word for what it does.
        if time < began or not name or (found and found[-1]["phase"] == name):
            continue
        found.append({"phase": name, "start": time})
    ends = [*(item["start"] for item in found[1:]), end][: len(found)]
    return [
        {
            "phase": item["phase"],
            "start": round(item["start"] - began, 2),
            "seconds": round(max(0.0, until - item["start"]), 2),
        }
        for item, until in zip(found, ends, strict=True)
    ]


def versions() -> dict[str, str]:
    """Of Python and the packages that matter, where installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
