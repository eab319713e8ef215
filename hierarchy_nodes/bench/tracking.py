"""How closely the tool follows a line and a right angle, in the simulated cell."""

from __future__ import annotations

import math

from hierarchy_nodes.bench.results import Measurement, Target


def measure() -> list[Measurement]:
    """Errors of the measured tool along a 20 cm line and a 90 degree turn at normal speed."""
    from hardware.cell.cell import Cell
    from hardware.cell.scene import SceneSpec
    from hierarchy_nodes.arm.tracking import measure_tracking

    cell = Cell(SceneSpec())
    try:
        report = measure_tracking(cell)
    finally:
        cell.close()
    unknown = math.nan
    rows = (
        ("tracking: position error", "mm", 1e3, report.position_max, report.position_mean, 5.0),
        (
            "tracking: orientation error",
            "deg",
            180 / math.pi,
            report.angle_max,
            report.angle_mean,
            2.0,
        ),
    )
    return [
        Measurement(
            name,
            unit,
            report.samples,
            unknown,
            unknown,
            unknown,
            round(largest * scale, 3),
            Target("max", limit),
            f"mean {mean * scale:.2f} {unit} at {report.speed:g} m/s, from the nearest point",
        )
        for name, unit, scale, largest, mean, limit in rows
    ]
