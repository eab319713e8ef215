"""What was measured: percentiles with their number, beside the target."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Target:
    """An upper bound for one of a measurement's figures: ``p50``, ``p95``, ``p99`` or ``max``."""

    figure: str
    limit: float


@dataclass(frozen=True)
class Measurement:
    """One measured quantity.

    Attributes:
        name: Group and quantity, e.g. ``stop: message to stop command at the driver``.
        n: How many values; figures that are not known are NaN.
        target: None where nobody has set one.
        note: How it was measured, losses and the like.
    """

    name: str
    unit: str
    n: int
    p50: float
    p95: float
    p99: float
    max: float
    target: Target | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or without values."""
        if self.target is None:
            return None
        figure = float(getattr(self, self.target.figure))
        return None if math.isnan(figure) else figure <= self.target.limit


def measurement(
    name: str, values: Iterable[float], unit: str, target: Target | None = None, note: str = ""
) -> Measurement:
    """Percentiles of `values`, which are in `unit`."""
    found = np.array(list(values), dtype=float)
    if len(found) == 0:
        nothing = math.nan
        return Measurement(name, unit, 0, nothing, nothing, nothing, nothing, target, note)
    figures = [*np.percentile(found, [50, 95, 99]), found.max()]
    p50, p95, p99, largest = (round(float(v), 3) for v in figures)
    return Measurement(name, unit, len(found), p50, p95, p99, largest, target, note)


def machine() -> dict[str, Any]:
    """What it was measured on, and how busy that was."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load_1min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def table(measurements: Sequence[Measurement]) -> str:
    """For a terminal: a row for each measurement."""
    rows = [["measured", "n", "p50", "p95", "p99", "max", "unit", "target", ""]]
    for m in measurements:
        figures = ["-" if math.isnan(v) else f"{v:.2f}" for v in (m.p50, m.p95, m.p99, m.max)]
        target = f"{m.target.figure} <= {m.target.limit:g}" if m.target else ""
        met = {True: "met", False: "MISSED", None: ""}[m.met]
        rows.append([m.name, str(m.n), *figures, m.unit, target, met])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in (0, 6, 7, 8) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    notes = [f"  {m.name}: {m.note}" for m in measurements if m.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def as_json(measurements: Sequence[Measurement]) -> str:
    """All of it, with the machine; NaN becomes null."""
    rows = []
    for m in measurements:
        row = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in vars(m).items()}
        row["target"] = asdict(m.target) if m.target else None
        rows.append({**row, "met": m.met})
    return json.dumps({"machine": machine(), "measurements": rows}, indent=2) + "\n"
