"""An instruction and what was corrected since, as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.planner.compact import lexicon

# Numbers of words: nothing, a word that was never trained on, then the vocabulary.
NOTHING, UNKNOWN, FIRST = 0, 1, 2
# What a word is part of.
SEGMENTS = ("instruction", "target", "goal")
_WORD = re.compile(r"#[0-9a-f]{6}|[a-z]+|\d+")


@dataclass(frozen=True)
class Text:
    """Words in their order.

    Attributes:
        ids: ``(W,)`` int64 numbers.
        colors: ``(W, lexicon.SIZE)`` float32.
        segments: ``(W,)`` int64 index in `SEGMENTS`.
    """

    ids: NDArray[np.int64]
    colors: NDArray[np.float32]
    segments: NDArray[np.int64]


def split(text: str) -> list[str]:
    """Lower-case words, without what stands between them."""
    return _WORD.findall(text.lower().replace("'", "").replace("\u2019", ""))


class Reader:
    """Numbers words.

    Args:
        vocabulary: Known words; the place is the number less `FIRST`.
        length: Longest text; of a longer one the corrections and the beginning are kept.
    """

    def __init__(self, vocabulary: Sequence[str], length: int) -> None:
        self._numbers = {word: i + FIRST for i, word in enumerate(vocabulary)}
        self._length = length

    def __call__(self, instruction: str, corrections: Iterable[tuple[str, str]] = ()) -> Text:
        """Read.

        Args:
            instruction: In the person's words.
            corrections: Role ("target" or "goal") and phrase of each, oldest first.
        """
        spoken = [
            (word, SEGMENTS.index("goal" if role == "goal" else "target"))
            for role, phrase in corrections
            for word in split(phrase)
        ][-self._length // 2 :]
        said = [(word, 0) for word in split(instruction)][: self._length - len(spoken)]
        ids = np.full(self._length, NOTHING, dtype=np.int64)
        segments = np.zeros(self._length, dtype=np.int64)
        colors = np.zeros((self._length, lexicon.SIZE), dtype=np.float32)
        for i, (word, segment) in enumerate([*said, *spoken]):
            ids[i] = self._numbers.get(word, UNKNOWN)
            segments[i], colors[i] = segment, lexicon.describe(word)
        return Text(ids, colors, segments)


def vocabulary_of(texts: Iterable[str], least: int = 4) -> list[str]:
    """Words that occur at least so often, sorted; colours given as numbers are none."""
    counts = Counter(word for text in texts for word in split(text) if not word.startswith("#"))
    return sorted(word for word, count in counts.items() if count >= least)
