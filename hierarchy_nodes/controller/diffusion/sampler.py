"""From a guess and what is seen to a chunk: one function for every way of sampling.

* Cold start: no guess, from the highest level.
* Warm start (real-time iteration, RTI-DP): the last chunk as the guess, from a low level.
* Prefix: actions that are being executed meanwhile stay as they are (real-time chunking).
* Adaptive: ends once another step would change little.

It keeps nothing from call to call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hierarchy_nodes.controller.diffusion.schedule import CosineSchedule
from hierarchy_nodes.errors import ConfigError

# (noisy chunk, level) to the clean chunk, for what is seen.
Denoise = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Prefix:
    """Actions that are decided already.

    Attributes:
        actions: ``(B, N, 10)`` normalised; what stands beyond the prefix is not looked at.
        weights: ``(N,)`` in [0, 1]: 1 is exact, in between pulls, 0 is free.
    """

    actions: Tensor
    weights: Tensor

    def hold(self, free: Tensor, signal: float = 1.0, noise: Tensor | None = None) -> Tensor:
        """`free` with the decided actions in place, as they are at a level of noise."""
        known = self.actions * signal
        if noise is not None:
            known = known + noise
        weights = self.weights[:, None]
        # Not a difference: where the weight is 1 the result is exact.
        return torch.where(weights > 0, weights * known + (1 - weights) * free, free)


@dataclass(frozen=True)
class Sample:
    """A chunk, and how it came about.

    Attributes:
        chunk: ``(B, N, 10)`` normalised.
        steps: Evaluations of the network.
        change: Largest difference between the last two predictions; NaN after one step.
    """

    chunk: Tensor
    steps: int
    change: float


def sample(
    guess: Tensor | None,
    start: int,
    denoise: Denoise,
    schedule: CosineSchedule,
    *,
    noise: Tensor,
    steps: int,
    bound: Tensor | None = None,
    prefix: Prefix | None = None,
    tolerance: float = 0.0,
    randomness: float = 0.0,
    generator: torch.Generator | None = None,
) -> Sample:
    """Denoise from level `start` in `steps` steps.

    Args:
        guess: ``(B, N, 10)`` clean guess, put back to level `start`; None for none.
        start: Level to begin at; without a guess only the highest makes sense.
        denoise: Predicts the clean chunk.
        schedule: That the network was trained with.
        noise: ``(B, N, 10)`` standard normal, of the start and of the prefix.
        steps: Levels visited, evenly; the coefficients belong to the levels really visited.
        bound: ``(N, 10)`` largest size of a clean action.
        prefix: Actions that are decided already.
        tolerance: Stop when two predictions in a row differ by less, in normalised units; 0 never.
        randomness: 0 for DDIM, 1 for ancestral sampling.
        generator: Of the noise that `randomness` adds.

    Raises:
        ConfigError: More steps than levels, a start beyond what was trained, or no guess below
            the highest level.
    """
    if guess is None and start != schedule.levels:
        raise ConfigError(
            f"start level {start} needs a guess; without one start at {schedule.levels}."
        )
    visits = schedule.visits(start, steps)
    signal, spread = schedule.signal, schedule.noise
    x = noise if guess is None else float(signal[start]) * guess + float(spread[start]) * noise
    clean, change = x, float("nan")
    count = 0
    for index, level in enumerate(visits):
        if prefix is not None:
            x = prefix.hold(x, float(signal[level]), float(spread[level]) * noise)
        last, clean = clean, denoise(x, level)
        count += 1
        if bound is not None:
            clean = torch.minimum(torch.maximum(clean, -bound), bound)
        if prefix is not None:
            clean = prefix.hold(clean)
        if index:
            change = float((clean - last).abs().max())
            if change < tolerance:
                break
        to = visits[index + 1] if index + 1 < len(visits) else 0
        step = schedule.step(level, to, randomness)
        x = step.clean * clean + step.noisy * x
        if step.fresh > 0:
            x = x + step.fresh * torch.randn(x.shape, generator=generator, device=x.device)
    return Sample(clean, count, change)
