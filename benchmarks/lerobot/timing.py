"""Time for a chunk, from the features of a scene to poses in the base frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.lerobot.observation import POINTS
from benchmarks.lerobot.variants import OURS, VARIANTS, ours
from hierarchy_nodes.bench.policy import observe
from hierarchy_nodes.controller.diffusion.features import Features, extract
from hierarchy_nodes.controller.diffusion.policy import Policy
from hierarchy_nodes.learning.statistics import latency

_WARM_UP = 2


def measure(
    out: Path, names: Iterable[str], count: int, threads: int, minutes: float, progress: bool
) -> dict[str, Any]:
    """p50 and p99 in milliseconds by sampler, all of them in turn, so that a busy moment of the
    machine hits all alike.

    Args:
        out: Where the policies were trained.
        names: Of `VARIANTS`; what is executed of a chunk makes no difference here.
        count: Chunks of each.
        threads: Of torch.
        minutes: At most for one sampler: a slower one is timed less often, its `n` says how often.
    """
    torch.set_num_threads(threads)
    features = without_points(extract(observe(), points=POINTS))
    works: dict[str, Callable[[], object]] = {}
    for variant in (VARIANTS[name] for name in names):
        if variant.trained == OURS:
            works |= _of_ours(out, features)
            continue
        title = f"LeRobot {variant.trained}, {variant.sampler}"
        if title not in works:
            policy = variant.policy(out)
            works[title] = lambda policy=policy: policy.chunk(features)  # type: ignore[misc]
    for work in works.values():
        for _ in range(_WARM_UP):
            work()
    seconds: dict[str, list[float]] = {title: [] for title in works}
    for _ in tqdm(range(count), disable=not progress, unit="chunk", desc=f"{threads} threads"):
        for title, work in works.items():
            if sum(seconds[title]) > 60 * minutes:
                continue
            begin = time.perf_counter()
            work()
            seconds[title].append(time.perf_counter() - begin)
    return {title: latency(values) for title, values in seconds.items()}


def without_points(features: Features) -> Features:
    """As an empty depth image gives them."""
    arrays = features.arrays()
    for name in ("points", "point_colors", "point_roles"):
        arrays[name] = np.zeros_like(arrays[name])
    return Features(**arrays, text=features.text)


def _of_ours(out: Path, features: Features) -> dict[str, Callable[[], object]]:
    options = ours(out, "warm")
    found: dict[str, Callable[[], object]] = {}
    for compiled in (True, False):
        policy = Policy.load(Path(options.weights), tuple(options.channels), compiled)
        policy.rehearse()
        levels = policy.schedule.levels
        guess = policy.act(policy.see(features), steps=min(10, levels)).chunk
        start = policy.schedule.level(options.warm_level)

        def warm(policy: Policy = policy, guess: Any = guess, start: int = start) -> object:
            view = policy.see(features)
            return policy.act(view, steps=2, guess=policy.shifted(guess, 0.05), start=start)

        def cold(steps: int, policy: Policy = policy) -> object:
            return policy.act(policy.see(features), steps=steps)

        if not compiled:
            found["ours, warm 2, in PyTorch"] = warm
            continue
        found["ours, warm 2"] = warm
        found["ours, DDIM 10"] = lambda cold=cold: cold(10)  # type: ignore[misc]
        found[f"ours, {levels} steps"] = lambda cold=cold, n=levels: cold(n)  # type: ignore[misc]
    return found
