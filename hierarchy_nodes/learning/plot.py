"""Curves as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

Curve = tuple[str, Sequence[float], Sequence[float]]


def draw(path: Path, curves: Sequence[Curve], x_label: str) -> None:
    """Curves (name, x, y) over a linear x and a logarithmic y axis.

    What is not positive is left out; nothing is written where there is nothing to draw.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for name, xs, ys in curves:
        if any(y > 0 for y in ys):
            axes.plot(xs, ys, label=name, linewidth=1)
    if not axes.lines:
        return
    axes.set(xlabel=x_label, yscale="log")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png")
