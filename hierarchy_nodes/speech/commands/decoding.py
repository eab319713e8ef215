"""From scores of words along time to sentences: the likeliest one, and those next to it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BLANK = 0
# How many words are weighed against each other in one place.
_RIVALS = 3
# Less likely words are none.
_LEAST = 1e-3


@dataclass(frozen=True)
class Sentence:
    """Numbers of words, and how sure their least sure one is, in [0, 1]."""

    words: tuple[int, ...]
    sure: float


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
        sure = min((p for _, p in picked), default=1.0)
        yield Sentence(tuple(word for word, _ in picked if word != BLANK), sure)
        for place in range(first, len(places)):
            other = chosen[place] + 1
            if other < len(costs[place]):
                dearer = cost + costs[place][other] - costs[place][other - 1]
                queue_entry = (*chosen[:place], other, *chosen[place + 1 :])
                heapq.heappush(queue, (dearer, queue_entry, place))


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
