"""Sounds of speech as Whisper's encoder hears them after it was trained further on corrections.

It had heard many people before. The scores of words, and whether it is "stop" that was said, are
two small networks on top of the same frames.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.mel import log_mel
from hierarchy_nodes.speech.weights import file_of, load, mark_of

# Frames a second, and numbers in each, of Whisper's tiny models.
FRAMES, WIDTH = 50, 384


class Hearing:
    """``words.onnx`` of ``hierarchy train words``; it remembers nothing from sound to sound.

    Args:
        path: ONNX file; empty: the one that comes with the package.

    Attributes:
        vocabulary: Words by their numbers, from 1.
        pairs, shares: See ``commands.decoding.Usage``.

    Raises:
        ConfigError: No such file, or no network in it.
    """

    def __init__(self, path: str = "") -> None:
        facts = {"vocabulary": list, "pairs": dict, "shares": dict}
        self._session, known = load(path, "words", facts)
        self.vocabulary = [str(word) for word in known["vocabulary"]]
        self.pairs, self.shares = known["pairs"], known["shares"]
        self._file = file_of(path, "words")

    @cached_property
    def mark(self) -> str:
        """Which weights these are."""
        return mark_of(self._file)

    def frames(self, samples: Samples) -> NDArray[np.float32]:
        """``(N,)`` at 16 kHz to ``(T, WIDTH)``, `FRAMES` a second."""
        return self._run("frames", samples)

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """``(N,)`` at 16 kHz to ``(T, words)`` log-probabilities; number 0 is "no new word"."""
        return self._run("scores", samples)

    def _run(self, what: str, samples: Samples) -> NDArray[np.float32]:
        (found,) = self._session.run([what], {"mel": log_mel(samples)[None]})
        answer: NDArray[np.float32] = found[0]
        return answer


@lru_cache(maxsize=2)
def hearing(path: str = "") -> Hearing:
    """One for all who hear through the same weights."""
    return Hearing(path)
