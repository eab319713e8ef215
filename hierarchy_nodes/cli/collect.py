"""``hierarchy collect``: demonstrations of the expert as a LeRobotDataset."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hierarchy_nodes.cli.arguments import add_set, add_spreading, key_values
from hierarchy_nodes.parameters import with_values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hardware.cell.tasks import AXES, FAMILIES
    from hierarchy_nodes.learning.demonstrations import FIRST_SEED

    parser.add_argument("--episodes", type=int, required=True, help="how many to try")
    parser.add_argument(
        "--seed", type=int, default=FIRST_SEED, help=f"of the first one (default {FIRST_SEED})"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data set")
    parser.add_argument(
        "--families", nargs="+", default=FAMILIES, choices=FAMILIES, help="default: all"
    )
    parser.add_argument("--axes", nargs="+", default=AXES, choices=AXES, help="default: all")
    add_spreading(parser)
    parser.add_argument(
        "--actor",
        default="",
        metavar="WEIGHTS",
        help="let this policy act in turns with the expert, who says what it should have done",
    )
    add_set(parser, "variation.KEY: how often what goes wrong; motions.KEY: thresholds of words")
    parser.add_argument("--resume", action="store_true", help="go on with what DIR holds")
    parser.add_argument("--no-video", action="store_true", help="no images; faster and smaller")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    from hierarchy_nodes.learning.demonstrations import DemonstrationOptions, collect, specs

    a = arguments
    options = with_values(DemonstrationOptions(), key_values("--set", a.set))
    families, axes = tuple(a.families), tuple(a.axes)
    todo = specs(a.episodes, a.seed, a.out, families, axes, not a.no_video, a.actor, options)
    figures = collect(todo, a.out, a.workers, a.ray, a.resume, progress=not a.quiet)
    print(
        f"{figures['kept']} of {figures['tried']} episodes kept "
        f"({figures['discarded_share']:.0%} discarded), {figures['records']} records, "
        f"{figures['bytes_per_record'] / 1000:.1f} kB each, "
        f"{figures['episodes_per_s']:.2f} episodes a second; "
        f"{a.out} now has {figures['episodes']} episodes, {figures['frames']} records"
    )
    for failure in figures["failures"]:
        print(f"  {failure}", file=sys.stderr)
    return 0
