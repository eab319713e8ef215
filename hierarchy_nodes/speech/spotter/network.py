"""The network that hears "stop": causal convolutions over log-mel frames, depthwise separable.

After TC-ResNet (Choi et al. 2019, "Temporal Convolution for Real-time Keyword Spotting on Mobile
Devices"): bands are channels, so that all convolutions run along time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hierarchy_nodes.speech.spotter.features import BANDS


@dataclass(frozen=True)
class SpotterConfig:
    """Sizes.

    Attributes:
        width: Channels.
        blocks: Residual blocks; block i looks back 2 (kernel - 1) 2^i frames more.
        kernel: Frames of a convolution.
    """

    width: int = 64
    blocks: int = 4
    kernel: int = 5

    @property
    def past(self) -> tuple[int, ...]:
        """Frames that each convolution looks back."""
        far = self.kernel - 1
        return (far, *(far * 2**i for i in range(self.blocks)))

    @property
    def context(self) -> int:
        """Frames that an answer depends on."""
        return 1 + sum(self.past)


class SpotterNetwork(nn.Module):
    """``(B, T, BANDS)`` to ``(B, T - context + 1)`` logits of "stop has just been said"."""

    def __init__(self, config: SpotterConfig) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Conv1d(BANDS, config.width, config.kernel)
        self.blocks = nn.ModuleList(
            _Block(config.width, config.kernel, 2**i) for i in range(config.blocks)
        )
        self.out = nn.Conv1d(config.width, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        logits, _ = self.hear(frames, self.nothing(frames.shape[0]))
        return logits[:, self.config.context - 1 :]

    def hear(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """As a stream comes: nothing is computed twice.

        Args:
            frames: ``(B, T, BANDS)`` new ones.
            past: What each convolution remembers, as it was returned for the frames before.

        Returns:
            ``(B, T)`` logits, and what is to be remembered now.
        """
        now: list[Tensor] = []

        def after(past: Tensor, x: Tensor) -> Tensor:
            x = torch.cat([past, x], dim=-1)
            now.append(x[..., -past.shape[-1] :])
            return x

        x = torch.relu(self.first(after(past[0], frames.transpose(1, 2))))
        for block, before in zip(self.blocks, past[1:], strict=True):
            x = block(after(before, x))
        return self.out(x)[:, 0], now

    def nothing(self, batch: int = 1) -> list[Tensor]:
        """A memory with nothing in it, for :meth:`hear`."""
        c = self.config
        widths = (BANDS, *(c.width for _ in range(c.blocks)))
        device = self.out.weight.device
        return [
            torch.zeros(batch, width, past, device=device)
            for width, past in zip(widths, c.past, strict=True)
        ]


class Streaming(nn.Module):
    """`SpotterNetwork.hear` with all that it takes and gives in a row, as a file needs it."""

    def __init__(self, network: SpotterNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        logits, now = self.network.hear(frames, past)
        return (logits, *now)


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.cut = (kernel - 1) * dilation
        self.along = nn.Conv1d(width, width, kernel, dilation=dilation, groups=width)
        # Over the channels of one frame, so that an answer depends on no other frames.
        self.norm = nn.LayerNorm(width)
        self.across = nn.Sequential(
            nn.Conv1d(width, 2 * width, 1), nn.ReLU(), nn.Conv1d(2 * width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        # What is left of the input are the frames for which there is enough past.
        seen = self.norm(self.along(x).transpose(1, 2)).transpose(1, 2)
        return torch.relu(x[..., self.cut :] + self.across(seen))
