"""The network: things in view and words, brought together by attention.

Each thing is a token: a small picture of it, encoded by convolutions, and where it is. Words are
read by attention among themselves. A summary and the state of the arm stand beside the things; all
of them look at each other ("left of", "the only one") and at the words. Things are then pointed at
by one number each, and a path is drawn from what they have become, hung up at the tool, the target
and the goal.
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
    INTERACTIONS,
    PATH_POINTS,
    ROLES,
    STATE,
    STATUSES,
)
from hierarchy_nodes.planner.compact.text import FIRST, NOTHING, SEGMENTS
from hierarchy_nodes.planner.compact.things import CHANNELS, CROP, GEOMETRY, POINT

EVENTS = 3
# Where a path point may be hung up: at the tool, the target, the goal.
ANCHORS = 3
# Ways to knock something over, eighths of a turn from x on; 0 is none of them.
HEADINGS = 9
_FLAGS = ("more", "goal", "avoid")
_COLOR = 3
# How far a mark of the last plan reaches, in image widths.
_MARK = 0.03
# Logit of what is not there; finite, so that an image without things has shares, too.
_NEVER = -1e4


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes.

    Attributes:
        channels: Of a thing's picture after the first convolution; twice as many after each other.
        width: Of a token; a multiple of `heads`.
        layers: Of attention among things and to words.
        text_layers: Of attention among words.
        path_layers: Of the path's decoder.
        words: Longest text.
        vocabulary: Known words, without "nothing" and "unknown".
    """

    channels: int = 24
    width: int = 160
    heads: int = 5
    layers: int = 4
    text_layers: int = 2
    path_layers: int = 2
    words: int = 32
    vocabulary: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < (0 if name == "vocabulary" else 1):
                raise ConfigError(f"network.{name}: {value!r} must be a positive whole number.")
        if self.channels % 8:
            raise ConfigError(f"network.channels: {self.channels} is no multiple of 8.")
        if self.width % self.heads or self.width % 8:
            raise ConfigError(
                f"network.width: {self.width} is no multiple of 8 and of heads {self.heads}."
            )


@dataclass(frozen=True)
class Seen:
    """Encoded things of B images, K each: ``tokens`` ``(B, K, width)``, ``points`` ``(B, K, 2)``
    normalised, and ``there`` ``(B, K)`` bool, which of them are things at all."""

    tokens: Tensor
    points: Tensor
    there: Tensor

    def of(self, images: Tensor) -> Seen:
        """Those of the images with these numbers, ``(N,)``."""
        return Seen(self.tokens[images], self.points[images], self.there[images])


class CompactNetwork(nn.Module):
    """Things, words and state to shares of attention, a path and what to say."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        c, d = config, config.width
        self.config = c
        sizes = (c.channels, 2 * c.channels, 4 * c.channels)
        self.picture = nn.Sequential(
            _down(CHANNELS, sizes[0]), _down(sizes[0], sizes[1]), _down(sizes[1], sizes[2]),
            nn.Flatten(), nn.Linear(sizes[2] * (CROP // 8) ** 2, d),
        )  # fmt: skip
        self.place = nn.Sequential(nn.Linear(GEOMETRY + _COLOR, d), nn.SiLU(), nn.Linear(d, d))
        self.thing_norm = nn.LayerNorm(d)
        self.before = nn.Linear(2, d)

        self.words = nn.Embedding(c.vocabulary + FIRST, d)
        self.colors = nn.Linear(lexicon.SIZE, d)
        self.order = nn.Parameter(torch.randn(c.words, d) * 0.05)
        self.segments = nn.Embedding(len(SEGMENTS), d)
        self.text = nn.ModuleList(Block(d, c.heads) for _ in range(c.text_layers))
        self.text_norm = nn.LayerNorm(d)

        self.state = nn.Sequential(nn.Linear(STATE + BEFORE, d), nn.SiLU(), nn.Linear(d, d))
        self.summary = nn.Parameter(torch.randn(2, d) * 0.05)
        self.blocks = nn.ModuleList(Block(d, c.heads, other=True) for _ in range(c.layers))
        self.norm = nn.LayerNorm(d)
        self.point_at = nn.Linear(d, len(ROLES))
        self.say = nn.Linear(2 * d, len(STATUSES) + len(INTERACTIONS) + len(_FLAGS))

        self.chosen = nn.Linear(2 * d + 2, d)
        self.doing = nn.Linear(len(INTERACTIONS), d)
        self.head = nn.Linear(4 * d, HEADINGS)
        self.heading = nn.Embedding(HEADINGS, d)
        self.slots = nn.Parameter(torch.randn(PATH_POINTS, d) * 0.2)
        self.draw = nn.ModuleList(Block(d, c.heads, other=True) for _ in range(c.path_layers))
        self.draw_norm = nn.LayerNorm(d)
        self.path = nn.Linear(d, 1 + ANCHORS + 2 + 1 + EVENTS)

    def see(self, crops: Tensor, geometry: Tensor, colors: Tensor, there: Tensor) -> Seen:
        """Encode things.

        Args:
            crops: ``(B, K, CHANNELS, CROP, CROP)`` in [0, 1].
            geometry: ``(B, K, GEOMETRY)``. colors: ``(B, K, 3)`` as ``things.colors_of``.
            there: ``(B, K)`` bool, which of them are things.
        """
        pictures = self.picture(crops.flatten(0, 1) * 2 - 1).unflatten(0, crops.shape[:2])
        places = self.place(torch.cat([geometry, colors], dim=2))
        tokens = self.thing_norm(pictures + places) * there[..., None]
        return Seen(tokens, geometry[..., POINT], there)

    def read(self, ids: Tensor, colors: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Words ``(N, W)`` to tokens ``(N, W, width)``, and which of them are none."""
        nothing = ids == NOTHING
        # An empty text still has one word: of nothing.
        nothing = nothing & (torch.arange(ids.shape[1], device=ids.device) > 0)
        x = self.words(ids) + self.colors(colors) + self.segments(segments)
        x = x + self.order[: ids.shape[1]]
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
        heading: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What is asked about images.

        Args:
            seen: Of N images, one for each text.
            ids, colors, segments: ``(N, W)``, ``(N, W, lexicon.SIZE)``, ``(N, W)``.
            state: ``(N, STATE)``. before: ``(N, BEFORE)``.
            heading: ``(N,)`` which of the `HEADINGS` the path is to have; by default the likeliest.

        Returns:
            ``roles`` ``(N, 3, K)`` logits over the things of target, goal and avoid, very low
            where there is none; ``status`` ``(N, 4)``, ``interaction`` ``(N, 6)`` and ``flags``
            ``(N, 3)`` logits (more, goal, avoid);
            ``heading`` ``(N, HEADINGS)`` logits; ``there`` ``(N, P)`` logits, ``points``
            ``(N, P, 2)`` normalised, ``heights`` ``(N, P)`` metres and ``events`` ``(N, P, 3)``
            logits of the
            path.
        """
        words, nothing = self.read(ids, colors, segments)
        things = seen.tokens + self.before(_marks(before, seen.points))
        state_token = self.state(torch.cat([state, before], dim=1))[:, None]
        x = torch.cat([self.summary.expand(len(ids), -1, -1), state_token, things], dim=1)
        missing = torch.cat([seen.there.new_zeros(len(ids), 3), ~seen.there], dim=1)
        for block in self.blocks:
            x = block(x, words, nothing, missing)
        x = self.norm(x)
        summary, things = x[:, :2], x[:, 3:]
        roles = self.point_at(things).mT.masked_fill(~seen.there[:, None], _NEVER)
        sizes = (len(STATUSES), len(INTERACTIONS), len(_FLAGS))
        status, interaction, flags = self.say(summary.flatten(1)).split(sizes, dim=1)

        shares = roles[:, :2].softmax(dim=2)
        spots = shares @ seen.points
        chosen = self.chosen(torch.cat([summary, shares @ things, spots * 2 - 1], dim=2))
        # A path half way between two ways round would be neither: one is chosen before it is drawn.
        headings = self.head(torch.cat([summary, chosen], dim=2).flatten(1))
        taken = headings.argmax(1) if heading is None else heading
        doing = (self.doing(interaction.softmax(dim=1)) + self.heading(taken))[:, None]
        memory = torch.cat([chosen, doing, x], dim=1)
        unseen = torch.cat([missing.new_zeros(len(ids), 3), missing], dim=1)
        y = self.slots + chosen.mean(1, keepdim=True) + doing
        for block in self.draw:
            y = block(y, memory, unseen)
        found = self.path(self.draw_norm(y))
        there, hang, off, height, events = found.split((1, ANCHORS, 2, 1, EVENTS), dim=2)
        anchors = torch.cat([state[:, None, :2].clamp(0, 1), spots], dim=1)
        return {
            "roles": roles,
            "status": status,
            "interaction": interaction,
            "flags": flags,
            "heading": headings,
            "there": there[..., 0],
            "points": hang.softmax(dim=2) @ anchors + 0.1 * off,
            "heights": 0.2 + 0.1 * height[..., 0],
            "events": events,
        }


class Block(nn.Module):
    """Pre-norm attention among tokens and to other tokens, then a small network for each alone."""

    def __init__(self, width: int, heads: int, other: bool = False) -> None:
        super().__init__()
        self.heads, self.other = heads, other
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        if other:
            self.other_norm = nn.LayerNorm(width)
            self.query = nn.Linear(width, width)
            self.key_value = nn.Linear(width, 2 * width)
            self.other_mix = nn.Linear(width, width)
        self.ff_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        hidden: Tensor | None = None,
        missing: Tensor | None = None,
    ) -> Tensor:
        """`hidden` ``(N, keys)``: which keys (of `memory`, if given) are not to be looked at;
        `missing` ``(N, tokens)``: which of its own not, where there is a `memory`."""
        mask = None if hidden is None else ~hidden[:, None, None]
        q, k, v = (self._heads(t) for t in self.qkv(self.norm(x)).chunk(3, dim=-1))
        own = mask if memory is None else None if missing is None else ~missing[:, None, None]
        x = x + self.mix(_joined(functional.scaled_dot_product_attention(q, k, v, own)))
        if self.other and memory is not None:
            q = self._heads(self.query(self.other_norm(x)))
            k, v = (self._heads(t) for t in self.key_value(memory).chunk(2, dim=-1))
            x = x + self.other_mix(_joined(functional.scaled_dot_product_attention(q, k, v, mask)))
        return x + self.narrow(functional.silu(self.widen(self.ff_norm(x))))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)


def _down(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, 2, 1), nn.GroupNorm(8, outside), nn.SiLU())


def _marks(before: Tensor, points: Tensor) -> Tensor:
    """``(N, K, 2)``: how near things are to where the last plan's target and goal were."""
    spots = before.unflatten(1, (1, 2, 3))
    away = (points[:, :, None] - spots[..., :2]).square().sum(-1)
    return torch.exp(-away / (2 * _MARK**2)) * spots[..., 2]
