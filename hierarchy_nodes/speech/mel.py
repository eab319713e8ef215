"""Log-mel energies as Whisper has them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import RATE, Samples

try:
    from faster_whisper.feature_extractor import FeatureExtractor
except ImportError as error:
    raise ConfigError(
        "the words' network, which also confirms a stop (confirm_stop), needs the package "
        "faster-whisper: pip install faster-whisper"
    ) from error

BANDS = 80
# Shorter sounds are filled up with silence; longer ones do not fit into the encoder: seconds.
_SHORTEST, _LONGEST = 0.1, 29.0


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """``(N,)`` at 16 kHz to ``(BANDS, T)``, 100 frames a second, T even.

    Not padded to half a minute, as Whisper does, an encoder needs a tenth of the time.
    """
    missing = max(0, round(_SHORTEST * RATE) - len(samples))
    mel = _extractor()(np.pad(samples[: round(_LONGEST * RATE)], (0, missing)), padding=0)
    # The encoder takes two frames at a time.
    return np.ascontiguousarray(mel[:, : mel.shape[1] // 2 * 2], dtype=np.float32)


@lru_cache(maxsize=1)
def _extractor() -> FeatureExtractor:
    return FeatureExtractor()
