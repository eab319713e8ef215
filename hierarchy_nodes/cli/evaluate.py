"""``hierarchy evaluate``: success over many seeded episodes, as JSON."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hierarchy_nodes.learning.evaluation import POLICIES, SUITES

    parser.add_argument("--suite", default="place", choices=SUITES, help="which tasks")
    parser.add_argument("--policy", default="classical", choices=tuple(POLICIES), help="who acts")
    parser.add_argument("--episodes", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (default 0)")
    parser.add_argument(
        "--json", type=Path, default=None, metavar="FILE", help="write figures here"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="episodes at a time, in processes of their own (default: one a core)",
    )
    parser.add_argument(
        "--through-ros",
        action="store_true",
        help="run the real nodes and the cell as processes, in real time, one episode at a time",
    )
    parser.add_argument(
        "--final",
        action="store_true",
        help="allow seeds of the reserved range; only for the final comparison",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    from hierarchy_nodes.learning import evaluation

    a = arguments
    specs = evaluation.episodes(a.suite, a.episodes, a.seed, a.policy, a.final)
    begin = time.perf_counter()
    if a.through_ros:
        from hierarchy_nodes.learning.through_ros import RosRunner

        with RosRunner() as runner:
            results = evaluation.run_in_turn(specs, runner, not a.quiet)
    else:
        results = evaluation.run_in_process(specs, a.workers, not a.quiet)
    wall = time.perf_counter() - begin
    summary = evaluation.summarise(
        results,
        suite=a.suite,
        policy=a.policy,
        seed=a.seed,
        through_ros=a.through_ros,
        workers=1 if a.through_ros else a.workers,
        wall_s=round(wall, 1),
    )
    if a.json is not None:
        evaluation.write(summary, a.json)
    low, high = summary["interval"]
    print(
        f"{a.suite}, {a.policy}: {summary['successes']} of {summary['episodes']} "
        f"({summary['success_rate']:.0%}, 95% interval {low:.0%} to {high:.0%}), "
        f"{len(results) / wall * 60:.1f} episodes a minute"
    )
    for name, figures in summary["latency_ms"].items():
        if figures["n"]:
            print(f"  {name}: p50 {figures['p50']} ms, p99 {figures['p99']} ms, n {figures['n']}")
    for failure in summary["failures"]:
        told = f"; the stack says {failure['code']}: {failure['message']}"
        print(
            f"  seed {failure['seed']} '{failure['instruction']}': {failure['reason']}"
            f"{told if failure['message'] else ''}",
            file=sys.stderr,
        )
    return 0
