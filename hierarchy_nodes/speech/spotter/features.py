"""Log-mel energies of a stream, frame by frame: what the spotter hears."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hierarchy_nodes.speech.audio import RATE, Samples

# Samples: of a frame, from frame to frame, and of its spectrum.
FRAME, HOP, _SPECTRUM = 400, 160, 512
# So much is heard again of what may be a stop: samples.
WINDOW = round(1.4 * RATE)
BANDS = 40
# What a frame of silence is, in every band.
SILENT = -1.0
_LOW, _HIGH = 60.0, 7600.0
# Energies below this, relative to full scale, are all the same: decibels.
_FLOOR = -90.0


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """``(T, BANDS)`` about -1 (silence) to 1 (loud), T = 1 + (N - FRAME) // HOP frames of ``(N,)``.

    The mel scale is HTK's: 2595 log10(1 + f / 700).
    """
    if len(samples) < FRAME:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    spectrum = np.fft.rfft(frames * _window(), _SPECTRUM)
    power = (spectrum.real**2 + spectrum.imag**2) @ _filters()
    decibels = 10 * np.log10(np.maximum(power, 10 ** (_FLOOR / 10)))
    return (1 + decibels / (-_FLOOR / 2)).astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float32]:
    # Scaled so that a full-scale sine has a power of about 1.
    window = np.hanning(FRAME + 1)[:-1]
    return (window * 2 / window.sum()).astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float32]:
    """``(_SPECTRUM / 2 + 1, BANDS)`` triangles, evenly spaced in mel."""

    def mel(hertz: ArrayLike) -> NDArray[np.float64]:
        return 2595 * np.log10(1 + np.asarray(hertz, dtype=float) / 700)

    edges = np.linspace(mel(_LOW), mel(_HIGH), BANDS + 2)
    at = mel(np.fft.rfftfreq(_SPECTRUM, 1 / RATE))[:, None]
    up = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(up, down), 0, None).astype(np.float32)
