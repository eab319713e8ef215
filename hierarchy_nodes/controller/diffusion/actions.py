"""Chunks as the network sees them: relative to the measured tool, and of about unit size.

An action has 10 numbers: position less the tool's (base axes), the first two columns of the
rotation that turns the tool's orientation into it (Zhou et al. 2019, "On the Continuity of
Rotation Representations"), and the gripper opening from -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hierarchy_nodes.controller.diffusion.features import HORIZON
from hierarchy_nodes.types import Array

SIZE = 10
POSITION, ROTATION, GRIPPER = slice(0, 3), slice(3, 9), slice(9, 10)
# Least spread that is scaled to 1: metres, and (nearly) radians.
_LEAST = np.array([0.01] * 3 + [0.05] * 6 + [1.0])
# Times that differ by less are the same, seconds: stamps of today are no more exact.
_SAME = 1e-6
# Of the openings, that must be open or shut for the gripper to count as a switch.
_BINARY_SHARE = 0.98


# Row 4 i + j, column 3 r + c: how much of q_i q_j is in entry (r, c) of the rotation matrix.
_PRODUCTS = torch.zeros(4, 4, 9)
for _column, _terms in enumerate(
    (
        "+00 +11 -22 -33", "+12 +12 -03 -03", "+13 +13 +02 +02",
        "+12 +12 +03 +03", "+00 -11 +22 -33", "+23 +23 -01 -01",
        "+13 +13 -02 -02", "+23 +23 +01 +01", "+00 -11 -22 +33",
    )
):  # fmt: skip
    for _term in _terms.split():
        _PRODUCTS[int(_term[1]), int(_term[2]), _column] += float(_term[0] + "1")
_PRODUCTS = ((_PRODUCTS + _PRODUCTS.transpose(0, 1)) / 2).reshape(16, 9)


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """``(..., 4)`` (w, x, y, z) to ``(..., 3, 3)``; few operations, because each costs time."""
    unit = functional.normalize(quaternion, dim=-1)
    products = (unit[..., :, None] * unit[..., None, :]).flatten(-2)
    return (products @ _PRODUCTS.to(products)).unflatten(-1, (3, 3))


def columns_to_matrix(columns: Tensor) -> Tensor:
    """Two columns ``(..., 6)``, not quite orthonormal, to the rotation ``(..., 3, 3)``."""
    first = functional.normalize(columns[..., :3], dim=-1)
    second = columns[..., 3:] - (first * columns[..., 3:]).sum(-1, keepdim=True) * first
    second = functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second, dim=-1)], dim=-1)


def matrix_to_columns(matrix: Tensor) -> Tensor:
    """``(..., 3, 3)`` to its first two columns ``(..., 6)``."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """``(..., 3, 3)`` to ``(..., 4)`` (w, x, y, z), w >= 0.

    The products of its components are linear in the matrix; of the four rows of products, all of
    them multiples of the quaternion, the one with the largest square is taken (Bar-Itzhack 2000).
    """
    products = matrix.flatten(-2) @ _PRODUCTS.to(matrix).t()
    # 4 q_i q_j, once the squares, which add up to 1, are put in.
    products = (products + torch.eye(4).flatten().to(matrix)).unflatten(-1, (4, 4))
    best = torch.diagonal(products, dim1=-2, dim2=-1).argmax(-1)
    rows = products.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    return functional.normalize(rows * torch.where(rows[..., :1] < 0, -1.0, 1.0), dim=-1)


def relative(chunk: Tensor, tool: Tensor) -> Tensor:
    """Base-frame chunks as seen from the tool.

    Args:
        chunk: ``(B, N, 8)`` position, quaternion (w, x, y, z), opening in [0, 1].
        tool: ``(B, 7)`` position and quaternion.

    Returns:
        ``(B, N, 10)``.
    """
    position = chunk[..., :3] - tool[:, None, :3]
    back = quaternion_to_matrix(tool[:, None, 3:]).transpose(-1, -2)
    turn = quaternion_to_matrix(chunk[..., 3:7]) @ back
    return torch.cat([position, matrix_to_columns(turn), 2 * chunk[..., 7:] - 1], dim=-1)


def absolute(actions: Tensor, tool: Tensor) -> Tensor:
    """The inverse of :func:`relative`; quaternions are unit and openings in [0, 1]."""
    position = actions[..., POSITION] + tool[:, None, :3]
    turned = columns_to_matrix(actions[..., ROTATION]) @ quaternion_to_matrix(tool[:, None, 3:])
    opening = ((actions[..., GRIPPER] + 1) / 2).clamp(0.0, 1.0)
    return torch.cat([position, matrix_to_quaternion(turned), opening], dim=-1)


@dataclass(frozen=True)
class Normalisation:
    """What makes actions of about unit size; a mean and a scale for each step of the chunk.

    The first steps are small and the last ones far; with one scale for all, the first ones, which
    are the ones that are executed, would hardly count.

    Attributes:
        mean, scale: ``(HORIZON, 10)``; normalised = (action - mean) / scale.
        bound: ``(HORIZON, 10)`` the largest normalised size in the demonstrations.
        binary: Whether the gripper is only ever open or shut.
    """

    mean: Tensor
    scale: Tensor
    bound: Tensor
    binary: bool

    @classmethod
    def fit(cls, actions: Tensor, gripper_scale: float) -> Normalisation:
        """From ``(B, HORIZON, 10)`` relative actions.

        The gripper is not standardised: -1 and 1 become -`gripper_scale` and `gripper_scale`, so
        that at the level of a warm start the noise hides what the last chunk said of it (RTI-DP).
        """
        mean, spread = actions.mean(0), actions.std(0)
        scale = torch.maximum(spread, torch.from_numpy(_LEAST).to(spread))
        mean[:, GRIPPER], scale[:, GRIPPER] = 0.0, 1.0 / gripper_scale
        bound = ((actions - mean) / scale).abs().amax(0)
        bound[:, GRIPPER] = gripper_scale
        opening = actions[..., GRIPPER]
        binary = (opening.abs() > 0.9).float().mean() >= _BINARY_SHARE
        return cls(mean, scale, bound, bool(binary))

    def apply(self, actions: Tensor) -> Tensor:
        """Relative actions ``(..., HORIZON, 10)`` to normalised ones."""
        return (actions - self.mean) / self.scale

    def invert(self, normalised: Tensor) -> Tensor:
        """Normalised to relative actions; a gripper that is a switch is switched."""
        actions = normalised * self.scale + self.mean
        if self.binary:
            opening = torch.where(actions[..., GRIPPER] < 0, -1.0, 1.0)
            actions = torch.cat([actions[..., :9], opening], dim=-1)
        return actions

    def to(self, device: torch.device | str) -> Normalisation:
        """On another device."""
        mean, scale, bound = (t.to(device) for t in (self.mean, self.scale, self.bound))
        return Normalisation(mean, scale, bound, self.binary)


def at_times(chunk: Array, times: Array, wanted: Array) -> Array:
    """A chunk at other times: interpolated, its last action repeated.

    The gripper is a switch: it takes the value of the action that is under way.

    Args:
        chunk: ``(N, 8)`` base frame.
        times: ``(N,)`` seconds, increasing.
        wanted: ``(M,)`` seconds.

    Returns:
        ``(M, 8)``.
    """
    after = np.minimum(np.searchsorted(times, wanted - _SAME), len(times) - 1)
    before = np.maximum(after - 1, 0)
    gap = np.maximum(times[after] - times[before], 1e-6)
    share = np.clip((wanted - times[before]) / gap, 0.0, 1.0)[:, None]
    first, result = chunk[before, :7], chunk[after]
    opposite = np.einsum("ij,ij->i", first[:, 3:], result[:, 3:7]) < 0
    first[opposite, 3:] *= -1.0
    result[:, :7] = first + share * (result[:, :7] - first)
    result[:, 3:7] /= np.linalg.norm(result[:, 3:7], axis=1, keepdims=True)
    return result


__all__ = ["HORIZON", "SIZE", "Normalisation", "absolute", "at_times", "relative"]
