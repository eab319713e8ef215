"""``hierarchy evaluate``: success over many seeded episodes, as JSON."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hierarchy_nodes.cli import pointing
from hierarchy_nodes.cli.arguments import add_spreading, key_values
from hierarchy_nodes.files import write_json

# Options that say how episodes are executed.
EXECUTION = (
    "policy",
    "plan",
    "resume",
    "inject_latency",
    "perturb",
    "drop",
    "camera_shift",
    "controller_option",
    "attempts",
    "no_verify",
    "time_limit",
    "until_done",
    "through_ros",
    "person",
    "record",
)
# The suites that axes can be chosen for.
BY_AXIS = ("axes", pointing.SUITE)
ATTEMPTS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hardware.cell.tasks import AXES
    from hierarchy_nodes.controller.diffusion.features import CHANNELS
    from hierarchy_nodes.learning.evaluation import ERRAND_TIME, PLANS, SUITES, TOLD, EpisodeSpec
    from hierarchy_nodes.learning.exchanges import NONE, PEOPLE
    from hierarchy_nodes.learning.hardness import HARDNESSES
    from hierarchy_nodes.learning.policies import POLICIES

    suites = (*SUITES, pointing.SUITE)
    parser.add_argument("--suite", default="place", choices=suites, help="which tasks")
    parser.add_argument(
        "--axes", nargs="+", default=AXES, choices=AXES, help="of the suites axes and pointing"
    )
    parser.add_argument(
        "--hardness", nargs="+", default=HARDNESSES, choices=HARDNESSES, help=f"of the suite {TOLD}"
    )
    parser.add_argument("--policy", default="classical", choices=tuple(POLICIES), help="who acts")
    parser.add_argument(
        "--plan",
        choices=PLANS,
        default=None,
        help="true: drawn from the simulator's truth; planner: by the planner (default: planner "
        "for classical, true for the others)",
    )
    parser.add_argument(
        "--planner",
        metavar="NAME",
        help=f"planner backend in place of the policy's own (suite pointing: {pointing.PLANNER})",
    )
    parser.add_argument(
        "--planner-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the planner backend, weights=FILE for example; may be given several times",
    )
    parser.add_argument("--episodes", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (default 0)")
    parser.add_argument(
        "--json", type=Path, default=None, metavar="FILE", help="write figures here"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an interrupted run, whose finished episodes are in FILE.episodes",
    )
    add_spreading(parser)
    parser.add_argument(
        "--inject-latency", type=float, default=0.0, metavar="MS", help="chunks come so much later"
    )
    parser.add_argument(
        "--perturb", action="store_true", help="shove the arm, or move a thing, midway"
    )
    parser.add_argument(
        "--drop", nargs="+", default=(), choices=CHANNELS, help="channels that are missing"
    )
    parser.add_argument(
        "--camera-shift", action="store_true", help="the camera 20 cm and 20 degrees elsewhere"
    )
    parser.add_argument(
        "--controller-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the controller backend; may be given several times",
    )
    parser.add_argument(
        "--attempts",
        type=int,
        default=ATTEMPTS,
        help="plans tried for a step (default %(default)s)",
    )
    parser.add_argument(
        "--no-verify", action="store_true", help="the planner does not look if a step is done"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="S",
        help=f"simulated seconds for a task (default {EpisodeSpec.time_limit:.0f}, for an errand "
        f"of several steps {ERRAND_TIME:.0f})",
    )
    parser.add_argument(
        "--until-done",
        action="store_true",
        help="end an episode once the referee is satisfied, for a policy that never says so itself",
    )
    parser.add_argument(
        "--person",
        default=NONE,
        choices=PEOPLE,
        help="who stands by in the suite spoken and says what goes wrong: spoken, into the "
        "microphone; typed, understood word by word (default %(default)s)",
    )
    parser.add_argument(
        "--record",
        type=Path,
        default=None,
        metavar="DIR",
        help="record each episode in a folder of its own there, for 'hierarchy corrections' and "
        "'hierarchy learn'",
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("A.json", "B.json"),
        help="compare two evaluations of the same episodes instead of running one",
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
    pointing.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from hierarchy_nodes.errors import ConfigError
    from hierarchy_nodes.learning import evaluation
    from hierarchy_nodes.learning.journal import Journal

    a = arguments
    if a.compare:
        return _compare(a)
    _refuse_unfitting(a)
    if a.suite == pointing.SUITE:
        return pointing.run(a)
    setting = _setting(a)
    specs = evaluation.episodes(
        a.suite,
        a.episodes,
        a.seed,
        a.policy,
        a.final,
        tuple(a.axes),
        tuple(a.hardness),
        **setting,
    )
    if a.resume and a.json is None:
        raise ConfigError("--resume needs --json FILE: finished episodes are kept beside it.")
    kept = None if a.json is None else a.json.with_name(f"{a.json.name}.episodes")
    journal = Journal(kept, specs, a.resume)
    earlier, begin = len(journal.done), time.perf_counter()
    if a.through_ros:
        from hierarchy_nodes.learning.through_ros import RosRunner

        with RosRunner() as runner:
            results = evaluation.run_in_turn(journal, runner, not a.quiet)
    else:
        results = evaluation.run_in_process(journal, a.workers, not a.quiet, a.ray)
    wall = time.perf_counter() - begin
    now = len(results) - earlier
    summary = evaluation.summarise(
        results,
        suite=a.suite,
        policy=a.policy,
        seed=a.seed,
        **setting,
        through_ros=a.through_ros,
        workers=1 if a.through_ros else a.workers,
        wall_s=round(wall, 1),
        episodes_per_s=round(now / wall, 4),
    )
    if a.json is not None:
        write_json(a.json, summary)
        journal.close()
    _tell(a, summary)
    return 0


def _refuse_unfitting(a: argparse.Namespace) -> None:
    """ConfigError where something is given that the suite would make nothing of."""
    from hierarchy_nodes.errors import ConfigError
    from hierarchy_nodes.learning.evaluation import TOLD

    parser = argparse.ArgumentParser()
    add_arguments(parser)

    def given(names: Iterable[str]) -> str:
        found = [name for name in names if getattr(a, name) != parser.get_default(name)]
        return ", ".join("--" + name.replace("_", "-") for name in found)

    if a.suite == pointing.SUITE:
        if found := given(EXECUTION):
            raise ConfigError(f"--suite {a.suite} executes nothing: {found} cannot be given.")
    elif found := given(pointing.OPTIONS):
        raise ConfigError(
            f"--suite {a.suite} executes episodes: {found} can only be given with --suite "
            f"{pointing.SUITE}."
        )
    if a.suite not in BY_AXIS and given(["axes"]):
        raise ConfigError(
            f"--suite {a.suite} has no axes: --axes can only be given with --suite "
            f"{' or '.join(BY_AXIS)}."
        )
    if a.suite != TOLD and given(["hardness"]):
        raise ConfigError(
            f"--suite {a.suite} has no hardness: --hardness can only be given with --suite {TOLD}."
        )


def _setting(a: argparse.Namespace) -> dict[str, Any]:
    """What else is said about the episodes; ConfigError where it cannot be had."""
    from hierarchy_nodes.errors import ConfigError
    from hierarchy_nodes.learning.evaluation import IN_PROCESS
    from hierarchy_nodes.learning.policies import PRIVILEGED

    plan = a.plan or ("planner" if a.policy == "classical" else "true")
    if plan == "true" and (a.planner or a.planner_option):
        raise ConfigError("A planner draws no true plan: --planner goes with --plan planner.")
    if a.attempts < 1:
        raise ConfigError(f"--attempts {a.attempts} must be at least 1.")
    options = key_values("--controller-option", a.controller_option)
    setting = {
        "plan": plan,
        "planner": a.planner or "",
        "planner_options": key_values("--planner-option", a.planner_option),
        "verify": not a.no_verify,
        "max_attempts": a.attempts,
        "controller_options": options,
        "latency": a.inject_latency / 1000,
        "perturb": a.perturb,
        "drop": tuple(a.drop),
        "camera_shift": a.camera_shift,
        "person": a.person,
        "until_done": a.until_done,
        "record": "" if a.record is None else str(a.record),
    }
    if a.time_limit is not None:
        setting["time_limit"] = a.time_limit
    if a.through_ros:
        simulated = [
            name
            for name in ("latency", "perturb", "drop", "camera_shift", "until_done", "record")
            if setting[name]
        ]
        simulated += ["--plan true"] if plan == "true" else []
        simulated += ["--no-verify"] if a.no_verify else []
        simulated += ["--attempts"] if a.attempts != ATTEMPTS else []
        simulated += ["--planner-option"] if a.planner_option else []
        simulated += ["controller_options"] if options else []
        simulated += ["--ray"] if a.ray else []
        simulated += [f"--suite {a.suite}"] if a.suite in IN_PROCESS else []
        if simulated or a.policy in PRIVILEGED:
            raise ConfigError(
                f"--through-ros runs the real nodes: {', '.join(simulated) or a.policy} exists "
                "in process only."
            )
    return setting


def _tell(a: argparse.Namespace, summary: dict[str, Any]) -> None:
    low, high = summary["interval"]
    print(
        f"{a.suite}, {a.policy}, {summary['plan']} plan: {summary['successes']} of "
        f"{summary['episodes']} ({summary['success_rate']:.0%}, 95% interval {low:.0%} to "
        f"{high:.0%}), {summary['episodes_per_s'] * 60:.1f} episodes a minute"
    )
    for title in ("per_family", "per_axis", "per_hardness"):
        if len(summary.get(title, ())) < 2:
            continue
        for name, found in summary[title].items():
            low, high = found["interval"]
            print(
                f"  {name:<13} {found['successes']:>4} of {found['episodes']:<4} "
                f"{found['success_rate']:>5.0%}  ({low:.0%} to {high:.0%})"
            )
    _tell_times(summary["latency_ms"])
    if "jerk" in summary:
        jerk = summary["jerk"]
        print(
            f"  jerk, largest: {jerk['border_max']:.0f} m/s^3 at chunk borders, "
            f"{jerk['inside_max']:.0f} inside; ratio {jerk['border_over_inside']:.2f}"
        )
    if "corrections" in summary:
        found = summary["corrections"]["obeyed"]
        low, high = found["interval"]
        print(
            f"  corrections obeyed: {found['successes']} of {found['episodes']} "
            f"({found['success_rate']:.0%}, 95% interval {low:.0%} to {high:.0%})"
        )
    for kind, found in summary.get("surprises", {}).items():
        low, high = found["interval"]
        print(
            f"  {kind}: {found['successes']} of {found['episodes']} recovered "
            f"({found['success_rate']:.0%}, 95% interval {low:.0%} to {high:.0%})"
        )
    if "spoken" in summary:
        _tell_spoken(summary["spoken"])
    for moment, found in summary.get("switch", {}).items():
        done, resumed = found["done"], found["resumed"]
        print(
            f"  {moment}: other task {done['successes']} of {done['episodes']}, dropped "
            f"{found['dropped']}, first task after all {resumed['successes']} of "
            f"{resumed['episodes']}"
        )
    for failure in summary["failures"]:
        told = f"; the stack says {failure['code']}: {failure['message']}"
        print(
            f"  seed {failure['seed']} '{failure['instruction']}': {failure['reason']}"
            f"{told if failure['message'] else ''}",
            file=sys.stderr,
        )


def _tell_spoken(found: dict[str, Any]) -> None:
    understood = found["understood"]
    low, high = understood["interval"]
    print(
        f"  {found['utterances']} utterances, {found['per_episode']:.1f} an episode; understood "
        f"{understood['successes']} (95% interval {low:.0%} to {high:.0%})"
    )
    _tell_times(found["delay_ms"])


def _tell_times(times: dict[str, dict[str, Any]]) -> None:
    for name, figures in times.items():
        if figures["n"]:
            print(f"  {name}: p50 {figures['p50']} ms, p99 {figures['p99']} ms, n {figures['n']}")


def _compare(a: argparse.Namespace) -> int:
    from hierarchy_nodes.learning.comparison import compare

    found = compare(*a.compare)
    if a.json is not None:
        write_json(a.json, found)
    rows = {"all": found, **found["per_axis"]}
    print(f"A: {found['first']}\nB: {found['second']}")
    for name, row in rows.items():
        first, second = row["first_result"], row["second_result"]
        relative = "" if row["relative"] is None else f", A over B {row['relative']:+.0%}"
        print(
            f"  {name:<13} A {first['successes']}/{row['episodes']}, "
            f"B {second['successes']}/{row['episodes']}; only A {row['only_first']}, "
            f"only B {row['only_second']}; difference {row['difference']:+.1%}{relative}; "
            f"p = {row['p']:.3g}"
        )
    print(f"  ({found['test']}; {found['only_in_one']} episodes in one of them only)")
    return 0
