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
# As many with what the words' network says of each, see `Hearing.frames`.
COLUMNS = WIDTH + 3
_STOP = "stop"
# Log-probabilities below this are all the same; and what they are divided by, to be about as large
# as the other numbers.
_LEAST, _SCALE = -12.0, 4.0


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

    def frames(self, samples: Samples) -> NDArray[np.float32]:
        """``(N,)`` at 16 kHz to ``(T, COLUMNS)``, `FRAMES` a second.

        After the encoder's numbers come log-probabilities, in `_SCALE` of them: that "stop" is said
        there, that no new word is, and that the likeliest other one is.
        """
        frames, scores = self._run(["frames", "scores"], samples)
        others = np.delete(scores, (0, self._stop), axis=1).max(axis=1)
        said = np.stack([scores[:, self._stop], scores[:, 0], others], axis=1)
        there = np.arange(len(frames)) * len(scores) // len(frames)
        return np.hstack([frames, np.maximum(said, _LEAST)[there] / _SCALE])

    def _run(self, what: list[str], samples: Samples) -> list[NDArray[np.float32]]:
        return [found[0] for found in self._session.run(what, {"mel": log_mel(samples)[None]})]


@lru_cache(maxsize=2)
def hearing(path: str = "") -> Hearing:
    """One for all who hear through the same weights."""
    return Hearing(path)
