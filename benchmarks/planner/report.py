"""The figures of ``benchmarks/planner/run`` as Markdown: ``python -m ... FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.tables import beside, groups, runs_in, share
from hierarchy_nodes.learning.statistics import share as counted

AXES = {"axes": "hierarchical", "axes_flat": "flat", "axes_classical": "classical"}
ERRANDS = {
    "multistep": "several steps",
    "multistep_once": "several steps, without check and retry",
}


def main(folder: Path) -> None:
    """Print what `folder` has."""
    runs = runs_in(folder)
    print("\n".join(report(folder, runs)))


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
