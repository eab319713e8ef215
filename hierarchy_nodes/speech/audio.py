"""One stream of sound for all listeners: 16 kHz, mono, float, with a time for every sample."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from hardware.base import AudioBlock
from hierarchy_nodes.errors import HierarchyError

RATE = 16000
# A longer hole is not filled with silence: what comes after it is a new stream. Seconds.
_LONGEST_HOLE = 2.0
# Stamps may disagree with the count of samples by so much before the clock is set anew: seconds.
_DRIFT = 0.1

Samples = NDArray[np.float32]


class AudioError(HierarchyError):
    """A block of sound that makes no sense."""


@dataclass(frozen=True)
class Sound:
    """A piece of the stream: samples ``(N,)`` float32 in [-1, 1] at 16 kHz, and when it began."""

    start: float
    samples: Samples

    @property
    def end(self) -> float:
        """When its last sample was over, seconds."""
        return self.start + len(self.samples) / RATE

    def loudness(self) -> float:
        """Decibels relative to full scale; -120 for silence."""
        return loudness(self.samples)


def loudness(samples: Samples) -> float:
    """Of ``(N,)`` samples, decibels relative to full scale; -120 for silence."""
    rms = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    return float(20 * np.log10(max(rms, 1e-6)))


class Stream:
    """Turns blocks as they come into one stream. Blocks that are missing become silence.

    Attributes:
        lost: Blocks that never came.
        restarts: How often the stream began anew: another rate or number of channels, a long
            hole, or a source that began to count from 0.
    """

    def __init__(self) -> None:
        self.lost = self.restarts = 0
        self._resampler: av.AudioResampler | None = None
        self._format = (0, 0)
        self._expected = 0
        self._clock = 0.0

    def push(self, block: AudioBlock) -> Sound:
        """The next piece; what the resampler holds back comes with a later one.

        Raises:
            AudioError: No samples, a rate of 0, or samples that are no whole frames.
        """
        samples = block.samples
        if samples.ndim != 2 or not samples.size or block.sample_rate <= 0:
            raise AudioError(
                f"sound block {block.sequence}: {samples.shape} samples at {block.sample_rate} Hz; "
                "expected (N, channels) and a rate above 0."
            )
        form = (block.sample_rate, samples.shape[1])
        missing = block.sequence - self._expected
        hole = missing * len(samples) / block.sample_rate
        if self._resampler is None or form != self._format or not 0 <= hole <= _LONGEST_HOLE:
            self.restarts += self._resampler is not None
            self._format, missing = form, 0
            self._resampler = av.AudioResampler("flt", "mono", RATE)
            self._clock = block.stamp
        self.lost += missing
        self._expected = block.sequence + 1
        if missing:
            samples = np.concatenate([np.zeros((missing * len(samples), form[1]), "i2"), samples])
        found = self._resampled(samples)
        start = self._clock
        self._clock += len(found) / RATE
        late = block.stamp + len(block.samples) / block.sample_rate - self._clock
        if abs(late) > _DRIFT:
            start, self._clock = start + late, self._clock + late
        return Sound(start, found)

    def _resampled(self, samples: NDArray[np.int16]) -> Samples:
        rate, channels = self._format
        # Channels are put together here: av knows no layout for every number of them.
        mono = samples[:, 0] if channels == 1 else samples.mean(axis=1).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), "s16", "mono")
        frame.sample_rate = rate
        assert self._resampler is not None
        pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, np.float32), *pieces]).astype(np.float32)
