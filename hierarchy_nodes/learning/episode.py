"""One evaluated episode in one process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.errands import ERRANDS, PAIR, Errand, sample_errand
from hardware.cell.referee import ErrandReferee, Referee
from hardware.cell.scene import SceneSpec
from hardware.cell.tasks import TaskSpec, sample
from hierarchy_nodes.controller.base import CONTROLLERS, ControllerBackend, Step
from hierarchy_nodes.learning.disturbance import Disturbed
from hierarchy_nodes.learning.evaluation import EpisodeResult, EpisodeSpec
from hierarchy_nodes.learning.exchanges import NONE
from hierarchy_nodes.learning.expert import Expert
from hierarchy_nodes.learning.hardness import Hard, harden
from hierarchy_nodes.learning.jerk import JerkMeter
from hierarchy_nodes.learning.override import Override
from hierarchy_nodes.learning.policies import POLICIES
from hierarchy_nodes.learning.stack import CONTROL_PERIOD, InProcessStack, StackOptions
from hierarchy_nodes.learning.surprises import Surprise
from hierarchy_nodes.learning.switching import MOMENTS, Switching
from hierarchy_nodes.learning.true_plan import TruePlanner
from hierarchy_nodes.learning.variation import Variation, shifted_camera
from hierarchy_nodes.parameters import make
from hierarchy_nodes.types import Observation

if TYPE_CHECKING:
    from hierarchy_nodes.learning.recording import EpisodeRecorder
    from hierarchy_nodes.learning.talk import Talk

# Things come to rest before the referee looks.
SETTLE = 1.0
SHIFT, TURN = 0.20, 20.0
SHOVE = 0.03
# Seconds for which the referee must be satisfied.
_DONE_FOR = 0.5


class Blinkered(ControllerBackend):
    """Keeps masks from a backend, in every way: they also steer which points are drawn."""

    def __init__(self, inner: ControllerBackend) -> None:
        super().__init__(inner.options)
        self.inner = inner

    def reset(self) -> None:
        self.inner.reset()

    def act(self, observation: Observation) -> Step:
        plan = replace(observation.plan, prompts=())
        return self.inner.act(replace(observation, plan=plan, segments=None))


def run_episode(spec: EpisodeSpec) -> EpisodeResult:
    """Draw the scene, let the stack do the task, ask the referee."""
    scene, task = _drawn(spec)
    hard = None
    if spec.hardness and isinstance(task, TaskSpec):
        hard = harden(spec.hardness, scene, task, np.random.default_rng([spec.seed, 6]))
        scene, task = hard.scene, hard.task
    cell = Cell(scene)
    rng = np.random.default_rng([spec.seed, 2])
    recorder: EpisodeRecorder | None = None
    try:
        if spec.camera_shift:
            cell.move_camera("front", shifted_camera(rng, SHIFT, TURN, exact=True))
        stack: InProcessStack
        referee: Referee | ErrandReferee
        planner, surprise = None, None
        if isinstance(task, TaskSpec):
            referee = Referee(cell, task)
            planner = TruePlanner(cell, task) if spec.plan == "true" else None
            backend = Expert(cell, task) if spec.policy == "expert" else make_controller(spec)
            if spec.surprise:
                surprise = Surprise(cell, task, spec.surprise, rng)
            if spec.perturb:
                backend = Disturbed(
                    backend, cell, task, perturbation(spec, rng), rng, lambda m: stack.correct(m)
                )
        else:
            referee, backend = ErrandReferee(cell, task), make_controller(spec)
        stack = InProcessStack(cell, _options(spec), planner, backend)
        jerk, override = JerkMeter(CONTROL_PERIOD), Override(rng, spec.heard)
        stack.watchers.append(jerk)
        if spec.correct:
            stack.watchers.append(override)
        if surprise is not None:
            stack.watchers.append(surprise)
        talk = _talk(spec, cell, task)
        if talk is not None:
            stack.watchers.append(talk)
        recorder = _recorder(spec, stack)
        _make_hard(stack, hard)
        stack.run(0.5)
        switch: dict[str, Any] = {}
        if isinstance(task, Errand) and spec.family in MOMENTS:
            verdict, switch = Switching(cell, task, spec.family, rng).run(stack)
        else:
            limit = stack.time + spec.time_limit
            stack.execute(
                task.instruction,
                spec.time_limit,
                spec.max_attempts,
                _satisfied(stack, referee) if spec.until_done else lambda: False,
            )
            if talk is not None:
                talk.attend(stack, limit)
            stack.run(SETTLE)
            verdict = referee.verdict()
        outcome = stack.outcomes[-1]
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
            latencies=vars(stack.latencies),
            jerk={"border": jerk.border, "inside": jerk.inside},
            correction=override.report(),
            switch=switch,
            surprise=surprise.report() if surprise is not None else {},
            hardness=spec.hardness,
            person=talk.report() if talk is not None else {},
            rejected=stack.rejected,
            restarts=stack.executor.statistics.restarts,
        )
    finally:
        if recorder is not None:
            recorder.close()
        cell.close()


def _satisfied(stack: InProcessStack, referee: Referee | ErrandReferee) -> Callable[[], bool]:
    """Whether the task has been done for a while: a thing that is pushed on rests now and then."""
    since: float | None = None

    def satisfied() -> bool:
        nonlocal since
        if not referee.verdict().success:
            since = None
        elif since is None:
            since = stack.time
        return since is not None and stack.time - since >= _DONE_FOR

    return satisfied


def _recorder(spec: EpisodeSpec, stack: InProcessStack) -> EpisodeRecorder | None:
    if not spec.record:
        return None
    # Needs ROS, as nothing else here does.
    from hierarchy_nodes.learning.recording import EpisodeRecorder

    return EpisodeRecorder(Path(spec.record) / f"episode-{spec.seed}", stack)


def _drawn(spec: EpisodeSpec) -> tuple[SceneSpec, TaskSpec | Errand]:
    if spec.family in MOMENTS:
        return sample_errand(PAIR, spec.seed)
    if spec.family in ERRANDS:
        return sample_errand(spec.family, spec.seed)
    return sample(spec.family, spec.seed, spec.axis)


def _talk(spec: EpisodeSpec, cell: Cell, task: TaskSpec | Errand) -> Talk | None:
    if spec.person == NONE or not isinstance(task, TaskSpec):
        return None
    # Ears take a second to load, which nobody else needs.
    from hierarchy_nodes.learning.talk import Talk

    return Talk.draw(spec.person, cell, task, spec.seed)


def _make_hard(stack: InProcessStack, hard: Hard | None) -> None:
    """Paint the things, and let the stack believe that the camera is elsewhere."""
    if hard is not None:
        hard.prepare(stack.cell)
        stack.lens = hard.misplace


def _options(spec: EpisodeSpec) -> StackOptions:
    kind = POLICIES[spec.policy]
    return StackOptions(
        spec.planner or kind.planner,
        kind.segmenter,
        kind.controller,
        controller_latency=StackOptions.controller_latency + spec.latency,
        planner_options=spec.planner_options,
        verify=spec.verify,
        masks="masks" in kind.channels,
    )


def make_controller(spec: EpisodeSpec) -> ControllerBackend:
    """The policy's controller, without the channels that it is not to get."""
    kind = POLICIES[spec.policy]
    options: dict[str, Any] = dict(spec.controller_options)
    seen = [c for c in kind.channels if c not in spec.drop]
    if kind.controller == "diffusion":
        options.setdefault("channels", seen)
        # As long as it takes on simulated time, not on this machine today.
        options.setdefault("latency", StackOptions.controller_latency + spec.latency)
    backend = _backend(kind.controller, json.dumps(options))
    backend.reset()
    return backend if "masks" in seen else Blinkered(backend)


@lru_cache(maxsize=1)
def _backend(name: str, options: str) -> ControllerBackend:
    """Kept for the next episode: loading a network takes as long as a third of an episode."""
    backend: ControllerBackend = make(CONTROLLERS, name, json.loads(options))
    return backend


def perturbation(spec: EpisodeSpec, rng: np.random.Generator) -> Variation:
    """A shove against the arm, or somebody moves a thing: in turn, from 1 to 3 s after the plan."""
    if spec.index % 2:
        return Variation(move=float(rng.uniform(0.3, 2.0)))
    way = rng.normal(size=3) * (1.0, 1.0, 0.5)
    return Variation(shove=(float(rng.uniform(1.0, 3.0)), way / np.linalg.norm(way) * SHOVE))
