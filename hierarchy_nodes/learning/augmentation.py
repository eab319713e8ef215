"""Demonstrations made harder: what the robot will see is noisier than what it was shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hierarchy_nodes.controller.diffusion.actions import quaternion_to_matrix
from hierarchy_nodes.controller.diffusion.features import CHANNELS, PLANES
from hierarchy_nodes.controller.diffusion.inputs import Batch
from hierarchy_nodes.parameters import param

# Features with points or directions in the base frame, and where in their last axis.
_PLACES = {"points": (0,), "tool": (0,), "things": (0,), "path": (0, 3), "camera": (0,)}
_NEAR, _FAR = 0.05, 3.0


@dataclass(frozen=True)
class AugmentationOptions:
    """How much harder."""

    drop_path: float = param(0.15, "Share of samples without a path", low=0.0, high=1.0)
    drop_masks: float = param(0.15, "Share without masks", low=0.0, high=1.0)
    drop_motion: float = param(0.10, "Share without knowing of corrections", low=0.0, high=1.0)
    drop_text: float = param(0.30, "Share without the instruction", low=0.0, high=1.0)
    path_jitter: float = param(0.01, "Of path points, image units", low=0.0, high=0.1)
    turn: float = param(0.08, "Largest turn of the scene about the base", unit="rad", low=0, high=1)
    point_noise: float = param(0.002, "Of points", unit="m", low=0.0, high=0.05)
    thing_noise: float = param(0.003, "Of centroids and sizes", unit="m", low=0.0, high=0.05)
    mask_holes: float = param(0.15, "Largest share of mask points lost", low=0.0, high=1.0)
    mask_loss: float = param(0.03, "Share of masks that are lost whole", low=0.0, high=1.0)
    color: float = param(0.2, "Largest change of brightness and of each colour", low=0.0, high=1.0)
    late_share: float = param(0.3, "Share of samples with an older image", low=0.0, high=1.0)
    late_most: int = param(2, "Most records by which it is older", low=0, high=20)


def draw_channels(
    count: int, used: tuple[str, ...], options: AugmentationOptions, random: torch.Generator
) -> Tensor:
    """``(count, 4)`` which channels each sample may look at."""
    o = options
    drop = torch.tensor([o.drop_path, o.drop_masks, o.drop_motion, o.drop_text])
    drawn = torch.rand(count, len(CHANNELS), generator=random, device=random.device)
    allowed = torch.tensor([float(name in used) for name in CHANNELS], device=random.device)
    # A policy with one channel only would learn nothing from samples without it.
    if len(used) == 1:
        drop = drop * 0
    return (drawn >= drop.to(random.device)).float() * allowed


def augment(
    batch: Batch, options: AugmentationOptions, points: int, random: torch.Generator
) -> Batch:
    """A batch of features and ``action.chunk``, in which everything still belongs together.

    Args:
        batch: With a batch dimension.
        options: How much harder.
        points: That are kept of each cloud, in each sample others.
        random: On the device of the batch.
    """
    o, batch = options, dict(batch)
    count = batch["tool"].shape[0]

    def noise(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=random, device=random.device)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=random, device=random.device)

    _thin(batch, points, uniform)
    seen = (batch["points"].abs().sum(-1, keepdim=True) > 0).float()
    batch["points"] = batch["points"] + o.point_noise * noise(batch["points"].shape[1], 3) * seen
    brightness = 1 + o.color * (2 * uniform(1, 1) - 1)
    tint = 1 + 0.5 * o.color * (2 * uniform(1, 3) - 1)
    batch["point_colors"] = (batch["point_colors"] * brightness * tint).clamp(0, 255)
    holes = uniform(batch["points"].shape[1]) < o.mask_holes * uniform(1)
    lost = uniform(3) < o.mask_loss
    of_lost = functional.pad(lost, (1, 0)).gather(1, batch["point_roles"].long())
    batch["point_roles"] = torch.where(holes | of_lost, 0, batch["point_roles"])
    things = batch["things"].clone()
    things[..., :6] += o.thing_noise * noise(3, 6)
    batch["things_there"] = batch["things_there"] * (~lost).float()
    batch["things"] = things * batch["things_there"][..., None]
    jitter = o.path_jitter * noise(*batch["path_pixels"].shape[1:])
    # Half of the plans are drawn by a steady hand.
    jitter = jitter * (uniform(1, 1) < 0.5).float()
    batch["path_pixels"] = batch["path_pixels"] + jitter * batch["path_there"][..., None]
    batch["path"] = cut_rays(batch["path_pixels"], batch["camera"])
    batch["path"] = batch["path"] * batch["path_there"][..., None]
    batch["gripper"] = (batch["gripper"] + 0.01 * noise(1)).clamp(0, 1)
    return turned(batch, o.turn * (2 * uniform() - 1))


def turned(batch: Batch, angle: Tensor) -> Batch:
    """The whole scene, the camera and the arm turned by ``(B,)`` radians about the base's z axis.

    That is an exact symmetry: the arm's first joint turns about the same axis. What is said with
    words, and where home is, does not turn with it, so angles should be small.
    """
    batch = dict(batch)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1]
    matrix = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    half = torch.stack([(angle / 2).cos(), zero, zero, (angle / 2).sin()], dim=-1)
    for name, starts in _PLACES.items():
        value = batch[name].clone()
        for start in starts:
            place = value[..., start : start + 3]
            flat = place.reshape(len(angle), -1, 3)
            value[..., start : start + 3] = (flat @ matrix.mT).reshape(place.shape)
        batch[name] = value
    for name in ("tool", "camera"):
        batch[name][:, 3:7] = _times(half, batch[name][:, 3:7])
    chunk = batch["action.chunk"].clone()
    chunk[..., :3] = chunk[..., :3] @ matrix.mT
    chunk[..., 3:7] = _times(half[:, None], chunk[..., 3:7])
    batch["action.chunk"] = chunk
    motion = batch["motion"].clone()
    motion[:, :3] = (motion[:, None, :3] @ matrix.mT)[:, 0]
    batch["motion"] = motion
    double = torch.stack([(2 * angle).cos(), (2 * angle).sin()], dim=-1)[:, None]
    yaw = batch["things"][..., 6:8]
    batch["things"][..., 6:8] = torch.stack(
        [
            yaw[..., 0] * double[..., 0] - yaw[..., 1] * double[..., 1],
            yaw[..., 0] * double[..., 1] + yaw[..., 1] * double[..., 0],
        ],
        dim=-1,
    )
    joints = batch["joints"].clone()
    joints[:, 0] += angle
    batch["joints"] = joints
    return batch


def cut_rays(pixels: Tensor, camera: Tensor) -> Tensor:
    """As ``features.cut_rays``, for ``(B, K, 2)`` pixels and ``(B, 11)`` cameras."""
    local = functional.pad((pixels - camera[:, None, 9:]) / camera[:, None, 7:9], (0, 1), value=1.0)
    rays = local @ quaternion_to_matrix(camera[:, 3:7]).mT
    eye = camera[:, None, :3]
    down = rays[..., 2:].clamp(max=-1e-6)
    cuts = [eye + rays * ((z - eye[..., 2:]) / down).clamp(_NEAR, _FAR) for z in PLANES]
    return torch.cat(cuts, dim=-1)


def _thin(batch: Batch, count: int, uniform: Callable[..., Tensor]) -> None:
    """Look at `count` of the points, in each sample others."""
    total = batch["points"].shape[1]
    if count >= total:
        return
    chosen = uniform(total).argsort(dim=1)[:, :count]
    for name in ("points", "point_colors", "point_roles"):
        value = batch[name]
        index = chosen if value.dim() == 2 else chosen[..., None].expand(-1, -1, value.shape[-1])
        batch[name] = value.gather(1, index)


def _times(first: Tensor, second: Tensor) -> Tensor:
    """Product of quaternions (w, x, y, z)."""
    a, b = first.unsqueeze(-1), second.unsqueeze(-1)
    w1, v1, w2, v2 = a[..., 0, :], a[..., 1:, 0], b[..., 0, :], b[..., 1:, 0]
    v1, v2 = torch.broadcast_tensors(v1, v2)
    scalar = w1 * w2 - (v1 * v2).sum(-1, keepdim=True)
    return torch.cat([scalar, w1 * v2 + w2 * v1 + torch.linalg.cross(v1, v2, dim=-1)], dim=-1)
