"""The network: what is seen becomes tokens once a chunk, then a small decoder denoises actions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.controller.diffusion import actions, inputs
from hierarchy_nodes.controller.diffusion.features import HORIZON, PATH_POINTS, ROLES
from hierarchy_nodes.controller.diffusion.inputs import Batch
from hierarchy_nodes.errors import ConfigError


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes.

    Attributes:
        width: Of a token; a multiple of `heads`.
        layers: Of the decoder, which runs at every denoising step.
        memory_layers: Of the encoder, which runs once a chunk.
        feedforward: Hidden width over `width`.
        points: Of the cloud that are looked at.
        point_width: Of the network of each point.
        point_tokens: Learned queries that sum up the points.
        word_width: Of a word's vector.
        words: Longest instruction that is read.
        vocabulary: Known words, without "no word" and "unknown word".
        levels: Diffusion levels.
    """

    width: int = 128
    heads: int = 4
    layers: int = 2
    memory_layers: int = 2
    feedforward: int = 3
    points: int = 128
    point_width: int = 128
    point_tokens: int = 12
    word_width: int = 64
    words: int = 20
    vocabulary: int = 0
    levels: int = 100

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < (0 if name == "vocabulary" else 1):
                raise ConfigError(f"network.{name}: {value!r} must be a positive whole number.")
        if self.width % self.heads:
            raise ConfigError(f"network.width: {self.width} is no multiple of heads {self.heads}.")


@dataclass(frozen=True)
class Memory:
    """What was seen: computed once, used by every denoising step.

    Attributes:
        keys, values: Of each decoder layer, ``(B, heads, M, width / heads)``.
        done: ``(B,)`` logit of the task being finished.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    done: Tensor


class DiffusionNetwork(nn.Module):
    """Predicts the clean chunk from a noisy one, its noise level, and what is seen."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        c, d = config, config.width
        self.config = c
        self.point = nn.Sequential(
            nn.Linear(inputs.POINT, c.point_width),
            nn.GELU(),
            nn.Linear(c.point_width, c.point_width),
            nn.LayerNorm(c.point_width),
            nn.GELU(),
        )
        self.point_queries = nn.Parameter(torch.randn(c.point_tokens, c.point_width) * 0.2)
        # How much the instruction has to say in what each query looks for.
        self.point_gates = nn.Parameter(torch.linspace(0.0, 1.0, c.point_tokens)[:, None])
        self.point_wish = nn.Linear(d, c.point_width)
        self.point_out = nn.Linear(c.point_width, d)
        self.state = _embed(inputs.STATE, d)
        self.path = _embed(inputs.PATH_POINT, d)
        self.things = _embed(inputs.THING, d)
        self.motion = _embed(inputs.MOTION_TOLD, d)
        self.task = _embed(inputs.TASK, d)
        self.text = TextEncoder(c)
        count = c.point_tokens + 1 + PATH_POINTS + len(ROLES) + 1 + 1 + TextEncoder.TOKENS
        self.place = nn.Parameter(torch.randn(count, d) * 0.02)
        self.encoder = nn.ModuleList(
            Block(d, c.heads, c.feedforward) for _ in range(c.memory_layers)
        )
        self.memory_norm = nn.LayerNorm(d)
        self.memory_kv = nn.Linear(d, 2 * d * c.layers)
        self.done = nn.Linear(d, 1)

        self.action_in = nn.Linear(actions.SIZE, d)
        self.action_place = nn.Parameter(torch.randn(HORIZON, d) * 0.02)
        self.level = nn.Embedding(c.levels + 1, d)
        self.level.weight.data.copy_(_waves(c.levels + 1, d) * 0.1)
        self.decoder = nn.ModuleList(
            Block(d, c.heads, c.feedforward, cross=True) for _ in range(c.layers)
        )
        self.out_norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, actions.SIZE)
        nn.init.zeros_(self.out.weight)

    def read(self, words: Tensor) -> Tensor:
        """The instruction as tokens, which last as long as the instruction.

        Args:
            words: ``(B, words)`` int64 numbers, 0 where there is none.
        """
        return self.text(words)

    def encode(self, batch: Batch, text: Tensor, channels: Tensor) -> Memory:
        """Look once.

        Args:
            batch: `Features` arrays with a batch dimension.
            text: Of :meth:`read`.
            channels: ``(B, 4)`` which of `features.CHANNELS` may be looked at.
        """
        return self.look(inputs.prepare(batch, channels), text, channels)

    def look(self, seen: inputs.Inputs, text: Tensor, channels: Tensor) -> Memory:
        """As :meth:`encode`, from inputs that are prepared already (in full precision)."""
        text = text * channels[:, None, inputs.TEXT :]
        hidden = self.point(seen.points)
        wish = self.point_wish(text.mean(1))[:, None]
        queries = self.point_queries + self.point_gates * wish
        weights = (queries @ hidden.transpose(-1, -2) * hidden.shape[-1] ** -0.5).softmax(dim=-1)
        pooled = self.point_out(weights @ hidden)
        tokens = [
            self.state(seen.state)[:, None],
            self.path(seen.path),
            self.things(seen.things),
            self.motion(seen.motion)[:, None],
            self.task(seen.task)[:, None],
            text,
            pooled,
        ]
        x = torch.cat(tokens, dim=1) + self.place
        for block in self.encoder:
            x = block(x)
        x = self.memory_norm(x)
        c = self.config
        # (2 * layers, B, heads, M, width / heads)
        kv = self.memory_kv(x).unflatten(-1, (2 * c.layers, c.heads, c.width // c.heads))
        kv = kv.permute(2, 0, 3, 1, 4)
        keys = tuple(kv[2 * layer] for layer in range(c.layers))
        values = tuple(kv[2 * layer + 1] for layer in range(c.layers))
        return Memory(keys, values, self.done(x[:, 0])[:, 0])

    def denoise(self, noisy: Tensor, level: Tensor, memory: Memory) -> Tensor:
        """The clean chunk.

        Args:
            noisy: ``(B, HORIZON, 10)`` normalised.
            level: ``(B,)`` int64.
            memory: Of the same batch size.

        Returns:
            ``(B, HORIZON, 10)`` normalised.
        """
        x = self.action_in(noisy) + self.action_place + self.level(level)[:, None]
        for block, keys, values in zip(self.decoder, memory.keys, memory.values, strict=True):
            x = block(x, keys, values)
        return self.out(self.out_norm(x))


class Block(nn.Module):
    """Pre-norm transformer block; with `cross`, keys and values of the memory come ready made."""

    def __init__(self, width: int, heads: int, feedforward: int, cross: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        if cross:
            self.cross_norm = nn.LayerNorm(width)
            self.query = nn.Linear(width, width)
            self.cross_mix = nn.Linear(width, width)
        self.ff_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, feedforward * width)
        self.narrow = nn.Linear(feedforward * width, width)

    def forward(
        self, x: Tensor, keys: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        batch, count, width = x.shape
        # Rows of all batches under one another: a product of matrices needs no reshaping then.
        x = x.flatten(0, 1)
        split = (batch, count, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.norm(x)).view(split).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.mix(_joined(functional.scaled_dot_product_attention(q, k, v)))
        if keys is not None and values is not None:
            q = self.query(self.cross_norm(x)).view(batch, count, self.heads, -1).transpose(1, 2)
            seen = functional.scaled_dot_product_attention(q, keys, values)
            x = x + self.cross_mix(_joined(seen))
        x = x + self.narrow(functional.gelu(self.widen(self.ff_norm(x)), approximate="tanh"))
        return x.unflatten(0, (batch, count))


class TextEncoder(nn.Module):
    """The instruction's words in their order, summed up in a few tokens."""

    TOKENS = 2

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.word_width
        self.words = nn.Embedding(config.vocabulary + 2, width)
        self.places = nn.Parameter(torch.randn(config.words, width) * 0.1)
        self.block = Block(width, 4 if width % 4 == 0 else 1, 2)
        self.scores = nn.Linear(width, self.TOKENS)
        self.out = nn.Linear(width, config.width)

    def forward(self, words: Tensor) -> Tensor:
        """``(B, W)`` word numbers to ``(B, TOKENS, width)``."""
        x = self.block(self.words(words) + self.places)
        scores = self.scores(x).masked_fill((words == 0)[..., None], -1e4)
        return self.out(scores.softmax(dim=1).transpose(-1, -2) @ x)


def _embed(size: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, width), nn.GELU(), nn.Linear(width, width))


def _joined(heads: Tensor) -> Tensor:
    """``(B, heads, N, D)`` to ``(B N, heads D)``."""
    return heads.transpose(1, 2).flatten(2).flatten(0, 1)


def _waves(count: int, width: int) -> Tensor:
    """Sinusoids of the level, as a start for its vectors."""
    rates = torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2))
    angles = torch.arange(count)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
    return functional.pad(waves, (0, width - waves.shape[1]))
