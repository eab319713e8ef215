"""A second opinion on "stop": a small network on Whisper's encoder, over the last moments.

The spotter's own network hears every frame and costs next to nothing, but mistakes other voices
and words in noise. What it suspects is heard again by an encoder that has listened to many people
and takes some 30 ms: a cascade, as for wake words (Gruenstein et al. 2017, "A Cascade Architecture
for Keyword Spotting on Mobile Devices").
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.encoder import Encoder
from hierarchy_nodes.speech.weights import load
from hierarchy_nodes.speech.whisper import packaged


class StopConfirmer:
    """``(WINDOW,)`` samples to the probability that a whole "stop" is in them.

    Args:
        path: ONNX file; empty: the one that comes with the package.

    Attributes:
        threshold: Probability from which on it is one, as chosen in training.

    Raises:
        ConfigError: No such file, no network in it, or no package with the encoder.
    """

    def __init__(self, path: str = "") -> None:
        self._session, facts = load(path, "confirm", {"threshold": float})
        self.threshold: float = facts["threshold"]
        self._encoder = Encoder.load(packaged())

    def __call__(self, samples: Samples) -> float:
        (logits,) = self._session.run(None, {"frames": self._encoder(samples)[None]})
        return float(1 / (1 + np.exp(-logits[0])))


@lru_cache(maxsize=1)
def confirmer(path: str = "") -> StopConfirmer:
    """One for all streams, because it remembers nothing and the encoder is large."""
    return StopConfirmer(path)
