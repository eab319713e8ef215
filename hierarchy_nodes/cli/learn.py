"""``hierarchy learn``: a better planner out of what people corrected."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierarchy_nodes.cli.arguments import add_set, key_values
from hierarchy_nodes.cli.train import require_torch
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import with_values
from hierarchy_nodes.planner.compact.versions import PACKAGE, Versions, default_folder

# What --rollback has without a number: to the version before.
_BEFORE = -1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="learn from the recordings in DIR"
    )
    what.add_argument("--list", action="store_true", help="list the versions")
    what.add_argument(
        "--rollback",
        nargs="?",
        type=int,
        const=_BEFORE,
        metavar="N",
        help="use version N again (0: the package's own weights); without N: the one before",
    )
    parser.add_argument(
        "--versions",
        type=Path,
        metavar="DIR",
        help="where versions are kept (default: $HIERARCHY_VERSIONS, else among the user's data)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="what was learned from at first, of 'hierarchy collect --images'; default: some "
        "hundred images are made, once",
    )
    parser.add_argument(
        "--weights", default="", metavar="FILE", help="begin with these (default: those in use)"
    )
    parser.add_argument(
        "--export-chat",
        type=Path,
        metavar="FILE",
        help="instead: write the lessons as JSON lines for fine-tuning a chat model",
    )
    parser.add_argument("--steps", type=int, default=None, help="default 300")
    parser.add_argument("--rate", type=float, default=None, help="learning rate; default 1e-4")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument(
        "--worse",
        type=float,
        default=None,
        metavar="POINTS",
        help="refuse if what was known before gets worse by more percentage points, all versions "
        "since the package's weights together (default 2)",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default auto"
    )
    add_set(parser, "any other option of learning, such as share=0.1, or variation.KEY")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    a = arguments
    if a.export_chat is not None:
        return _export(a)
    versions = Versions(a.versions or default_folder())
    if a.list:
        print("\n".join([*versions.described(), f"in {versions.folder}"]))
        return 0
    if a.rollback is not None:
        number = versions.roll_back(None if a.rollback == _BEFORE else a.rollback)
        own = " (the package's own weights)" if number == PACKAGE else ""
        print(f"version {number}{own} is current")
        return 0
    return _learn(a, versions)


def _learn(a: argparse.Namespace, versions: Versions) -> int:
    require_torch()
    from hierarchy_nodes.learning.lessons.learn import learn, summary

    learned = learn(
        a.source,
        versions,
        _options(a),
        base=a.data,
        weights=a.weights,
        resume=a.resume,
        progress=_bars(a),
    )
    print("\n".join(summary(learned)))
    return 1 if learned.refused else 0


def _options(a: argparse.Namespace) -> Any:
    from hierarchy_nodes.learning.lessons.training import LearningOptions

    said = {name: getattr(a, name) for name in ("steps", "rate", "seed", "worse", "device")}
    options = with_values(LearningOptions(), {k: v for k, v in said.items() if v is not None})
    options = replace(options, warmup=min(options.warmup, options.steps // 10))
    return with_values(options, key_values("--set", a.set))


def _export(a: argparse.Namespace) -> int:
    if a.source is None:
        raise ConfigError("--export-chat: name the recordings with --from DIR.")
    from hierarchy_nodes.learning.lessons.chat import export
    from hierarchy_nodes.learning.lessons.store import gather
    from hierarchy_nodes.learning.lessons.tape import recordings_in

    found = gather(recordings_in(a.source), _bars(a))
    count = export(found.lessons, a.export_chat)
    print(f"{count} conversations from {len(found.lessons)} images in {a.export_chat}")
    for why, number in found.left_out().items():
        print(f"  left out: {number} x {why}")
    return 0


def _bars(a: argparse.Namespace) -> bool:
    return not a.quiet and sys.stderr.isatty()
