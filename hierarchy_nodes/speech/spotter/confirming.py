"""A second opinion on "stop": a small network on the frames of `Hearing`, over the last moments.

The spotter's own network hears every frame and costs next to nothing, but mistakes other voices
and words in noise. What it suspects is heard again by an encoder that has listened to many people
and takes some 10 ms: a cascade, as for wake words (Gruenstein et al. 2017, "A Cascade Architecture
for Keyword Spotting on Mobile Devices"). What the words' network takes it for is heard, too: that
one has learned whole sentences, and errs elsewhere.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.hearing import COLUMNS, hearing
from hierarchy_nodes.speech.weights import load


class StopConfirmer:
    """``(WINDOW,)`` samples to the probability that a whole "stop" is in them.

    Args:
        path: ONNX file; empty: the one that comes with the package.
        words: That of the words' network, which it was trained on.

    Attributes:
        threshold: Probability from which on it is one, as chosen in training.

    Raises:
        ConfigError: No such file, no network in it, or one that was trained on other words, or on
            frames of another width.
    """

    def __init__(self, path: str = "", words: str = "") -> None:
        self._session, facts = load(path, "confirm", {"threshold": float, "words": str})
        self.threshold: float = facts["threshold"]
        self._hearing = hearing(words)
        width = self._session.get_inputs()[0].shape[-1]
        if width != COLUMNS:
            raise ConfigError(
                f"network 'confirm': {path or 'that of the package'} hears {width} numbers in a "
                f"frame, of which there are {COLUMNS}. Train it anew: hierarchy train confirm"
            )
        if facts["words"] != self._hearing.mark:
            raise ConfigError(
                f"network 'confirm': {path or 'that of the package'} was trained on other weights "
                f"than {words or 'those of the package'} ('words'). Name those, or train it anew: "
                f"hierarchy train confirm --set words={words or 'FILE'}"
            )

    def __call__(self, samples: Samples) -> float:
        (logits,) = self._session.run(None, {"frames": self._hearing.frames(samples)[None]})
        return float(1 / (1 + np.exp(-logits[0])))


@lru_cache(maxsize=1)
def confirmer(path: str = "", words: str = "") -> StopConfirmer:
    """One for all streams, because it remembers nothing."""
    return StopConfirmer(path, words)
