"""Sounds of speech as Whisper's encoder hears them; what words they make is left to others.

The encoder has heard many people; a small network on top of it needs to learn only the words.
"""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import RATE, Samples

# Frames a second, and numbers in each, of Whisper's tiny models.
FRAMES, WIDTH = 50, 384
# Longer sounds do not fit into the encoder: seconds.
LONGEST = 29.0


class Encoder:
    """Whisper's encoder on the sound alone: not padded to half a minute, it takes a tenth the time.

    Args:
        model: With a width of `WIDTH`, such as ``tiny`` and ``tiny.en``.
    """

    def __init__(self, model: ctranslate2.models.Whisper) -> None:
        self._model = model
        self._features = FeatureExtractor()

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Encoder:
        """From a folder with a CTranslate2 model. Raises ConfigError."""
        try:
            model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", intra_threads=threads
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(f"{folder}: no Whisper model can be loaded: {error}") from error
        return cls(model)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """``(N,)`` at 16 kHz to ``(T, WIDTH)`` float32, 50 frames a second.

        Raises:
            ConfigError: The model is of another width.
        """
        mel = self._features(samples[: round(LONGEST * RATE)], padding=0)
        # An even number of frames, because the encoder takes two at a time.
        mel = np.ascontiguousarray(mel[None, :, : mel.shape[1] // 2 * 2].astype(np.float32))
        encoded = self._model.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True)
        frames = np.array(encoded)[0]
        if frames.shape[1] != WIDTH:
            raise ConfigError(
                f"the Whisper model is {frames.shape[1]} wide; expected one of {WIDTH}, as tiny.en."
            )
        return frames.astype(np.float32)
