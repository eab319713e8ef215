"""Success over many seeded episodes: which episodes, run where, and what is reported."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hardware.cell.errands import ERRANDS
from hardware.cell.tasks import AXES, FAMILIES
from hierarchy_nodes.controller.diffusion.features import CHANNELS
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.learning import exchanges, surprises
from hierarchy_nodes.learning.hardness import FAMILIES as HARD_FAMILIES
from hierarchy_nodes.learning.hardness import HARDNESSES
from hierarchy_nodes.learning.journal import Journal
from hierarchy_nodes.learning.parallel import spread
from hierarchy_nodes.learning.policies import POLICIES, PRIVILEGED
from hierarchy_nodes.learning.statistics import grouped, latency, machine, share
from hierarchy_nodes.learning.surprises import SURPRISES
from hierarchy_nodes.learning.switching import MOMENTS

# Kept for the final comparison; nothing of ours is trained, tuned or evaluated on them.
RESERVED_SEED = 900_000
SPOKEN = ("corrections", "unheard")
# Of several tasks: one after the other, or one in place of the other.
ERRAND_SUITES = {"multistep": ERRANDS, "switch": MOMENTS}
SURPRISED = "surprises"
# In which a person may stand by and say what goes wrong.
TOLD = "spoken"
# In which a person acts whom only the in-process stack has.
IN_PROCESS = (*SPOKEN, *ERRAND_SUITES, SURPRISED, TOLD)
SUITES = (*FAMILIES, "basic", "axes", *IN_PROCESS)
# Share of a commanded displacement that counts as obeying.
OBEYED = 0.8
# For an errand of several steps, seconds.
ERRAND_TIME = 300.0
PLANS = ("true", "planner")


@dataclass(frozen=True)
class EpisodeSpec:
    """One episode: which task, who is to do it, and what makes it hard.

    Attributes:
        family: A task family, or a kind of errand.
        plan: ``true``: drawn from the simulator's truth; ``planner``: by the policy's own.
        controller_options: Handed to the controller backend.
        planner: Backend in place of the policy's own; planner_options: Handed to it.
        verify: Whether the planner looks if a step is done.
        latency: Seconds by which each chunk comes later.
        perturb: Shove the arm (even index) or move a thing (odd) midway.
        drop: Channels out of `CHANNELS` that the controller does not get.
        camera_shift: The camera stands 20 cm and 20 degrees from its usual place.
        correct: A person overrides the task for a second, in a random direction.
        heard: Whether the stack hears that person.
        surprise: What a person does to a thing of the task midway, one of `SURPRISES`.
        hardness: What the stack is up against, one of `hardness.HARDNESSES`.
        until_done: End it once the referee has been satisfied for a moment.
        person: Who stands by and says what goes wrong, one of `exchanges.PEOPLE`.
        record: Folder in which it is recorded, in one of its own; empty: it is not.
    """

    index: int
    family: str
    axis: str
    seed: int
    policy: str = "classical"
    time_limit: float = 120.0
    max_attempts: int = 3
    plan: str = "planner"
    controller_options: Mapping[str, Any] = field(default_factory=dict)
    planner: str = ""
    planner_options: Mapping[str, Any] = field(default_factory=dict)
    verify: bool = True
    latency: float = 0.0
    perturb: bool = False
    drop: tuple[str, ...] = ()
    camera_shift: bool = False
    correct: bool = False
    heard: bool = True
    surprise: str = ""
    hardness: str = ""
    until_done: bool = False
    person: str = exchanges.NONE
    record: str = ""


@dataclass
class EpisodeResult:
    """How it went.

    Attributes:
        success: In the referee's eyes.
        reason: The referee's, or what broke.
        claimed: What the stack itself thought.
        code, message: The stack's own error, if any.
        duration: Seconds of simulated (in-process) or real time (through ROS).
        latencies: Seconds of each call, by part.
        jerk: Of the tool's setpoints, m/s^3: largest at chunk borders and inside chunks.
        correction: What was asked for and how far the tool went that way, metres.
        switch: How it went on after the person asked for another task midway.
        surprise: What a person did to a thing of the task midway; empty if it was too late.
        hardness: As in the spec.
        person: What a person said, and what came of it; empty if nobody stood by.
        rejected: Chunks that the arm refused.
        restarts: How often the arm was not where it was sent, and setpoints began anew there.
    """

    index: int
    seed: int
    family: str
    axis: str
    instruction: str = ""
    success: bool = False
    reason: str = ""
    claimed: bool = False
    code: str = "NONE"
    message: str = ""
    attempts: int = 0
    duration: float = 0.0
    wall: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)
    jerk: dict[str, float] = field(default_factory=dict)
    correction: dict[str, Any] = field(default_factory=dict)
    switch: dict[str, Any] = field(default_factory=dict)
    surprise: dict[str, Any] = field(default_factory=dict)
    hardness: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    rejected: int = 0
    restarts: int = 0


Runner = Callable[[EpisodeSpec], EpisodeResult]


def episodes(
    suite: str,
    count: int,
    seed: int,
    policy: str = "classical",
    final: bool = False,
    axes: tuple[str, ...] = AXES,
    hardnesses: tuple[str, ...] = HARDNESSES,
    **more: Any,
) -> list[EpisodeSpec]:
    """The episodes of a suite: episode i has seed ``seed + i``, whatever the policy.

    `axes` are taken in turn by the suite of that name, `hardnesses` by that of `TOLD`; `more` are
    further fields of :class:`EpisodeSpec`, the same for all.

    Raises:
        UnknownNameError: No such suite, policy, axis or hardness.
        ConfigError: No episodes, or seeds in the reserved range without `final`.
    """
    if suite not in SUITES:
        raise UnknownNameError("suite", suite, SUITES)
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, POLICIES)
    if count < 1 or seed < 0:
        raise ConfigError(f"episodes must be at least 1 and the seed 0, got {count} and {seed}.")
    if suite in ERRAND_SUITES and (more.get("plan") == "true" or policy in PRIVILEGED):
        raise ConfigError(f"{suite}: nobody knows a true plan of several tasks; --plan planner.")
    if seed + count > RESERVED_SEED and not final:
        raise ConfigError(
            f"seeds {seed} to {seed + count - 1} reach into the reserved range from "
            f"{RESERVED_SEED}, which no training, tuning or evaluation of ours uses. "
            "For the final comparison, and only for that, add --final."
        )
    if more.get("until_done") and suite in IN_PROCESS:
        alone = ", ".join(s for s in SUITES if s not in IN_PROCESS)
        raise ConfigError(f"{suite}: --until-done goes with one of {alone}.")
    if not 0 < more.get("time_limit", 1.0) < math.inf:
        raise ConfigError(
            f"--time-limit {more['time_limit']:g} must be a number of seconds above 0."
        )
    if more.get("person", exchanges.NONE) != exchanges.NONE and suite != TOLD:
        raise ConfigError(f"{suite}: nobody stands by; --person goes with --suite {TOLD}.")
    chosen = {
        "channel": (more.get("drop", ()), CHANNELS),
        "axis": (axes, AXES),
        "hardness": (hardnesses, HARDNESSES),
    }
    for kind, (names, known) in chosen.items():
        for name in names:
            if name not in known:
                raise UnknownNameError(kind, name, known)
    turns = hardnesses if suite == TOLD else axes
    return [_episode(suite, i, seed + i, policy, turns, more) for i in range(count)]


def _episode(
    suite: str, index: int, seed: int, policy: str, turns: tuple[str, ...], more: dict[str, Any]
) -> EpisodeSpec:
    family, axis = suite, "basic"
    spoken = suite in SPOKEN
    if suite == "basic" or spoken:
        family = FAMILIES[index % len(FAMILIES)]
    elif suite in ERRAND_SUITES:
        kinds = ERRAND_SUITES[suite]
        family = kinds[index % len(kinds)]
        more = {"time_limit": ERRAND_TIME} | more
    elif suite == SURPRISED:
        kind, other = index % len(SURPRISES), index // len(SURPRISES)
        family = surprises.FAMILIES[other % len(surprises.FAMILIES)]
        more = more | {"surprise": SURPRISES[kind]}
    elif suite == TOLD:
        kind, other = index % len(turns), index // len(turns)
        family = HARD_FAMILIES[other % len(HARD_FAMILIES)]
        more = more | {"hardness": turns[kind]}
    elif suite == "axes":
        axis = turns[index % len(turns)]
        family = FAMILIES[index // len(turns) % len(FAMILIES)]
    if spoken:
        more = more | {"correct": True, "heard": suite == "corrections"}
    return EpisodeSpec(index, family, axis, seed, policy, **more)


def guarded(runner: Runner, spec: EpisodeSpec) -> EpisodeResult:
    """`runner` on `spec`; what breaks counts as a failure and says where."""
    begin = time.perf_counter()
    try:
        result = runner(spec)
    except Exception as error:  # noqa: BLE001 - one broken episode must not end a long run
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        result = EpisodeResult(
            spec.index, spec.seed, spec.family, spec.axis, hardness=spec.hardness
        )
        result.reason = f"crashed: {type(error).__name__}: {error} ({where})"
        result.code = "INTERNAL"
    result.wall = time.perf_counter() - begin
    return result


def run_in_process(
    journal: Journal, workers: int, progress: bool, ray_address: str = ""
) -> list[EpisodeResult]:
    """What is still to do, each in one of `workers` processes or somewhere on a Ray cluster."""
    from hierarchy_nodes.learning.episode import run_episode

    results = spread(partial(guarded, run_episode), journal.todo, workers, ray_address)
    return _collect(results, journal, progress)


def run_in_turn(journal: Journal, runner: Runner, progress: bool) -> list[EpisodeResult]:
    """What is still to do, one after the other with `runner`."""
    return _collect((guarded(runner, spec) for spec in journal.todo), journal, progress)


def _collect(
    results: Iterable[EpisodeResult], journal: Journal, progress: bool
) -> list[EpisodeResult]:
    begin = len(journal.done)
    total = begin + len(journal.todo)
    with tqdm(total=total, initial=begin, unit="episode", disable=not progress) as bar:
        for result in results:
            journal.add(result)
            bar.update()
            successes = sum(r.success for r in journal.done)
            bar.set_postfix_str(f"{successes}/{len(journal.done)} done")
    return sorted(journal.done, key=lambda r: r.index)


def summarise(results: list[EpisodeResult], **about: Any) -> dict[str, Any]:
    """The figures of a run, ready for JSON; `about` says what was run."""
    parts: dict[str, list[float]] = {"planner": [], "segmenter": [], "controller": []}
    for result in results:
        for name, seconds in result.latencies.items():
            parts.setdefault(name, []).extend(seconds)
    failures = [
        {k: v for k, v in asdict(r).items() if k not in ("latencies", "success")}
        for r in results
        if not r.success
    ]
    rows = [{k: v for k, v in asdict(r).items() if k != "latencies"} for r in results]
    return {
        **about,
        **share(sum(r.success for r in results), len(results)),
        **_extras(results),
        "interval_method": "Clopper-Pearson, 95%",
        "claimed_but_failed": sum(r.claimed and not r.success for r in results),
        "per_family": grouped((r.family, r.success) for r in results),
        "per_axis": grouped((r.axis, r.success) for r in results),
        "latency_ms": {name: latency(seconds) for name, seconds in parts.items()},
        "failures": failures,
        "machine": machine(),
        "results": rows,
    }


def _extras(results: list[EpisodeResult]) -> dict[str, Any]:
    """Jerk and obedience, where they were measured."""
    extras: dict[str, Any] = {
        "rejected_chunks": sum(r.rejected for r in results),
        "restarts": sum(r.restarts for r in results),
    }
    moved = [r.jerk for r in results if r.jerk]
    if moved:
        border = np.array([j["border"] for j in moved])
        inside = np.array([j["inside"] for j in moved])
        extras["jerk"] = {
            "episodes": len(moved),
            "border_max": float(border.max()),
            "inside_max": float(inside.max()),
            "border_over_inside": float(border.max() / max(inside.max(), 1e-9)),
            "median_of_ratios": float(np.median(border / np.maximum(inside, 1e-9))),
        }
    spoken = [r for r in results if r.correction]
    if spoken:
        obeyed = [r.correction["share"] >= OBEYED for r in spoken]
        extras["corrections"] = {
            "obeyed": share(sum(obeyed), len(spoken)),
            "obeyed_means": f"moved at least {OBEYED:.0%} of what was asked, that way",
            "success_after": share(sum(r.success for r in spoken), len(spoken)),
        }
    met = [r for r in results if r.surprise]
    if met:
        extras["surprises"] = grouped((r.surprise["kind"], r.success) for r in met)
    hard = [r for r in results if r.hardness]
    if hard:
        extras["per_hardness"] = grouped((r.hardness, r.success) for r in hard)
    if any(r.person for r in results):
        extras["spoken"] = exchanges.summarise(results)
    switched = [r for r in results if r.switch]
    if switched:
        extras["switch"] = {
            moment: _switches([r.switch for r in switched if r.family == moment])
            for moment in MOMENTS
        }
    return extras


def _switches(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of one moment."""
    return {
        "done": share(sum(s["done"] for s in found), len(found)),
        "dropped": sum(s["dropped"] for s in found),
        "resumed": share(sum(s["resumed"] for s in found), len(found)),
    }
