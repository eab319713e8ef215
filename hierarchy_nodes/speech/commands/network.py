"""Which words are in the frames of the encoder: a score of each word along time.

Trained by connectionist temporal classification (Graves et al. 2006), in which number 0 is "no new
word here".
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from hierarchy_nodes.speech.along import Along


class WordsNetwork(Along):
    """``(B, T, WIDTH)`` to ``(B, T // STRIDE, words)`` log-probabilities."""

    def forward(self, frames: Tensor) -> Tensor:
        return functional.log_softmax(super().forward(frames), dim=-1)
