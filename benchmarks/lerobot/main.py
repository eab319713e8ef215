"""``benchmarks/lerobot/run``: train, time and evaluate LeRobot's policy and ours."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.lerobot import report, timing
from benchmarks.lerobot.baseline import maker, policy_class, rate_of
from benchmarks.lerobot.episodes import file_of, read, run_all
from benchmarks.lerobot.training import (
    FACTS,
    BaselineTrainer,
    TimedTrainer,
    finished,
    options_for,
)
from benchmarks.lerobot.variants import OURS, SLOW, VARIANTS
from hierarchy_nodes.errors import HierarchyError
from hierarchy_nodes.learning.dataset import load_arrays
from hierarchy_nodes.learning.training import TrainingOptions

PARTS = ("train", "time", "evaluate")
# LeRobot's preset for the gradient; the learning rate is the network's affair.
_CLIP = 10.0


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    cores = len(os.sched_getaffinity(0))
    p = argparse.ArgumentParser(prog="benchmarks/lerobot/run", description=__doc__)
    add = p.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="from 'hierarchy collect'")
    add("--out", type=Path, required=True, metavar="DIR", help="everything that is made")
    add("--minutes", type=float, default=30.0, help="of training, each (default 30)")
    add("--batch", type=int, default=128, help="records in a step (default 128)")
    add("--threads", type=int, default=cores, help="of training (default: one a core)")
    add("--chunks", type=int, default=200, help="that are timed, each (default 200)")
    add("--timed-threads", type=int, nargs="+", default=[1, 2], help="default 1 2")
    add("--episodes", type=int, default=140, help="of each variant (default 140)")
    add("--seed", type=int, default=1000, help="of the first episode (default 1000)")
    add("--workers", type=int, default=cores, help="episodes at a time (default: one a core)")
    add("--timing-minutes", type=float, default=10.0, help="at most, each (default 10)")
    add(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        help="that are trained and timed (default: all)",
    )
    add(
        "--evaluated",
        nargs="+",
        choices=VARIANTS,
        help=f"of those (default: all that --variants names, or all but {', '.join(SLOW)})",
    )
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), help="default: all in turn")
    add("--quiet", action="store_true", help="no progress bars")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    a = parser().parse_args(arguments)
    try:
        print(run(a), end="")
    except HierarchyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def run(a: argparse.Namespace) -> str:
    """Do the parts that are asked for; returns the table."""
    progress = not a.quiet and sys.stderr.isatty()
    variants = a.variants or list(VARIANTS)
    policies = list(dict.fromkeys(VARIANTS[name].trained for name in variants))
    if any(name != OURS for name in policies):
        policy_class()
    a.out.mkdir(parents=True, exist_ok=True)
    out = a.out.resolve()
    found = report.load(out)
    if "train" in a.only:
        found["training"] = found.get("training", {}) | train(a, out, policies, progress)
        report.save(out, found)
    if "time" in a.only:
        found["timing"] = {
            str(n): timing.measure(out, variants, a.chunks, n, a.timing_minutes, progress)
            for n in a.timed_threads
        }
        report.save(out, found)
    if "evaluate" in a.only:
        found.setdefault("evaluation", {})
        ours = read(file_of(out, OURS))
        for name in a.evaluated or a.variants or [n for n in variants if n not in SLOW]:
            results = run_all(out, name, a.episodes, a.seed, a.workers, progress)
            ours = results if name == OURS else ours
            found["evaluation"][name] = report.evaluation(results, ours)
            report.save(out, found)
    found["arguments"] = {k: v for k, v in vars(a).items() if k not in ("data", "out", "quiet")}
    return report.save(out, found)


def train(
    a: argparse.Namespace, out: Path, policies: list[str], progress: bool
) -> dict[str, dict[str, Any]]:
    """Train what is not trained yet; facts by policy."""
    torch.set_num_threads(a.threads)
    arrays = None
    for name in policies:
        if finished(out / name, a.minutes):
            continue
        arrays = arrays or load_arrays(a.data)
        print(f"{name}: {a.minutes:g} minutes of training", file=sys.stderr)
        trainer: TimedTrainer
        if name == OURS:
            options = options_for(a.batch, 0, TrainingOptions.rate, TrainingOptions.clip)
            trainer = TimedTrainer(arrays, out / name, options, a.minutes)
        else:
            options = options_for(a.batch, 0, rate_of(name), _CLIP)
            trainer = BaselineTrainer(arrays, out / name, options, a.minutes, maker(name))
        trainer.restore()
        trainer.run(progress)
    return {n: json.loads((out / n / FACTS).read_text(encoding="utf-8")) for n in policies}


if __name__ == "__main__":
    sys.exit(main())
