"""One synthetic voice, whatever the program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from scipy.signal import resample_poly

from hierarchy_nodes.speech.audio import RATE, Samples


class Speaker(ABC):
    """One voice.

    Attributes:
        slow: It takes as long to say something as that lasts, or longer.
    """

    name: str
    slow: ClassVar[bool] = False

    @abstractmethod
    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        """`text` at 16 kHz, ``(N,)`` float32, at a speed and pitch drawn anew, ends cut close."""


def tidy(samples: Samples, rate: int) -> Samples:
    """At 16 kHz, without the silence at both ends: where the sound is 40 dB below its loudest."""
    if rate != RATE:
        common = int(np.gcd(rate, RATE))
        samples = resample_poly(samples, RATE // common, rate // common).astype(np.float32)
    window = RATE // 100
    count = len(samples) // window
    if not count:
        return samples
    energy = np.square(samples[: count * window]).reshape(count, window).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() * 1e-4)
    return samples[loud[0] * window : (loud[-1] + 1) * window] if len(loud) else samples
