"""The same episodes for every variant, each in the whole stack on simulated time."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.lerobot.controller import BaselineController
from benchmarks.lerobot.observation import Cloudless
from benchmarks.lerobot.variants import VARIANTS
from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.tasks import sample
from hierarchy_nodes.controller.base import ControllerBackend
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.episode import SETTLE
from hierarchy_nodes.learning.evaluation import EpisodeResult, EpisodeSpec, episodes, guarded
from hierarchy_nodes.learning.parallel import spread
from hierarchy_nodes.learning.stack import InProcessStack, StackOptions
from hierarchy_nodes.learning.true_plan import TruePlanner

# LeRobot's policy does not say when it is done. So one plan for everybody, until the arm has
# rested for a while or this time is over, simulated seconds; then the referee looks.
TIME_LIMIT = 45.0


def run_all(
    out: Path, name: str, count: int, seed: int, workers: int, progress: bool
) -> list[EpisodeResult]:
    """Episodes of the suite `basic` with one of `VARIANTS`; those in its file are not run again."""
    path = file_of(out, name)
    before = read(path)
    # Without a line that was cut off, which would spoil the next one.
    path.write_text("".join(_line(result) for result in before), encoding="utf-8")
    known = {result.seed: result for result in before}
    specs = episodes("basic", count, seed, plan="true", time_limit=TIME_LIMIT, max_attempts=1)
    crashed: list[EpisodeResult] = []
    todo = [spec for spec in specs if spec.seed not in known]
    function = partial(run_one, out, name)
    with tqdm(total=count, initial=count - len(todo), disable=not progress, unit="episode") as bar:
        bar.set_description(name)
        for result in spread(function, todo, workers):
            bar.update()
            if result.code == "INTERNAL":
                crashed.append(result)
                continue
            known[result.seed] = result
            with path.open("a", encoding="utf-8") as file:
                file.write(_line(result))
    if crashed:
        # Neither a success nor a failure of the policy: it must not count as one.
        first = crashed[0]
        raise ConfigError(
            f"{name}: {len(crashed)} episodes broke down and will be run again, the first with "
            f"seed {first.seed}: {first.reason}"
        )
    return [known[spec.seed] for spec in specs]


def file_of(out: Path, name: str) -> Path:
    """Where the episodes of a variant are noted as they end."""
    return out / f"episodes-{name}.jsonl"


def read(path: Path) -> list[EpisodeResult]:
    """What was written by an earlier run; a last line that was cut off does not count."""
    if not path.exists():
        return []
    results = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        results.append(EpisodeResult(**found))
    return results


def _line(result: EpisodeResult) -> str:
    return json.dumps(asdict(result)) + "\n"


def run_one(out: Path, name: str, spec: EpisodeSpec) -> EpisodeResult:
    """One episode."""
    # A process for each core, as everywhere in evaluation.
    torch.set_num_threads(1)
    return guarded(partial(_run, out, name), spec)


def _run(out: Path, name: str, spec: EpisodeSpec) -> EpisodeResult:
    backend = _controller(out, name)
    backend.reset()
    torch.manual_seed(spec.seed)
    scene, task = sample(spec.family, spec.seed, spec.axis)
    cell = Cell(scene)
    try:
        referee = Referee(cell, task)
        stack = InProcessStack(cell, StackOptions(), TruePlanner(cell, task), backend)
        stack.run(0.5)
        outcome = stack.execute(task.instruction, spec.time_limit, spec.max_attempts)
        stack.run(SETTLE)
        verdict = referee.verdict()
        return EpisodeResult(
            spec.index,
            spec.seed,
            spec.family,
            spec.axis,
            instruction=task.instruction,
            success=verdict.success,
            reason=verdict.reason,
            claimed=outcome.success,
            code=outcome.code.name,
            message=outcome.message,
            attempts=outcome.attempts,
            duration=outcome.duration,
            latencies={"chunk": _seconds(backend, stack)},
            rejected=stack.rejected,
        )
    finally:
        cell.close()


def _seconds(backend: ControllerBackend, stack: InProcessStack) -> list[float]:
    """Of each sampled chunk, with features in the case of ours."""
    inner = backend.inner if isinstance(backend, Cloudless) else backend
    if isinstance(inner, BaselineController):
        return [round(s, 5) for s in inner.seconds]
    return [round(s, 5) for s in stack.latencies.controller]


@lru_cache(maxsize=1)
def _controller(out: Path, name: str) -> ControllerBackend:
    return VARIANTS[name].controller(out)
