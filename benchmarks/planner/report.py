"""The figures of ``benchmarks/planner/run`` as Markdown, with the seven axes as a picture:
``python -m ... FOLDER``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.tables import bars, beside, groups, runs_in, share
from hierarchy_nodes.learning.statistics import share as counted

AXES = {"axes": "hierarchical", "axes_flat": "flat", "axes_classical": "classical"}
PICTURE = "axes.png"
ERRANDS = {
    "multistep": "several steps",
    "multistep_once": "several steps, without check and retry",
}


def main(folder: Path) -> None:
    """Print what `folder` has, and draw the axes into it."""
    runs = runs_in(folder)
    print("\n".join(report(folder, runs)))
    draw(folder / PICTURE, {AXES[name]: runs[name] for name in AXES if name in runs})


def report(folder: Path, runs: dict[str, Any]) -> Iterator[str]:
    """Lines of Markdown; parts that were not run are left out."""
    yield from _axes(folder, {name: runs[name] for name in AXES if name in runs})
    for name, title in ERRANDS.items():
        if name in runs:
            yield from groups(title, runs[name]["per_family"] | {"all": runs[name]})
    if "surprises" in runs:
        found = runs["surprises"]
        yield from groups("interfered with", found["surprises"] | {"all": found})
    if "switch" in runs:
        yield "| told to do another task | done | dropped | the first one afterwards |"
        yield "|---|---|---|---|"
        for moment, part in runs["switch"]["switch"].items():
            done, resumed = share(part["done"]), share(part["resumed"])
            yield f"| {moment} | {done} | {part['dropped']} | {resumed} |"
        yield ""


def _axes(folder: Path, runs: dict[str, Any]) -> Iterator[str]:
    if "axes" not in runs:
        return
    yield "| axis | " + " | ".join(AXES[name] for name in runs) + " |"
    yield "|---|" + "---|" * len(runs)
    for axis in runs["axes"]["per_axis"]:
        yield f"| {axis} | " + " | ".join(share(r["per_axis"][axis]) for r in runs.values()) + " |"
    yield "| all | " + " | ".join(share(r) for r in runs.values()) + " |"
    yield ""
    for name in runs:
        if name != "axes":
            title = f"hierarchical beside {AXES[name]}"
            yield beside(title, folder / "axes.json", folder / f"{name}.json")
    results = runs["axes"]["results"]
    first = sum(r["success"] and r["attempts"] == 1 for r in results)
    yield f"- hierarchical, with its first plan: {share(counted(first, len(results)))}"
    yield ""


def draw(path: Path, policies: dict[str, Any]) -> None:
    """Success on each axis by each of `policies`, with intervals; nothing without any."""
    if not policies:
        return
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for place, (name, run) in enumerate(policies.items()):
        parts = run["per_axis"]
        rates, reach = bars(parts.values())
        places = [i + 0.15 * (place - (len(policies) - 1) / 2) for i in range(len(parts))]
        axes.errorbar(places, rates, reach, fmt="o", capsize=3, label=name)
    axes.set_xticks(range(len(parts)), parts)
    axes.set(ylabel="done, % (95% interval)", ylim=(0, 102))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
