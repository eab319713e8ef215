"""LeRobot's policy in the place of our network: the rest of our controller stays as it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from benchmarks.lerobot.observation import POINTS, Scaling
from hierarchy_nodes.controller.base import Step
from hierarchy_nodes.controller.diffusion.backend import DiffusionController, DiffusionOptions
from hierarchy_nodes.controller.diffusion.features import PERIOD, TIMES, Features, nothing
from hierarchy_nodes.controller.diffusion.policy import View
from hierarchy_nodes.controller.diffusion.warm import Last
from hierarchy_nodes.controller.path_follower import REACH
from hierarchy_nodes.types import ActionChunk, Array, Observation, Plan

# Neither policy ends a task: both go on until the arm rests or the time is over.
COMMON = {"done_threshold": 1.0, "latency": 0.01, "retry": "policy", "nowhere_timeout": 600.0}
_UNDONE = View((), (), np.zeros((1, 7), dtype=np.float32), 1.0, 0.0)


class Sampler(Protocol):
    """Of ``baseline.Baseline``, what acts."""

    def sample(self, state: Tensor, environment: Tensor) -> Tensor: ...


class ChunkPolicy:
    """Features in, chunk in the base frame out.

    Attributes:
        seconds: What each chunk took.
    """

    def __init__(self, network: Sampler, scaling: Scaling) -> None:
        self.network, self.scaling = network, scaling
        self.seconds: list[float] = []

    @torch.inference_mode()
    def chunk(self, features: Features) -> Array:
        """``(HORIZON, 8)`` float64."""
        begin = time.perf_counter()
        batch = {name: torch.from_numpy(a)[None] for name, a in features.arrays().items()}
        predicted = self.network.sample(*self.scaling.observe(batch))
        found = self.scaling.to_base(predicted, batch["tool"])[0].double().numpy()
        self.seconds.append(time.perf_counter() - begin)
        return found


class BaselineController(DiffusionController):
    """Samples chunks with LeRobot's policy and executes as many of their actions as it is told.

    Args:
        policy: To be asked.
        executed: Actions of a chunk that are executed before the next one is sampled, LeRobot's
            ``n_action_steps``; 0 to sample at every observation, as ours does. What is left of a
            chunk bridges the time until the next one comes.
    """

    def __init__(self, policy: ChunkPolicy, executed: int) -> None:
        self._policy, self._executed = policy, executed
        self._sampled: tuple[float, Array] | None = None
        super().__init__(DiffusionOptions(**COMMON))  # type: ignore[arg-type]

    @property
    def seconds(self) -> list[float]:
        """What each chunk of this episode took."""
        return self._policy.seconds

    def _load(self, o: DiffusionOptions) -> int:
        self._policy.chunk(nothing(POINTS))
        return POINTS

    def reset(self) -> None:
        super().reset()
        self._policy.seconds.clear()

    def _new_plan(self, plan: Plan | None, now: float) -> None:
        super()._new_plan(plan, now)
        self._sampled = None

    def _think(self, o: Observation, now: float) -> Step:
        features = self._extractor(o)
        if self._sampled is None or now - self._sampled[0] > self._executed * PERIOD - 1e-6:
            chunk = self._policy.chunk(features)
            if not np.isfinite(chunk).all():
                raise FloatingPointError("the policy's chunk is not finite")
            low, high = np.array(REACH).T
            chunk[:, :3] = np.clip(chunk[:, :3], low, high)
            self._sampled = now, chunk
            self._last = Last(chunk, now, o.plan.plan_id, None, o.robot.gripper, None)
        progress = float(features.path_passed.sum() / max(features.path_there.sum(), 1.0))
        end = self._judge(o, now, _UNDONE, False)
        if end is not None:
            self._ended = end
            return Step(self._still(o), end.phase, end.state, progress, end.message, end.code)
        return Step(self._rest(o, now), "", "busy", progress)

    def _rest(self, o: Observation, now: float) -> ActionChunk:
        """What is still to be executed of the newest chunk; the arm wants to be told often."""
        assert self._sampled is not None
        stamp, chunk = self._sampled
        left = TIMES - (now - stamp)
        ahead = left > 1e-6
        chunk = chunk[ahead]
        return ActionChunk(
            stamp=o.robot.stamp,
            image_stamp=o.frame.stamp if o.frame is not None else 0.0,
            plan_id=o.plan.plan_id,
            times=left[ahead],
            positions=chunk[:, :3],
            quaternions=chunk[:, 3:7],
            gripper=chunk[:, 7],
            source="lerobot",
        )


def load_baseline(path: Path, size: str, sampler: str) -> ChunkPolicy:
    """A policy that ``training.BaselineTrainer`` has written."""
    from benchmarks.lerobot.baseline import Baseline

    found = torch.load(path, map_location="cpu", weights_only=True)
    scaling = Scaling.from_state(found["scaling"])
    lengths = len(scaling.kept_state), len(scaling.kept_environment)
    network = Baseline(size, *lengths, sampler=sampler)
    network.load_state_dict(found["network"])
    return ChunkPolicy(network.eval().requires_grad_(False), scaling)
