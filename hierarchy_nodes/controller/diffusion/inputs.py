"""Features as numbers of about unit size around the tool: the network's first, fixed layer.

All vectors are relative to the tool's position but keep the directions of the base frame: "left",
gravity, a path drawn on the table and the arm's own reach do not turn with the gripper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hierarchy_nodes.controller.diffusion.actions import matrix_to_columns, quaternion_to_matrix
from hierarchy_nodes.controller.diffusion.features import (
    CHANNELS,
    INTERACTIONS,
    PATH_POINTS,
    ROLES,
)
from hierarchy_nodes.types import Gripper

# Column i of a `channels` mask is CHANNELS[i].
PATH, MASKS, MOTION, TEXT = range(len(CHANNELS))
Batch = dict[str, Tensor]

_MIDDLE = (0.45, 0.0, 0.2)
# Sizes at which distances are told apart, metres: across the table, near, the last centimetre.
_SIZES = (0.6, 0.08, 0.015)
# Spread of the distance to the drawn path, image units.
_BESIDE = 0.05
UNKNOWN = 1  # 0 is no word


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def vocabulary_of(texts: Sequence[str]) -> list[str]:
    """All words of `texts`, sorted."""
    return sorted({word for text in texts for word in words_of(text)})


def numbered(vocabulary: Sequence[str]) -> dict[str, int]:
    """Word to number; 0 and 1 are taken."""
    return {word: index + 2 for index, word in enumerate(vocabulary)}


def word_ids(text: str, numbers: Mapping[str, int], length: int) -> list[int]:
    """Numbers of the first `length` words, padded with 0."""
    found = [numbers.get(word, UNKNOWN) for word in words_of(text)[:length]]
    return found + [0] * (length - len(found))


@dataclass(frozen=True)
class Inputs:
    """The tensors that the network's tokens are made of.

    Attributes:
        points: ``(B, P, POINT)``.
        state: ``(B, STATE)``.
        path: ``(B, PATH_POINTS, PATH_POINT)``.
        things: ``(B, 3, THING)``.
        motion: ``(B, MOTION_TOLD)``.
        task: ``(B, TASK)``.
    """

    points: Tensor
    state: Tensor
    path: Tensor
    things: Tensor
    motion: Tensor
    task: Tensor


# Widths of these.
POINT = 12 + 3 + 3 + (len(ROLES) + 1) + 2 + 1
STATE = 3 + 6 + 7 + 1 + 3 + 2 + len(CHANNELS)
PATH_POINT = 4 * 12 + len(Gripper) + 3
THING = 12 + 3 + 6 + 1
MOTION_TOLD = 12 + 6 + len(Gripper) + 2
TASK = len(INTERACTIONS) + 1


def prepare(batch: Batch, channels: Tensor) -> Inputs:
    """The network's inputs.

    Args:
        batch: `Features` arrays with a batch dimension.
        channels: ``(B, 4)`` which of `CHANNELS` may be looked at.
    """
    keep = channels.float()
    path, masks, motion = (keep[:, k : k + 1] for k in (PATH, MASKS, MOTION))
    tool = batch["tool"]
    place = tool[:, None, :3]
    there = batch["path_there"] * path
    turns = quaternion_to_matrix(torch.stack([tool[:, 3:], batch["camera"][:, 3:7]], dim=1))
    middle = tool.new_tensor(_MIDDLE)

    # Everything that is a place, at once: points, path, things, the way of the correction.
    points = batch["points"]
    low, high = batch["path"][..., :3], batch["path"][..., 3:]
    ray = high - low
    off = place - low
    # The ray at the tool's height, and where it comes nearest to the tool.
    shares = torch.stack(
        [
            off[..., 2] / ray[..., 2].clamp(min=0.05),
            (off * ray).sum(-1) / (ray * ray).sum(-1).clamp(min=0.01),
        ],
        dim=-1,
    ).clamp(-1.0, 2.0)
    cuts = low[:, :, None] + shares[..., None] * ray[:, :, None]
    way = batch["motion"][:, None, :3] * batch["motion"][:, None, 3:4]
    things = batch["things"]
    vectors = torch.cat([points, low, high, cuts.flatten(1, 2), things[..., :3], way + place], 1)
    scaled = _ways(vectors - place)
    count, k = points.shape[1], PATH_POINTS
    of_points, of_low, of_high, of_cuts, of_things, of_way = scaled.split(
        [count, k, k, 2 * k, len(ROLES), 1], dim=1
    )

    image = _project(torch.cat([points, place], dim=1), turns[:, 1], batch["camera"])
    beside = _along(image, batch["path_pixels"], there)

    roles = _one_hot(batch["point_roles"], len(ROLES) + 1)
    point = [
        of_points,
        (points - middle) / 0.3,
        batch["point_colors"] / 127.5 - 1,
        # Points of an unknown role say nothing, which is not the same as background.
        roles * masks[..., None],
        beside[:, :-1],
        # Points are all zeros where nothing was seen.
        (points[..., :1] != 0).float(),
    ]
    state = [
        (tool[:, :3] - middle) / 0.3,
        matrix_to_columns(turns[:, 0]),
        batch["joints"] / np.pi,
        2 * batch["gripper"] - 1,
        _multiscale(batch["closest"]) * masks,
        beside[:, -1],
        keep,
    ]
    passed = batch["path_passed"] * there
    before = functional.pad(passed[:, :-1], (1, 0), value=1.0)
    grip = _one_hot(batch["path_gripper"], len(Gripper))
    marks = torch.stack([before * (1 - passed), passed, torch.ones_like(passed)], dim=-1)
    route = torch.cat([of_low, of_high, of_cuts.unflatten(1, (k, 2)).flatten(2), grip, marks], -1)
    known = (batch["things_there"] * masks)[..., None]
    size_yaw_health = things[..., 3:] * things.new_tensor([10.0] * 3 + [1.0] * 3)
    thing = [of_things, (things[..., :3] - middle) / 0.3, size_yaw_health, torch.ones_like(known)]
    active = batch["motion_there"] * motion
    told = [
        of_way[:, 0],
        batch["motion"] * tool.new_tensor([1.0, 1.0, 1.0, 5.0, 1.0, 0.3]),
        _one_hot(batch["motion_gripper"][:, 0], len(Gripper)),
        torch.ones_like(active),
    ]
    kind = _one_hot(batch["interaction"][:, 0], len(INTERACTIONS))
    return Inputs(
        points=torch.cat(point, dim=-1),
        state=torch.cat(state, dim=-1),
        path=route * there[..., None],
        things=torch.cat(thing, dim=-1) * known,
        motion=torch.cat([torch.cat(told, dim=-1) * active, motion], dim=-1),
        task=torch.cat([kind * path, path], dim=-1),
    )


def _one_hot(numbers: Tensor, count: int) -> Tensor:
    """``(...)`` to ``(..., count)``; compiled, rows of a table take the least time."""
    return torch.eye(count, device=numbers.device)[numbers.long()]


def _ways(vector: Tensor) -> Tensor:
    """``(..., 3)`` metres to ``(..., 12)``: at the sizes that matter, and the direction alone."""
    direction = vector / (vector.norm(dim=-1, keepdim=True) + _SIZES[-1])
    return torch.cat([_multiscale(vector), direction], dim=-1)


def _multiscale(vector: Tensor) -> Tensor:
    """``(..., D)`` metres to ``(..., 3 D)`` at the sizes that matter."""
    rates = 1 / vector.new_tensor(_SIZES)
    return torch.tanh(vector[..., None] * rates).flatten(-2)


def _project(points: Tensor, view: Tensor, camera: Tensor) -> Tensor:
    """``(B, P, 3)`` to ``(B, P, 2)`` normalised image coordinates."""
    local = (points - camera[:, None, :3]) @ view
    image = local[..., :2] / local[..., 2:].clamp(min=0.05)
    return image * camera[:, None, 7:9] + camera[:, None, 9:]


def _along(pixels: Tensor, path: Tensor, there: Tensor) -> Tensor:
    """How near ``(B, P, 2)`` is to the drawn path, in (0, 1], and how far along it, in [0, 1].

    ``(B, P, 2)``, zeros without a path. Of several equally near segments the first counts.
    """
    start, way = path[:, None, :-1], (path[:, 1:] - path[:, :-1])[:, None]
    off = pixels[:, :, None] - start
    share = ((off * way).sum(-1) / (way * way).sum(-1).clamp(min=1e-9)).clamp(0.0, 1.0)
    away = (off - share[..., None] * way).square().sum(-1)
    # The second end of a segment is there only if the first one is.
    away = away + 100.0 * (1 - there[:, None, 1:])
    least, segment = away.min(-1, keepdim=True)
    length = (there.sum(-1) - 1).clamp(min=1.0)[:, None, None]
    progress = (segment + share.gather(-1, segment)) / length
    near = torch.exp(least.clamp(min=1e-12).sqrt() / -_BESIDE)
    return torch.cat([near, progress], dim=-1) * (there[:, None, 1:2] > 0)
