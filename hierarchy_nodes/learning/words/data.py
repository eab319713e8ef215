"""Spoken sentences, and how they sound in rooms and noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.learning.pieces import Pieces, keep
from hierarchy_nodes.learning.stop.mixing import NOISES, coloured, loud, noise, other_voice, room
from hierarchy_nodes.learning.stop.vocoder import vocoded
from hierarchy_nodes.learning.stop.voices import quick, trained
from hierarchy_nodes.learning.words import sayings
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import RATE, Samples

# Longer sentences are left out: seconds.
_LONGEST = 7.0
# Seeds of sentences by quick voices begin so much later.
_QUICK = 10**9


@dataclass(frozen=True)
class SpokenOptions:
    """How much is spoken."""

    sentences: int = param(3000, "How many are spoken by all voices", low=10, high=10_000_000)
    quick: int = param(
        12_000, "How many more by the voices that are quick at it", low=0, high=10_000_000
    )
    vocoded: float = param(
        0.5, "Share of them that goes through a vocoder, from another throat", low=0.0, high=1.0
    )


def speak(folder: Path, options: SpokenOptions, seed: int, progress: bool) -> Pieces:
    """Have sentences spoken, in all processes there are, and keep them in folders in `folder`.

    They are ``(N,)`` int16 and called by their texts; those by all voices come last.
    """
    found = Pieces([], [])
    for name, count, slow in (("quick", options.quick, False), ("all", options.sentences, True)):
        source = partial(
            _sentences, seed=seed + (not slow) * _QUICK, slow=slow, share=options.vocoded
        )
        how = {"sentences": count, "seed": seed, "vocoded": options.vocoded}
        some = keep(folder / name, count, source, how, progress)
        found.arrays.extend(some.arrays)
        found.labels.extend(some.labels)
    return found


def numbered(text: str) -> NDArray[np.int16]:
    """The numbers of the words of `text`, from 1; those of other talk have one number."""
    numbers = _numbers()
    other = numbers[sayings.OTHER]
    return np.array([numbers.get(w, other) for w in sayings.words_of(text)], np.int16)


def heard(words: Samples, rng: np.random.Generator, least: float, babble: list[Samples]) -> Samples:
    """`words` in a piece of sound: from another throat, in a room, with noise, more or less loud.

    Args:
        least: Ratio of words to noise, decibels.
        babble: Other voices, that noise may be made of.
    """
    if rng.random() < 0.8:
        words = other_voice(words, rng)
    before, after = (int(t * RATE) for t in (rng.uniform(0.05, 0.4), rng.uniform(0.1, 0.5)))
    line = np.pad(words, (before, after))
    if rng.random() < 0.4:
        line = room(line, rng)
    if rng.random() < 0.4:
        line = coloured(line, rng)
    level = loud(line)
    if rng.random() < 0.75:
        kind = NOISES[int(rng.integers(len(NOISES)))]
        # Voices behind words are told from them by their loudness alone.
        ratio = rng.uniform(least + (6.0 if kind == "babble" else 0.0), 30.0)
        line = line + level * 10 ** (-ratio / 20) * noise(kind, len(line), rng, babble)
    gain = 10 ** (rng.uniform(-34.0, -8.0) / 20) / level
    return np.clip(line * gain, -1.0, 1.0).astype(np.float32)


def _sentences(
    count: int, part: int, seed: int, slow: bool, share: float
) -> Iterator[tuple[NDArray[np.int16], str]]:
    rng = np.random.default_rng(seed + 1_000_003 * (part + 1))
    speakers = trained() if slow else quick()
    done = 0
    while done < count:
        text = sayings.say(rng, sayings.UNEXPECTED)
        if not text:
            continue
        samples = speakers[int(rng.integers(len(speakers)))].speak(text, rng)
        if not 0.1 * RATE < len(samples) < _LONGEST * RATE:
            continue
        if rng.random() < share:
            samples = vocoded(samples, rng)
        done += 1
        yield np.clip(samples * 32768, -32768, 32767).astype(np.int16), text


@lru_cache(maxsize=1)
def _numbers() -> dict[str, int]:
    return {word: i + 1 for i, word in enumerate(sayings.vocabulary())}
