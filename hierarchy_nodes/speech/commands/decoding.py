"""From scores of words along time to sentences: the likeliest ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log, log1p

import numpy as np
from numpy.typing import NDArray

BLANK = 0
# Words that are weighed against each other in one place, no new word among them.
_RIVALS = 4
# Less likely words are none.
_LEAST = 1e-3
_SMOOTH = 0.9


@dataclass(frozen=True)
class Sentence:
    """Numbers of words.

    Attributes:
        score: Logarithm of the probability of all of them.
        sure: Probability of the least sure one.
        mean: Of all of them, the mean probability.
    """

    words: tuple[int, ...]
    score: float
    sure: float
    mean: float


@dataclass(frozen=True)
class _Beginning:
    """How likely it is to have heard some words by now, and how sure each of them was.

    Attributes:
        pause: Logarithm of the probability that no word is being said any more.
        word: That the last one may still be going on.
        usual: That people say them one after the other.
    """

    pause: float
    word: float
    usual: float
    peaks: tuple[float, ...]

    @property
    def heard(self) -> float:
        return _either(self.pause, self.word)

    def or_else(self, other: _Beginning) -> _Beginning:
        """The same words, said one way or the other."""
        peaks = max(self.peaks, other.peaks, key=sum)
        return _Beginning(
            _either(self.pause, other.pause), _either(self.word, other.word), self.usual, peaks
        )


class Usage:
    """How often words follow one another: a bigram model, smoothed with the words' own shares.

    Args:
        words: By their numbers; "" stands for beginning and end, and has number `BLANK`.
        pairs: Word to the words after it with their shares.
        shares: Of each word in all that is said.
        weight: What this counts beside what was heard.
    """

    def __init__(
        self,
        words: tuple[str, ...],
        pairs: Mapping[str, Mapping[str, float]],
        shares: Mapping[str, float],
        weight: float,
    ) -> None:
        self._words, self._pairs, self._shares, self._weight = words, pairs, shares, weight
        self.follows = lru_cache(maxsize=None)(self._follows)

    def _follows(self, before: int, word: int) -> float:
        """Weighted logarithm of the probability that `word` comes after `before`."""
        first, second = self._words[before], self._words[word]
        follows = self._pairs.get(first, {}).get(second, 0.0)
        own = self._shares.get(second, _LEAST)
        return self._weight * log(_SMOOTH * follows + (1 - _SMOOTH) * own)


def sentences(
    scores: NDArray[np.float32],
    most: int = 16,
    follows: Callable[[int, int], float] = lambda before, word: 0.0,
) -> list[Sentence]:
    """The likeliest sentences, the best first.

    A prefix beam search (Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech
    Recognition using Bi-Directional Recurrent DNNs").

    Args:
        scores: ``(T, words)`` log-probabilities.
        most: How many, and how many beginnings are gone on with.
        follows: Log-probability of a word after another one, as people speak; `BLANK` stands for
            the beginning and the end.
    """
    beam: dict[tuple[int, ...], _Beginning] = {(): _Beginning(0.0, -inf, 0.0, ())}
    for row in scores:
        likely = (int(i) for i in np.argsort(-row)[:_RIVALS] if row[i] > log(_LEAST))
        heard = [(number, float(row[number])) for number in likely]
        longer: dict[tuple[int, ...], _Beginning] = {}
        for words, beginning in beam.items():
            for number, score in heard:
                for more, new in _gone_on(words, beginning, number, score, follows):
                    if new.heard > -inf:
                        longer[more] = longer[more].or_else(new) if more in longer else new
        ranked = sorted(longer.items(), key=lambda each: -each[1].heard - each[1].usual)
        beam = dict(ranked[:most])
    found = [
        Sentence(
            words,
            b.heard + b.usual + follows(words[-1] if words else BLANK, BLANK),
            min(b.peaks, default=1.0),
            sum(b.peaks) / len(b.peaks) if b.peaks else 1.0,
        )
        for words, b in beam.items()
    ]
    return sorted(found, key=lambda each: -each.score)


def _gone_on(
    words: tuple[int, ...],
    beginning: _Beginning,
    number: int,
    score: float,
    follows: Callable[[int, int], float],
) -> list[tuple[tuple[int, ...], _Beginning]]:
    """What a beginning may become with one more frame, in which `number` has this score."""
    usual, peaks = beginning.usual, beginning.peaks
    if number == BLANK:
        return [(words, _Beginning(beginning.heard + score, -inf, usual, peaks))]
    before = words[-1] if words else BLANK
    longer = usual + follows(before, number)
    if number != before:
        new = _Beginning(-inf, beginning.heard + score, longer, (*peaks, exp(score)))
        return [((*words, number), new)]
    # Still the same word; or it once more, after a pause.
    still = (*peaks[:-1], max(peaks[-1], exp(score)))
    again = _Beginning(-inf, beginning.pause + score, longer, (*peaks, exp(score)))
    return [
        (words, _Beginning(-inf, beginning.word + score, usual, still)),
        ((*words, number), again),
    ]


def _either(first: float, second: float) -> float:
    """Logarithm of the sum of what these are logarithms of."""
    low, high = sorted((first, second))
    return high if low == -inf else high + log1p(exp(low - high))
