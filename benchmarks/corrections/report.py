"""The figures of ``benchmarks/corrections/run`` as Markdown, with the learning curve as a picture:
``python -m ... FOLDER``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.tables import bars, beside, groups, runs_in, share

CURVE = "learning.png"
LESSONS = 10  # corrected episodes in a round
ROUNDS = [f"after_{i}" for i in range(1, 6)]
PAIRS = (
    ("twins and camera, corrected beside alone", "apart_corrected", "apart_alone"),
    ("basic, after beside before", "base_after", "base"),
)


def main(folder: Path) -> None:
    """Print what `folder` has, and draw the curve into it."""
    runs = runs_in(folder)
    print("\n".join(report(folder, runs)))
    draw(folder / CURVE, runs)


def report(folder: Path, runs: dict[str, Any]) -> Iterator[str]:
    """Lines of Markdown; parts that were not run are left out."""
    rounds = [name for name in ROUNDS if name in runs]
    titles = {"alone": "alone", "corrected": "corrected"}
    titles |= {name: f"alone after {LESSONS * (i + 1)}" for i, name in enumerate(rounds)}
    shown = [name for name in titles if name in runs]
    yield "| hard by | " + " | ".join(titles[name] for name in shown) + " |"
    yield "|---|" + "---|" * len(shown)
    for kind in runs["alone"]["per_hardness"]:
        parts = (share(runs[name]["per_hardness"][kind]) for name in shown)
        yield f"| {kind} | " + " | ".join(parts) + " |"
    yield "| all | " + " | ".join(share(runs[name]) for name in shown) + " |"
    yield ""
    apart = {
        f"{kind}, {how}": part
        for how in ("alone", "corrected")
        for kind, part in runs.get(f"apart_{how}", {}).get("per_hardness", {}).items()
    }
    if apart:
        yield from groups("hard by", apart)
    for name in shown[1:]:
        yield beside(f"{titles[name]} beside alone", folder / f"{name}.json", folder / "alone.json")
    for title, after, before in PAIRS:
        if after in runs and before in runs:
            yield beside(title, folder / f"{after}.json", folder / f"{before}.json")
    for name in ("corrected", *(f"lessons_{i}" for i in range(1, 6))):
        if name in runs:
            said = runs[name]["spoken"]
            yield (
                f"- {name}: {said['utterances']} sentences in {runs[name]['episodes']} episodes, "
                f"understood {share(said['understood'])}"
            )


def draw(path: Path, runs: dict[str, Any]) -> None:
    """Success against corrected episodes, for each hardness and for all; nothing without rounds."""
    names = ["alone", *(name for name in ROUNDS if name in runs)]
    if "alone" not in runs or len(names) == 1:
        return
    lessons = [LESSONS * i for i in range(len(names))]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    kinds = runs["alone"]["per_hardness"]
    for kind in kinds if len(kinds) > 1 else ():
        rates = [100 * runs[name]["per_hardness"][kind]["success_rate"] for name in names]
        axes.plot(lessons, rates, marker=".", linewidth=1, label=kind)
    rates, reach = bars(runs[name] for name in names)
    axes.errorbar(lessons, rates, reach, capsize=3, color="black", label="all, 95%")
    if "corrected" in runs:
        axes.axhline(
            100 * runs["corrected"]["success_rate"], color="gray", ls="--", label="while corrected"
        )
    axes.set(xlabel="corrected episodes learned from", ylabel="done alone, %", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
