"""From scores of words along time to sentences: the likeliest one, and those next to it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

import numpy as np
from numpy.typing import NDArray

BLANK = 0
# How many words are weighed against each other in one place.
_RIVALS = 3
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


def sentences(scores: NDArray[np.float32], most: int = 1) -> Iterator[Sentence]:
    """The likeliest sentences, the best first.

    The places of words are those of the likeliest path; each place has its rivals, no word at all
    among them (a confusion network, Mangu et al. 2000).

    Args:
        scores: ``(T, words)`` log-probabilities.
        most: How many.
    """
    places = [_rivals(scores[begin:end]) for begin, end in _places(scores)]
    # Best first: from each choice, the next rival in any later place.
    costs = [[-float(np.log(p)) for _, p in rivals] for rivals in places]
    total = sum(cost[0] for cost in costs)
    queue: list[tuple[float, tuple[int, ...], int]] = [(total, (0,) * len(places), 0)]
    for _ in range(most):
        if not queue:
            return
        cost, chosen, first = heapq.heappop(queue)
        picked = [rivals[i] for rivals, i in zip(places, chosen, strict=True)]
        words = tuple(word for word, _ in picked if word != BLANK)
        shares = [share for _, share in picked] or [1.0]
        yield Sentence(words, -cost, min(shares), sum(shares) / len(shares))
        for place in range(first, len(places)):
            other = chosen[place] + 1
            if other < len(costs[place]):
                dearer = cost + costs[place][other] - costs[place][other - 1]
                changed = (*chosen[:place], other, *chosen[place + 1 :])
                heapq.heappush(queue, (dearer, changed, place))


class Usage:
    """How often words follow one another: a bigram model, smoothed with the words' own shares.

    Args:
        pairs: Word to the words after it with their shares; "" stands for beginning and end.
        shares: Of each word in all that is said.
    """

    def __init__(self, pairs: Mapping[str, Mapping[str, float]], shares: Mapping[str, float]):
        self._pairs, self._shares = pairs, shares

    def score(self, words: Sequence[str]) -> float:
        """Logarithm of the probability that somebody says `words`."""
        total = 0.0
        for before, word in pairwise(("", *words, "")):
            follows = self._pairs.get(before, {}).get(word, 0.0)
            own = self._shares.get(word, _LEAST)
            total += log(_SMOOTH * follows + (1 - _SMOOTH) * own)
        return total


def _places(scores: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Where along the likeliest path each word begins and ends."""
    path = scores.argmax(axis=1)
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    return [(int(begin), int(end)) for begin, end in pairwise(edges) if path[begin] != BLANK]


def _rivals(scores: NDArray[np.float32]) -> list[tuple[int, float]]:
    """``(word, probability)`` of one place, the likeliest first."""
    peaks = np.exp(scores).max(axis=0)
    # No word at all is as likely as that nowhere in this place there is one.
    peaks[BLANK] = np.exp(scores[:, BLANK]).min()
    shares = peaks / peaks.sum()
    order = np.argsort(-shares)[:_RIVALS]
    found = [(int(i), float(shares[i])) for i in order if shares[i] > _LEAST]
    return found or [(int(order[0]), 1.0)]
