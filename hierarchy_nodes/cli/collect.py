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
    from hierarchy_nodes.learning.planner import images

    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--episodes", type=int, help="how many demonstrations to try")
    what.add_argument(
        "--images", type=int, metavar="N", help="instead: images with instructions, for a planner"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=None,
        help=f"of the first one (default: {FIRST_SEED} for episodes, {images.FIRST_SEED} for "
        "images)",
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
    from hierarchy_nodes.learning.demonstrations import (
        FIRST_SEED,
        DemonstrationOptions,
        collect,
        specs,
    )

    a = arguments
    if a.images is not None:
        return _images(a)
    options = with_values(DemonstrationOptions(), key_values("--set", a.set))
    families, axes = tuple(a.families), tuple(a.axes)
    seed = FIRST_SEED if a.seed is None else a.seed
    todo = specs(a.episodes, seed, a.out, families, axes, not a.no_video, a.actor, options)
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


def _images(a: argparse.Namespace) -> int:
    from hierarchy_nodes.learning.planner.images import FIRST_SEED, collect_images

    seed = FIRST_SEED if a.seed is None else a.seed
    found = collect_images(a.images, seed, a.out, a.workers, a.ray, a.resume, not a.quiet)
    made, wall = found["made_now"], found["wall_s"]
    print(
        f"{made} images in {wall:.0f} s ({made / max(wall, 1e-3):.1f} a second); {a.out} now has "
        f"{found['images']} images with {found['tasks']} instructions, "
        f"{found['bytes'] / 1e6:.1f} MB"
    )
    return 0
