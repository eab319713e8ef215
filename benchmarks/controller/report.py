"""The figures of ``benchmarks/controller/run`` as Markdown: ``python -m ... FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.tables import groups, runs_in, share
from hierarchy_nodes.learning.comparison import compare

NAMES = {
    "families": "all families",
    "again": "all families, weights made once more by the same commands",
    "path_only": "path only, no masks",
    "masks_only": "masks only, no path",
    "words_only": "words and corrections only",
    "camera": "camera 20 cm, 20 degrees away",
    "axes": "hierarchical, four new axes",
    "axes_flat": "flat, four new axes",
    "full_stride": "100 full steps, 0.8 s of each chunk executed",
    "full": "100 full steps at every observation",
    "full_calm": "100 full steps at every observation, from zero instead of noise",
    **{f"late_{ms}": f"{ms} ms later" for ms in (50, 100, 200)},
    **{f"late_{ms}_free": f"{ms} ms later, without prefix" for ms in (50, 100, 200)},
}
# Which run each of these is compared with, episode by episode.
BESIDE = {"axes_flat": "axes"}
_TIMES = ("n", "p50", "p99")


def main(folder: Path) -> None:
    """Print what `folder` has."""
    runs = runs_in(folder)
    print("\n".join(report(folder, runs)))


def report(folder: Path, runs: dict[str, Any]) -> Iterator[str]:
    """Lines of Markdown; parts that were not run are left out."""
    if "families" in runs:
        yield from groups("family", runs["families"]["per_family"])
    for name in ("axes", "axes_flat"):
        if name in runs:
            yield from groups(NAMES[name], runs[name]["per_axis"])
    yield "| what | success | the same episodes | difference | p | jerk, border : inside |"
    yield "|---|---|---|---|---|---|"
    for name, title in NAMES.items():
        if name in runs:
            yield f"| {title} | {share(runs[name])} | {_beside(folder, name, runs)} |"
    yield ""
    for name in ("corrections", "motion_only", "unheard"):
        # Where everything failed before anything was said, there are none.
        if found := runs.get(name, {}).get("corrections"):
            yield (
                f"- {name}: went that way {share(found['obeyed'])}; "
                f"then done {share(found['success_after'])}"
            )
    for found in runs.get("bench", {}).get("measurements", []):
        yield f"- {found['name']}: " + ", ".join(f"{k} {found[k]:.4g}" for k in _TIMES) + " ms"


def _beside(folder: Path, name: str, runs: dict[str, Any]) -> str:
    jerk = runs[name].get("jerk")
    ratio = f"{jerk['border_over_inside']:.2f}" if jerk else ""
    other = BESIDE.get(name, "families")
    if other == name or other not in runs or (other == "families" and name == "axes"):
        return f" | | | {ratio}"
    pair = compare(folder / f"{name}.json", folder / f"{other}.json")
    rate = f"{pair['second_result']['success_rate']:.1%}, n {pair['episodes']}"
    return f"{rate} | {pair['difference']:+.1%} | {pair['p']:.2g} | {ratio}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
