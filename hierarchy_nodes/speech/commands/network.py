"""Which words are said: a score of each word along time.

Whisper's encoder, trained further with convolutions on top of it by connectionist temporal
classification (Graves et al. 2006), in which number 0 is "no new word here".
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.speech.along import STRIDE, Along, AlongConfig
from hierarchy_nodes.speech.commands.whisper_encoder import WhisperEncoder

# Frames of log-mel energies in one score.
FRAMES = 2 * STRIDE


class WordsNetwork(nn.Module):
    """``(B, BANDS, T)`` log-mel to ``(B, T // FRAMES, words)`` log-probabilities."""

    def __init__(self, config: AlongConfig, words: int) -> None:
        super().__init__()
        self.encoder = WhisperEncoder()
        self.along = Along(config, words)

    def forward(self, mel: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Args: lengths: ``(B,)`` frames that are not padding; None: all.

        Returns:
            Those, and the encoder's own frames ``(B, T / 2, WIDTH)``.
        """
        frames = self.encoder(mel, lengths)
        return functional.log_softmax(self.along(frames), dim=-1), frames
