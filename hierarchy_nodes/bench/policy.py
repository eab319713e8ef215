"""Time the diffusion policy takes for a chunk, part by part, in one run."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch

from hierarchy_nodes.bench.results import Measurement, Target, measurement
from hierarchy_nodes.controller.diffusion.actions import SIZE, Normalisation
from hierarchy_nodes.controller.diffusion.backend import DiffusionOptions
from hierarchy_nodes.controller.diffusion.features import HORIZON, extract
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, NetworkConfig
from hierarchy_nodes.controller.diffusion.policy import Policy
from hierarchy_nodes.controller.diffusion.weights import PolicyConfig, default_path
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.types import Observation

if TYPE_CHECKING:
    # Needs rclpy, which timing a policy does not.
    from hierarchy_nodes.bench.arm_loop import Progress

THREADS = 1

WARM = Target("p99", 10.0)


def measure(count: int, told: Progress) -> list[Measurement]:
    """Times on a scene of the cell, of the weights that come with the package if there are any."""
    path = default_path()
    policy = Policy.load(path) if path.exists() else untrained()
    return measure_policy(policy, observe(), count, lambda *n: told("policy", *n))


def observe(seed: int = 1) -> Observation:
    """A scene of the cell with its true plan and the masks that belong to it."""
    from hardware.cell.cell import Cell
    from hardware.cell.tasks import sample
    from hierarchy_nodes.arm.kinematics import Kinematics
    from hierarchy_nodes.learning.true_plan import TruePlanner
    from hierarchy_nodes.segmenter.depth import DepthOptions, DepthSegmenter

    scene, task = sample("place", seed)
    cell = Cell(scene)
    try:
        frame, robot = cell.capture(), Kinematics().robot_state(cell.arm_state())
        plan = TruePlanner(cell, task).plan(PlanRequest(task.instruction, frame, robot))
        segments = DepthSegmenter(DepthOptions()).reset(plan, frame, robot)
    finally:
        cell.close()
    return Observation(frame.stamp, robot, plan, frame, segments)


def measure_policy(
    policy: Policy,
    observation: Observation,
    count: int,
    told: Callable[[int, int], None] = lambda done, count: None,
) -> list[Measurement]:
    """Times of the parts of a chunk and of whole chunks, each `count` times, taken in turn.

    Args:
        policy: To be measured; the time does not depend on what it has learned.
        observation: That it answers, over and over.
        count: Chunks of each kind. The full one is taken as often as a tenth of them, at least
            200 times (or `count`), because it is slow.
        told: Called with how many are done.
    """
    torch.set_num_threads(THREADS)
    levels = policy.schedule.levels
    start = policy.schedule.level(DiffusionOptions.warm_level)
    for steps in (2, 3):
        policy.rehearse(start, steps)
    look = partial(extract, observation, points=policy.config.network.points)
    features = look()
    view = policy.see(features)
    guess = policy.act(view, steps=min(10, levels)).chunk
    noisy = torch.randn(1, HORIZON, SIZE)

    def cold(steps: int) -> object:
        return policy.act(policy.see(look()), steps=steps)

    def warm(steps: int) -> object:
        seen = policy.see(look())
        return policy.act(seen, steps=steps, guess=policy.shifted(guess, 0.05), start=start)

    def step() -> object:
        with torch.inference_mode():
            return policy.denoise(view, noisy, start)

    works: dict[str, tuple[Callable[[], object], int]] = {
        "features": (look, count),
        "encoding": (lambda: policy.see(features), count),
        "one denoising step": (step, count),
        "chunk, warm, 2 steps": (partial(warm, 2), count),
        "chunk, warm, 3 steps": (partial(warm, 3), count),
        "chunk, cold, 10 steps": (partial(cold, min(10, levels)), count),
        f"chunk, full, {levels} steps": (partial(cold, levels), max(min(count, 200), count // 10)),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    # As a node does before it begins.
    gc.collect()
    gc.freeze()
    order = list(works)
    draw = random.Random(0)
    for done in range(count):
        # In turn, so that a busy moment of the machine hits all alike; in any order, so that none
        # always finds the caches as one of the others leaves them.
        draw.shuffle(order)
        for name in order:
            work, often = works[name]
            if done < often:
                begin = time.perf_counter()
                work()
                times[name].append((time.perf_counter() - begin) * 1e3)
        told(done + 1, count)
    note = f"{torch.get_num_threads()} threads, {_parameters(policy)} parameters"
    return [
        measurement(f"policy: {name}", values, "ms", WARM if "warm" in name else None, note)
        for name, values in times.items()
    ]


def untrained() -> Policy:
    """A policy that has learned nothing, to be measured where there are no weights."""
    network = DiffusionNetwork(NetworkConfig(vocabulary=1))
    still = torch.zeros(2, HORIZON, SIZE)
    still[..., 3] = still[..., 7] = 1.0
    normalisation = Normalisation.fit(still, 0.3)
    network.eval().requires_grad_(False)
    return Policy(network, PolicyConfig(network.config, ["word"], normalisation))


def _parameters(policy: Policy) -> int:
    return sum(p.numel() for p in policy.network.parameters())
