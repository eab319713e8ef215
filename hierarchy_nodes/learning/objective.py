"""What the diffusion policy is trained to do, and how far it is from doing it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.controller.diffusion import actions, inputs
from hierarchy_nodes.controller.diffusion.actions import GRIPPER, POSITION, ROTATION, Normalisation
from hierarchy_nodes.controller.diffusion.inputs import Batch
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, Memory
from hierarchy_nodes.controller.diffusion.sampler import sample
from hierarchy_nodes.controller.diffusion.schedule import CosineSchedule
from hierarchy_nodes.learning.controller_data import CHUNK, DONE

# Parts of the loss: position, rotation, gripper, being done.
_POSITION, _ROTATION, _GRIPPER, _DONE = 1.0, 0.5, 0.5, 0.1


class Objective(nn.Module):
    """The loss: mean squared error of the predicted clean chunk at a random level of noise.

    Args:
        network: To be trained.
        normalisation: Of the actions.
        gripper_scale: That the normalisation was made with.
        done_weight: Of records in which the expert had finished, which are few.
        draws: Noisy chunks for each observation; looking at it is done once for all of them.
    """

    signal: Tensor
    noise: Tensor
    weights: Tensor
    done_weight: Tensor

    def __init__(
        self,
        network: DiffusionNetwork,
        normalisation: Normalisation,
        gripper_scale: float,
        done_weight: float,
        draws: int,
    ) -> None:
        super().__init__()
        self.network, self.normalisation, self.draws = network, normalisation, draws
        schedule = CosineSchedule(network.config.levels)
        self.register_buffer("signal", torch.from_numpy(schedule.signal).float())
        self.register_buffer("noise", torch.from_numpy(schedule.noise).float())
        weights = torch.zeros(actions.SIZE)
        weights[POSITION], weights[ROTATION] = _POSITION / 3, _ROTATION / 6
        # The gripper was scaled down for sampling's sake, not because it matters less.
        weights[GRIPPER] = _GRIPPER / (4 * gripper_scale**2)
        self.register_buffer("weights", weights)
        self.register_buffer("done_weight", torch.tensor(done_weight))

    def forward(
        self, batch: Batch, channels: Tensor, level: Tensor, noise: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and its parts for people.

        Args:
            batch: Features, ``words``, ``action.chunk`` and ``done``.
            channels: ``(B, 4)``.
            level: ``(B * draws,)``.
            noise: ``(B * draws, HORIZON, 10)``.
        """
        target = self.normalisation.apply(actions.relative(batch[CHUNK], batch["tool"]))
        target = target.repeat_interleave(self.draws, dim=0)
        noisy = self.signal[level, None, None] * target + self.noise[level, None, None] * noise
        seen = inputs.prepare(batch, channels)
        # Brain floats where they are fast, but not for what is measured in millimetres.
        with torch.autocast(noise.device.type, torch.bfloat16, enabled=noise.is_cuda):
            memory = self.network.look(seen, self.network.read(batch["words"]), channels)
            logit = memory.done
            if self.draws > 1:
                memory = repeated(memory, self.draws)
            clean = self.network.denoise(noisy, level, memory)
        error = ((clean.float() - target) ** 2).mean(dim=(0, 1))
        done = functional.binary_cross_entropy_with_logits(
            logit.float(), batch[DONE], pos_weight=self.done_weight
        )
        action = (error * self.weights).sum()
        parts = {
            "position": error[POSITION].mean(),
            "rotation": error[ROTATION].mean(),
            "gripper": error[GRIPPER].mean(),
            "done": done,
        }
        return action + _DONE * done, {k: v.detach() for k, v in parts.items()}


def repeated(memory: Memory, times: int) -> Memory:
    """Each sample's memory `times` times in a row."""
    keys = tuple(k.repeat_interleave(times, dim=0) for k in memory.keys)
    values = tuple(v.repeat_interleave(times, dim=0) for v in memory.values)
    return Memory(keys, values, memory.done)


@dataclass(frozen=True)
class OpenLoop:
    """How far sampled chunks are from the expert's, on records that were not learned from.

    Attributes:
        n: Records.
        position_mm: ``(HORIZON,)`` mean distance at each step.
        rotation_deg: ``(HORIZON,)`` mean angle.
        gripper: Share of openings on the right side of one half.
        done_recall, done_false: Share of finished and of unfinished records called finished.
    """

    n: int
    position_mm: list[float]
    rotation_deg: list[float]
    gripper: float
    done_recall: float
    done_false: float

    def summary(self) -> dict[str, float | list[float] | int]:
        """For the metrics file."""
        return {
            "n": self.n,
            "position_mm": [round(v, 2) for v in self.position_mm],
            "rotation_deg": [round(v, 2) for v in self.rotation_deg],
            "gripper": round(self.gripper, 4),
            "done_recall": round(self.done_recall, 3),
            "done_false": round(self.done_false, 4),
        }


@torch.no_grad()
def open_loop(
    network: DiffusionNetwork,
    normalisation: Normalisation,
    batch: Batch,
    channels: Tensor,
    random: torch.Generator,
    steps: int = 10,
) -> OpenLoop:
    """Sample one chunk for each record and compare."""
    tool, truth = batch["tool"], batch[CHUNK]
    memory = network.encode(batch, network.read(batch["words"]), channels)
    schedule = CosineSchedule(network.config.levels)
    shape = (len(tool), truth.shape[1], actions.SIZE)

    def denoise(noisy: Tensor, level: int) -> Tensor:
        return network.denoise(noisy, torch.full((len(noisy),), level, device=tool.device), memory)

    noise = torch.randn(shape, generator=random, device=random.device)
    steps = min(steps, schedule.levels)
    found = sample(
        None,
        schedule.levels,
        denoise,
        schedule,
        noise=noise,
        steps=steps,
        bound=normalisation.bound,
    )
    chunk = actions.absolute(normalisation.invert(found.chunk), tool)
    away = (chunk[..., :3] - truth[..., :3]).norm(dim=-1).mean(0) * 1e3
    cosine = (chunk[..., 3:7] * truth[..., 3:7]).sum(-1).abs().clamp(max=1.0)
    angle = torch.rad2deg(2 * torch.arccos(cosine)).mean(0)
    right = ((chunk[..., 7] > 0.5) == (truth[..., 7] > 0.5)).float().mean()
    called, done = memory.done > 0, batch[DONE] > 0.5
    return OpenLoop(
        len(tool),
        away.tolist(),
        angle.tolist(),
        float(right),
        float(called[done].float().mean()) if done.any() else float("nan"),
        float(called[~done].float().mean()) if (~done).any() else float("nan"),
    )
