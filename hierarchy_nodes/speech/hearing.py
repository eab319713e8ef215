"""Sounds of speech as Whisper's encoder hears them after it was trained further on corrections.

It had heard many people before. The scores of words, and whether it is "stop" that was said, are
two small networks on top of the same frames.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.mel import log_mel
from hierarchy_nodes.speech.weights import file_of, load, mark_of

# Frames a second, and numbers in each, of Whisper's tiny models.
FRAMES, WIDTH = 50, 384
_STOP = "stop"
# Nothing is surer than this: a log-probability.
_SURE = -1e-4


class Hearing:
    """``words.onnx`` of ``hierarchy train words``; it remembers nothing from sound to sound.

    Args:
        path: ONNX file; empty: the one that comes with the package.

    Attributes:
        vocabulary: Words by their numbers, from 1.
        pairs, shares: See ``commands.decoding.Usage``.

    Raises:
        ConfigError: No such file, no network in it, or one that does not know "stop".
    """

    def __init__(self, path: str = "") -> None:
        facts = {"vocabulary": list, "pairs": dict, "shares": dict}
        self._session, known = load(path, "words", facts)
        self.vocabulary = [str(word) for word in known["vocabulary"]]
        self.pairs, self.shares = known["pairs"], known["shares"]
        self._file = file_of(path, "words")
        if _STOP not in self.vocabulary:
            raise ConfigError(f"network 'words': {self._file} does not know the word \"{_STOP}\"")
        self._stop = 1 + self.vocabulary.index(_STOP)

    @cached_property
    def mark(self) -> str:
        """Which weights these are."""
        return mark_of(self._file)

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """``(N,)`` at 16 kHz to ``(T, words)`` log-probabilities; number 0 is "no new word"."""
        (scores,) = self._run(["scores"], samples)
        return scores

    def stop(self, samples: Samples) -> tuple[NDArray[np.float32], float]:
        """``(N,)`` at 16 kHz to ``(T, WIDTH)`` frames, `FRAMES` a second, and what the words say.

        The latter are the log odds that "stop" is one of them, at the place that is likest to it.
        """
        frames, scores = self._run(["frames", "scores"], samples)
        surest = min(float(scores[:, self._stop].max()), _SURE)
        return frames, surest - float(np.log(-np.expm1(surest)))

    def _run(self, what: list[str], samples: Samples) -> list[NDArray[np.float32]]:
        return [found[0] for found in self._session.run(what, {"mel": log_mel(samples)[None]})]


@lru_cache(maxsize=2)
def hearing(path: str = "") -> Hearing:
    """One for all who hear through the same weights."""
    return Hearing(path)
