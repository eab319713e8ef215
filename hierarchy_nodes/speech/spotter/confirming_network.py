"""Whether "stop" is in the frames of `Hearing`."""

from __future__ import annotations

from torch import Tensor

from hierarchy_nodes.speech.along import Along, AlongConfig
from hierarchy_nodes.speech.hearing import COLUMNS


class ConfirmingNetwork(Along):
    """``(B, T, COLUMNS)`` to ``(B,)`` logits, each that of the place that is likest to one."""

    def __init__(self, config: AlongConfig) -> None:
        super().__init__(config, 1, COLUMNS)

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(frames)[..., 0].amax(dim=1)
