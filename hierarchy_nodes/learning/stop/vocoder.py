"""Voices as statistical programs make them: words taken apart and put together by a vocoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import RATE, Samples

# Octaves of the pitch's middle, from 1 Hz: 80 to 280 Hz.
_PITCH = (np.log2(80.0), np.log2(280.0))
# How far its melody goes, how much higher its formants lie, and how many numbers are left of its
# spectrum: some programs keep 25 of them.
_MELODY, _FORMANTS, _NUMBERS = (0.3, 1.2), (0.84, 1.22), (20, 50)
# They are smoothed over up to so many frames of 5 ms, as a mean over many speakers' is.
_SMOOTH = 4.0


def vocoded(samples: Samples, rng: np.random.Generator) -> Samples:
    """The same words from another throat, at another pitch, with less detail and less breath.

    ``(N,)`` at 16 kHz, through WORLD (Morise et al. 2016, "WORLD: A Vocoder-Based High-Quality
    Speech Synthesis System for Real-Time Applications").

    Raises:
        ConfigError: The vocoder is not installed.
    """
    try:
        import pyworld
    except ImportError as error:
        raise ConfigError(
            "vocoded: pyworld is not installed; run tools/voices, or choose 0"
        ) from error
    sound = samples.astype(np.float64)
    rough, times = pyworld.dio(sound, RATE)
    pitch = pyworld.stonemask(sound, rough, times, RATE)
    spectrum = pyworld.cheaptrick(sound, pitch, times, RATE)
    breath = pyworld.d4c(sound, pitch, times, RATE) * rng.uniform()
    # Without a voice all is breath.
    breath[pitch == 0.0] = 1.0
    size = 2 * (spectrum.shape[1] - 1)
    coded = pyworld.code_spectral_envelope(
        _moved(spectrum, rng.uniform(*_FORMANTS)), RATE, int(rng.integers(*_NUMBERS))
    )
    smooth = gaussian_filter1d(coded, rng.uniform(0.2, _SMOOTH), axis=0)
    spectrum = pyworld.decode_spectral_envelope(smooth, RATE, size)
    said = pyworld.synthesize(_sung(pitch, rng), spectrum, breath, RATE)[: len(samples)]
    loudest = np.abs(said).max() + 1e-9
    return (said * (np.abs(samples).max() / loudest)).astype(np.float32)


def _moved(spectrum: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """``(T, F)`` with everything at `ratio` times its frequency."""
    places = np.minimum(np.arange(spectrum.shape[1]) / ratio, spectrum.shape[1] - 1)
    below = np.minimum(places.astype(int), spectrum.shape[1] - 2)
    share = places - below
    logs = np.log(spectrum)
    return np.ascontiguousarray(np.exp(logs[:, below] * (1 - share) + logs[:, below + 1] * share))


def _sung(pitch: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """``(T,)`` hertz, 0 without a voice: about another middle, more or less monotonous."""
    voiced = pitch > 0.0
    if not voiced.any():
        return pitch
    octaves = np.log2(pitch[voiced])
    found = np.zeros_like(pitch)
    found[voiced] = 2 ** (
        rng.uniform(*_PITCH) + rng.uniform(*_MELODY) * (octaves - np.median(octaves))
    )
    return found
