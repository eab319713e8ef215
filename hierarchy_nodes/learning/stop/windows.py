"""What the confirming network learns from: the last moments before it is asked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.learning.pieces import Pieces, keep
from hierarchy_nodes.learning.stop.data import Mixer, load
from hierarchy_nodes.speech.audio import RATE, Samples
from hierarchy_nodes.speech.hearing import hearing
from hierarchy_nodes.speech.spotter.features import WINDOW

# When it is asked, from the end of a stop on, seconds: after it, and in one of five before, where
# nobody knows yet. Between them there is no right answer.
_AFTER, _BEFORE = (0.0, 0.32), (-0.55, -0.15)


def windows(clips: Path, folder: Path, words: str, count: int, seed: int, progress: bool) -> Pieces:
    """Windows out of mixtures of `clips`, called by whether a whole stop is in them.

    They are ``(T, WIDTH)`` float16, frames of `Hearing`.

    Args:
        folder: Where they are kept.
        words: ONNX file to hear through; empty: the one that comes with the package.

    Raises:
        ConfigError: No clips, or what the folder holds was drawn from others or in another way.
    """
    spoken = load(clips)
    known = zlib.crc32(spoken.samples.data)
    how = {
        "windows": count,
        "seed": seed,
        "clips": f"{len(spoken.starts)} ({known:08x})",
        "words": hearing(words).mark,
    }
    source = partial(_heard, clips=clips, words=words, seed=seed)
    return keep(folder, count, source, how, progress)


def draw(mixer: Mixer, rng: np.random.Generator) -> tuple[Samples, bool]:
    """``(WINDOW,)`` samples, and whether a whole stop is in them."""
    while True:
        sound, end = mixer.sound(rng)
        if end is None:
            last = int(rng.integers(WINDOW // 2, len(sound)))
        else:
            when = _BEFORE if rng.random() < 0.2 else _AFTER
            last = end + round(rng.uniform(*when) * RATE)
        if WINDOW // 4 < last <= len(sound):
            window = np.pad(sound[:last], (WINDOW, 0))[-WINDOW:]
            return window, end is not None and last >= end


def _heard(
    count: int, part: int, clips: Path, words: str, seed: int
) -> Iterator[tuple[NDArray[np.float16], bool]]:
    rng = np.random.default_rng([seed, part])
    mixer = _mixer(clips)
    for _ in range(count):
        window, stop = draw(mixer, rng)
        yield hearing(words).frames(window).astype(np.float16), stop


@lru_cache(maxsize=1)
def _mixer(clips: Path) -> Mixer:
    return Mixer(load(clips))
