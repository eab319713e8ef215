"""The network: an image encoder, a word encoder, both brought together at three resolutions.

The image is encoded once, however many instructions are asked about it. Words meet pixels where
colours and edges are still seen (one cell is 8 pixels), relations such as "left of" are found
among coarser cells (16 pixels), and things are pointed at with finer ones (4 pixels): there an
instruction only asks for a direction among the image's features, as in MaskFormer (Cheng et al.,
2021, section 3.3), which costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.planner.compact import lexicon
from hierarchy_nodes.planner.compact.inputs import (
    BEFORE,
    HEIGHT,
    INTERACTIONS,
    MAPS,
    PATH_POINTS,
    STATE,
    STATUSES,
    WIDTH,
)
from hierarchy_nodes.planner.compact.motion import MotionHead
from hierarchy_nodes.planner.compact.text import FIRST, NOTHING, SEGMENTS

STRIDE = 4
GRID = (HEIGHT // STRIDE, WIDTH // STRIDE)
EVENTS = 3
# Where a path point may be hung up: at the tool, the target, the goal.
ANCHORS = 3
_FLAGS = ("more", "goal", "avoid")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes.

    Attributes:
        stem, middle, deep: Channels at half, a quarter and an eighth of the image's size.
        width: Of a token; a multiple of `heads`.
        layers: Of attention among the image's cells.
        text_layers: Of attention among words.
        path_layers: Of the path's decoder.
        fine: Features of the cells with which things are pointed at.
        words: Longest text.
        vocabulary: Known words, without "nothing" and "unknown".
    """

    stem: int = 16
    middle: int = 32
    deep: int = 64
    width: int = 96
    heads: int = 3
    layers: int = 2
    text_layers: int = 2
    path_layers: int = 2
    fine: int = 32
    words: int = 32
    vocabulary: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < (0 if name == "vocabulary" else 1):
                raise ConfigError(f"network.{name}: {value!r} must be a positive whole number.")
        for name in ("stem", "middle", "deep", "fine"):
            if getattr(self, name) % 8:
                raise ConfigError(f"network.{name}: {getattr(self, name)} is no multiple of 8.")
        if self.width % self.heads or self.width % 8:
            raise ConfigError(
                f"network.width: {self.width} is no multiple of 8 and of heads {self.heads}."
            )


@dataclass(frozen=True)
class Seen:
    """An encoded image: ``fine`` ``(B, fine, 60, 80)``, ``coarse`` ``(B, width, 30, 40)``."""

    fine: Tensor
    coarse: Tensor


class CompactNetwork(nn.Module):
    """Image, words and state to maps, a path and what to say."""

    pixel_grid: Tensor
    grid4: Tensor
    grid8: Tensor
    waves: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        c, d = config, config.width
        self.config = c
        self.stem = nn.Sequential(nn.Conv2d(5, c.stem, 5, 2, 2), _norm(c.stem), nn.SiLU())
        self.quarter = nn.Sequential(_down(c.stem, c.middle), Residual(c.middle))
        self.eighth = nn.Sequential(_down(c.middle, c.deep), Residual(c.deep), Residual(c.deep))
        self.to_tokens = nn.Conv2d(c.deep, d, 1)
        self.before = nn.Conv2d(2, d, 1)
        self.place = nn.Conv2d(10, d, 1)

        self.words = nn.Embedding(c.vocabulary + FIRST, d)
        self.colors = nn.Linear(lexicon.SIZE, d)
        self.order = nn.Parameter(torch.randn(c.words, d) * 0.05)
        self.segments = nn.Embedding(len(SEGMENTS), d)
        self.text = nn.ModuleList(Block(d, c.heads) for _ in range(c.text_layers))
        self.text_norm = nn.LayerNorm(d)

        self.look = Block(d, c.heads, itself=False, other=True, alone=False)
        self.pool = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(d, d, 1))
        self.state = nn.Sequential(nn.Linear(STATE + BEFORE, d), nn.SiLU(), nn.Linear(d, d))
        self.summary = nn.Parameter(torch.randn(2, d) * 0.05)
        self.blocks = nn.ModuleList(Block(d, c.heads, other=True) for _ in range(c.layers))
        self.norm = nn.LayerNorm(d)
        self.merge = nn.Conv2d(d, d, 1)
        self.merge_context = nn.Conv2d(d, d, 1)
        self.merge_norm = nn.Sequential(_norm(d), nn.SiLU())
        self.features = nn.Sequential(
            nn.Conv2d(c.middle, c.fine, 3, 1, 1), _norm(c.fine), nn.SiLU()
        )
        self.maps = nn.Conv2d(d, len(MAPS), 1)
        self.sought = nn.Linear(2 * d, len(MAPS) * c.fine)
        self.say = nn.Linear(2 * d, len(STATUSES) + len(INTERACTIONS) + len(_FLAGS))

        self.thing = nn.Linear(2 * d + 2, d)
        self.doing = nn.Linear(len(INTERACTIONS), d)
        self.slots = nn.Parameter(torch.randn(PATH_POINTS, d) * 0.2)
        self.draw = nn.ModuleList(Block(d, c.heads, other=True) for _ in range(c.path_layers))
        self.draw_norm = nn.LayerNorm(d)
        self.point = nn.Linear(d, 1 + ANCHORS + 2 + 1 + EVENTS)
        self.motion = MotionHead(d)
        _coordinates(self)

    def see(self, images: Tensor) -> Seen:
        """Encode images.

        Args:
            images: ``(B, 3, 240, 320)`` in [0, 1].
        """
        grid = self.pixel_grid.expand(len(images), -1, -1, -1)
        fine = self.quarter(self.stem(torch.cat([images * 2 - 1, grid], dim=1)))
        coarse = self.to_tokens(self.eighth(fine)) + self.place(self.waves)
        return Seen(self.features(fine), coarse)

    def read(self, ids: Tensor, colors: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Words ``(N, W)`` to tokens ``(N, W, width)``, and which of them are none."""
        nothing = ids == NOTHING
        # An empty text still has one word: of nothing.
        nothing = nothing & (torch.arange(ids.shape[1], device=ids.device) > 0)
        x = self.words(ids) + self.colors(colors) + self.order + self.segments(segments)
        for block in self.text:
            x = block(x, hidden=nothing)
        return self.text_norm(x), nothing

    def forward(
        self,
        seen: Seen,
        ids: Tensor,
        colors: Tensor,
        segments: Tensor,
        state: Tensor,
        before: Tensor,
    ) -> dict[str, Tensor]:
        """What is asked about images.

        Args:
            seen: Of N images, one for each text.
            ids, colors, segments: ``(N, W)``, ``(N, W, lexicon.SIZE)``, ``(N, W)``.
            state: ``(N, STATE)``. before: ``(N, BEFORE)``.

        Returns:
            ``maps`` ``(N, 3, 60, 80)`` logits over all cells of target, goal and avoid; ``status``
            ``(N, 4)``, ``interaction`` ``(N, 6)``, ``flags`` ``(N, 3)`` logits (more, goal,
            avoid); ``there`` ``(N, P)`` logits, ``points`` ``(N, P, 2)`` normalised, ``heights``
            ``(N, P)`` metres and ``events`` ``(N, P, 3)`` logits of the path.
        """
        words, nothing = self.read(ids, colors, segments)
        grid8, grid4 = self.grid8, self.grid4
        marks = _marks(before, grid8)
        coarse = seen.coarse + self.before(marks)
        rows, columns = coarse.shape[-2:]
        tokens = self.look(coarse.flatten(2).mT, words, nothing)
        coarse = tokens.mT.unflatten(2, (rows, columns))
        pooled = self.pool(coarse)
        state_token = self.state(torch.cat([state, before], dim=1))[:, None]
        x = torch.cat(
            [self.summary.expand(len(ids), -1, -1), state_token, pooled.flatten(2).mT], dim=1
        )
        for block in self.blocks:
            x = block(x, words, nothing)
        x = self.norm(x)
        summary = x[:, :2].flatten(1)
        context = x[:, 3:].mT.unflatten(2, pooled.shape[-2:])
        context = self.merge_context(context)
        context = functional.interpolate(context, (rows, columns), mode="bilinear")
        coarse = self.merge_norm(self.merge(coarse) + context)
        sought = self.sought(summary).unflatten(1, (len(MAPS), -1))
        sharp = (sought @ seen.fine.flatten(2)).unflatten(2, GRID)
        maps = functional.interpolate(self.maps(coarse), GRID, mode="bilinear") + sharp
        sizes = (len(STATUSES), len(INTERACTIONS), len(_FLAGS))
        status, interaction, flags = self.say(summary).split(sizes, dim=1)

        things, spots = [], []
        for i in range(2):
            weights = maps[:, i].flatten(1).softmax(dim=1)
            spot = weights @ grid4
            there = 4 * functional.avg_pool2d(weights.unflatten(1, GRID)[:, None], 2)
            feature = (coarse.flatten(2) @ there.flatten(1)[..., None])[..., 0]
            things.append(self.thing(torch.cat([x[:, i], feature, spot * 2 - 1], dim=1)))
            spots.append(spot)
        doing = self.doing(interaction.softmax(dim=1))
        memory = torch.cat([torch.stack([*things, doing], dim=1), x], dim=1)
        y = self.slots + torch.stack(things, dim=1).mean(1, keepdim=True) + doing[:, None]
        for block in self.draw:
            y = block(y, memory)
        found = self.point(self.draw_norm(y))
        there, hang, off, height, events = found.split((1, ANCHORS, 2, 1, EVENTS), dim=2)
        anchors = torch.stack([state[:, :2].clamp(0, 1), *spots], dim=1)
        return {
            "maps": maps,
            "status": status,
            "interaction": interaction,
            "flags": flags,
            "there": there[..., 0],
            "points": hang.softmax(dim=2) @ anchors + 0.1 * off,
            "heights": 0.2 + 0.1 * height[..., 0],
            "events": events,
        }


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1),
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            _norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(x + self.body(x))


class Block(nn.Module):
    """Pre-norm attention among tokens and to other tokens, then a small network for each alone."""

    def __init__(
        self,
        width: int,
        heads: int,
        itself: bool = True,
        other: bool = False,
        alone: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.itself, self.other, self.alone = heads, itself, other, alone
        if itself:
            self.norm = nn.LayerNorm(width)
            self.qkv = nn.Linear(width, 3 * width)
            self.mix = nn.Linear(width, width)
        if other:
            self.other_norm = nn.LayerNorm(width)
            self.query = nn.Linear(width, width)
            self.key_value = nn.Linear(width, 2 * width)
            self.other_mix = nn.Linear(width, width)
        if alone:
            self.ff_norm = nn.LayerNorm(width)
            self.widen = nn.Linear(width, 2 * width)
            self.narrow = nn.Linear(2 * width, width)

    def forward(
        self, x: Tensor, memory: Tensor | None = None, hidden: Tensor | None = None
    ) -> Tensor:
        """`hidden` ``(N, keys)``: which keys (of `memory`, if given) are not to be looked at."""
        mask = None if hidden is None else ~hidden[:, None, None]
        if self.itself:
            q, k, v = (self._heads(t) for t in self.qkv(self.norm(x)).chunk(3, dim=-1))
            own = mask if memory is None else None
            x = x + self.mix(_joined(functional.scaled_dot_product_attention(q, k, v, own)))
        if self.other and memory is not None:
            q = self._heads(self.query(self.other_norm(x)))
            k, v = (self._heads(t) for t in self.key_value(memory).chunk(2, dim=-1))
            x = x + self.other_mix(_joined(functional.scaled_dot_product_attention(q, k, v, mask)))
        if not self.alone:
            return x
        return x + self.narrow(functional.silu(self.widen(self.ff_norm(x))))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(8, channels)


def _down(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, 2, 1), _norm(outside), nn.SiLU())


def centers(rows: int, columns: int) -> Tensor:
    """``(rows, columns, 2)`` normalised x, y of the middles of cells."""
    y, x = torch.meshgrid(
        (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij"
    )
    return torch.stack([x, y], dim=-1)


def _coordinates(module: nn.Module) -> None:
    """Where cells are, as constants that need no place in a weights file."""
    fine, coarse = centers(*GRID), centers(GRID[0] // 2, GRID[1] // 2)
    waves = [coarse * 2 - 1]
    waves += [f((coarse * 2 - 1) * k * torch.pi) for k in (1, 2) for f in (torch.sin, torch.cos)]
    for name, value in {
        "pixel_grid": centers(HEIGHT, WIDTH).permute(2, 0, 1)[None] * 2 - 1,
        "grid4": fine.flatten(0, 1),
        "grid8": coarse,
        "waves": torch.cat(waves, dim=-1).permute(2, 0, 1)[None],
    }.items():
        module.register_buffer(name, value, persistent=False)


def _marks(before: Tensor, grid: Tensor) -> Tensor:
    """``(N, 2, rows, columns)``: a spot where the last plan's target and goal were."""
    spots = before.unflatten(1, (2, 3))
    away = (grid[None, None] - spots[:, :, None, None, :2]).square().sum(-1)
    return torch.exp(-away / (2 * 0.03**2)) * spots[..., 2, None, None]
