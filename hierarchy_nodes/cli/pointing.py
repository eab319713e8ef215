"""``hierarchy evaluate --suite pointing``: a planner's answers on images, nothing executed."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from hierarchy_nodes.cli.arguments import key_values
from hierarchy_nodes.files import write_json

SUITE = "pointing"
PLANNER = "compact"
# Options that no other suite takes.
OPTIONS = ("pictures",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        f"only for --suite {SUITE}",
        "--episodes counts images; what says how episodes are executed is refused",
    )
    group.add_argument(
        "--pictures",
        type=Path,
        metavar="FILE.jpg",
        help="draw some of the answers, wrong ones first",
    )


def run(a: argparse.Namespace) -> int:
    from hierarchy_nodes.learning import pointing
    from hierarchy_nodes.learning.pointing_pictures import write_sheet

    planner = a.planner or PLANNER
    options = key_values("--planner-option", a.planner_option)
    todo = pointing.specs(
        a.episodes, a.seed, planner, options, a.final, tuple(a.axes), a.pictures is not None
    )
    begin = time.perf_counter()
    results = pointing.run(todo, a.workers, not a.quiet, a.ray)
    wall = time.perf_counter() - begin
    summary = pointing.summarise(
        results,
        suite=SUITE,
        planner=planner,
        planner_options=options,
        seed=a.seed,
        workers=a.workers,
        wall_s=round(wall, 1),
    )
    if a.json is not None:
        write_json(a.json, summary)
    if a.pictures is not None:
        drawn = [r for r in results if r.picture]
        wrong, right = ([r.picture for r in drawn if r.right == k] for k in (False, True))
        print(f"{write_sheet(a.pictures, wrong, right)} answers drawn: {a.pictures}")
    _tell(a, summary, wall)
    return 0


def _tell(a: argparse.Namespace, summary: dict[str, Any], wall: float) -> None:
    print(f"{SUITE}, {summary['planner']}: {len(summary['results'])} images in {wall:.0f} s")
    for name in ("target", "goal", "planned"):
        print(f"  {name:<16} {_share(summary[name])}")
    end, motion, absent = summary["end_widths"], summary["motion"], summary["absent"]
    sure, took = summary["calibration"], summary["latency_ms"]["planner"]
    print(f"  path's end off   {_value(end, 'mean')} widths, n {end['n']}")
    print(f"  motion, top 1    {_value(motion, 'top1')}, {motion['ticks']} ticks")
    print(f"  absent precision {_share(absent['precision'])}")
    print(f"  absent recall    {_share(absent['recall'])}")
    print(f"  calibration off  {_value(sure, 'error')}, n {sure['n']}")
    print(f"  a plan took      p50 {took['p50']} ms, p99 {took['p99']} ms, n {took['n']}")
    for axis, found in summary["per_axis"].items():
        print(
            f"  {axis:<16} target {_share(found['target'])}; goal {_share(found['goal'])}; end "
            f"{_value(found['end_widths'], 'mean')}; motion {_value(found['motion'], 'top1')}; "
            f"absent {_share(found['absent']['recall'])}"
        )


def _share(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    rate = found["success_rate"]
    told = "-" if rate is None else f"{rate:.1%} ({low:.1%} to {high:.1%})"
    return f"{told} of {found['episodes']}"


def _value(found: dict[str, Any], name: str) -> str:
    if found[name] is None:
        return "-"
    low, high = found["interval"]
    return f"{found[name]:.3f} ({low:.3f} to {high:.3f})"
