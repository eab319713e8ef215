"""Rooms, noises and loudness: what happens to words on their way into a microphone."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, firwin2, lfilter

from hierarchy_nodes.speech.audio import RATE, Samples

NOISES = ("white", "pink", "hum", "motor", "babble")


def room(samples: Samples, rng: np.random.Generator) -> Samples:
    """The same words in a room: a direct sound, a few early echoes, and a tail that dies away."""
    decay = rng.uniform(0.05, 0.5)  # seconds until it is 60 dB down
    length = int(decay * RATE)
    tail = rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= rng.uniform(0.02, 0.25) / np.sqrt(np.square(tail).sum() + 1e-9)
    tail[0] = 1.0
    for _ in range(int(rng.integers(0, 5))):
        tail[int(rng.integers(16, min(length, 800)))] += rng.uniform(-0.4, 0.4)
    found: Samples = fftconvolve(samples, tail)[: len(samples)].astype(np.float32)
    return found


def other_voice(samples: Samples, rng: np.random.Generator) -> Samples:
    """The same words from a longer or shorter throat, faster or slower: played at another speed."""
    rate = float(rng.uniform(0.78, 1.28))
    places = np.arange(int(len(samples) / rate)) * rate
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


def coloured(samples: Samples, rng: np.random.Generator) -> Samples:
    """As another microphone hears it: some bands louder, others softer."""
    edges = np.array([0, 150, 400, 900, 1800, 3200, 5000, RATE / 2])
    gains = 10 ** (rng.normal(0.0, 5.0, len(edges)) / 20)
    found = fftconvolve(samples, firwin2(65, edges, gains, fs=RATE), mode="same")
    return np.asarray(found, np.float32)


def noise(
    kind: str, count: int, rng: np.random.Generator, talk: list[Samples] | None = None
) -> Samples:
    """``(count,)`` of one of `NOISES`, with a root mean square of 1.

    Args:
        talk: Clips that babble is made of.
    """
    white = rng.normal(size=count)
    if kind == "pink":
        # Kellet's filter: 3 dB less an octave.
        found = lfilter(
            [0.049922035, -0.095993537, 0.050612699, -0.004408786],
            [1, -2.494956002, 2.017265875, -0.522189400],
            white,
        )
    elif kind in ("hum", "motor"):
        # A motor's pitch follows its speed; a transformer's does not.
        pitch = rng.uniform(45, 65) if kind == "hum" else rng.uniform(80, 900)
        bend = np.cumsum(rng.normal(size=count)) / np.sqrt(count) * (0 if kind == "hum" else 0.3)
        phase = 2 * np.pi * np.cumsum(pitch * (1 + bend)) / RATE
        found = 0.2 * white
        for harmonic in range(1, 9):
            found = found + rng.uniform(0, 1) / harmonic * np.sin(harmonic * phase + harmonic)
        if kind == "motor":
            found *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 8) * np.arange(count) / RATE)
    elif kind == "babble" and talk:
        found = 0.02 * white
        for _ in range(int(rng.integers(3, 7))):
            clip = talk[int(rng.integers(len(talk)))]
            times = -(-count // len(clip))
            found = found + np.roll(np.tile(clip, times)[:count], int(rng.integers(count)))
    else:
        found = white
    return (found / (np.sqrt(np.mean(np.square(found))) + 1e-9)).astype(np.float32)


def loud(samples: Samples) -> float:
    """Root mean square of the part that is not silent."""
    window = RATE // 50
    count = max(1, len(samples) // window)
    energy = np.square(samples[: count * window]).reshape(count, -1).mean(axis=1)
    return float(np.sqrt(energy[energy >= energy.max() * 0.01].mean()) + 1e-9)
