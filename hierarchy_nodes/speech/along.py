"""Convolutions along the frames of the encoder: what all networks on top of it begin with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from hierarchy_nodes.speech.hearing import WIDTH

# Frames of the encoder in one of the network's.
STRIDE = 2


@dataclass(frozen=True)
class AlongConfig:
    """Sizes.

    Attributes:
        width: Channels.
        blocks: Residual blocks; every second one looks twice as far as those before.
        kernel: Frames of a convolution.
        dropout: Share of numbers left out in training.
    """

    width: int = 160
    blocks: int = 6
    kernel: int = 9
    dropout: float = 0.1


class Along(nn.Module):
    """``(B, T, inputs)`` to ``(B, T // STRIDE, outputs)``."""

    def __init__(self, config: AlongConfig, outputs: int, inputs: int = WIDTH) -> None:
        super().__init__()
        self.scale = nn.LayerNorm(inputs)
        self.first = nn.Conv1d(inputs, config.width, STRIDE, STRIDE)
        self.blocks = nn.ModuleList(
            _Block(config.width, config.kernel, 2 ** (i // 2), config.dropout)
            for i in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.first(self.scale(frames).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        found: Tensor = self.out(self.norm(x.transpose(1, 2)))
        return found


class _Block(nn.Module):
    """After ConvNeXt (Liu et al. 2022): along time channel by channel, then across channels."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.along = nn.Conv1d(
            width, width, kernel, padding=padding, dilation=dilation, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.across = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = self.across(self.norm(self.along(x).transpose(1, 2)))
        return x + seen.transpose(1, 2)
