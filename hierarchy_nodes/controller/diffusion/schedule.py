"""How much noise there is at each level of the diffusion, and the step from one to another.

Level 0 is the clean sample, level `levels` is (nearly) pure noise. Any level can be left for any
lower one; the coefficients belong to that pair of levels, not to neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.types import Array

# Nichol and Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 17.
_OFFSET, _MAX_BETA = 0.008, 0.999


@dataclass(frozen=True)
class Step:
    """x at the lower level = ``clean * predicted + noisy * x + fresh * new noise``."""

    clean: float
    noisy: float
    fresh: float


class CosineSchedule:
    """The squared-cosine schedule.

    Args:
        levels: How many there are above the clean sample.

    Attributes:
        signal: ``(levels + 1,)`` factor of the clean sample at each level.
        noise: ``(levels + 1,)`` standard deviation of the noise at each level.
    """

    def __init__(self, levels: int) -> None:
        if levels < 1:
            raise ConfigError(f"diffusion levels: {levels} must be at least 1.")
        self.levels = levels
        share = (np.arange(levels + 1) / levels + _OFFSET) / (1 + _OFFSET)
        power = np.cos(share * math.pi / 2) ** 2
        betas = np.minimum(1 - power[1:] / power[:-1], _MAX_BETA)
        self._power: Array = np.concatenate([[1.0], np.cumprod(1 - betas)])
        self.signal: Array = np.sqrt(self._power)
        self.noise: Array = np.sqrt(1 - self._power)

    def level(self, share: float) -> int:
        """The one that stands at `share`, in (0, 1], of all; at least the first."""
        return max(1, round(share * self.levels))

    def visits(self, start: int, steps: int) -> list[int]:
        """`steps` levels to denoise at, evenly from `start` down; the last one leads to level 0.

        Raises:
            ConfigError: More steps than levels below `start`, or a start that was never trained.
        """
        if not 1 <= start <= self.levels:
            raise ConfigError(f"start level {start} is not among the trained 1 to {self.levels}.")
        if not 1 <= steps <= start:
            raise ConfigError(
                f"{steps} denoising steps from level {start}: valid are 1 to {start}; "
                f"the policy was trained with {self.levels} levels."
            )
        return np.linspace(start, 0, steps + 1).round().astype(int)[:-1].tolist()

    def step(self, level: int, to: int, randomness: float = 0.0) -> Step:
        """From `level` to any lower one.

        Song et al. 2021, "Denoising Diffusion Implicit Models", eq. 12 and 16, written for a
        network that predicts the clean sample. `randomness` is their eta: 0 is deterministic, 1
        between neighbours is ancestral sampling.
        """
        here, there = self._power[level], self._power[to]
        fresh = randomness * math.sqrt((1 - there) / (1 - here) * (1 - here / there))
        noisy = math.sqrt(max(1 - there - fresh**2, 0.0) / (1 - here))
        return Step(math.sqrt(there) - noisy * math.sqrt(here), noisy, fresh)
