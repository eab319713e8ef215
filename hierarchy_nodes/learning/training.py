"""Trains the diffusion controller: seeded, resumable, on one device or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hierarchy_nodes.controller.diffusion import actions, inputs
from hierarchy_nodes.controller.diffusion.actions import Normalisation
from hierarchy_nodes.controller.diffusion.features import CHANNELS, HORIZON
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, NetworkConfig
from hierarchy_nodes.controller.diffusion.weights import PolicyConfig
from hierarchy_nodes.learning.augmentation import (
    AugmentationOptions,
    augment,
    draw_channels,
)
from hierarchy_nodes.learning.controller_data import CHUNK, DONE, ControllerData
from hierarchy_nodes.learning.objective import Objective, open_loop
from hierarchy_nodes.learning.plot import Curve
from hierarchy_nodes.learning.policies import TRAINED, channels_of
from hierarchy_nodes.learning.trainer import BaseTrainer, RunOptions, processes
from hierarchy_nodes.parameters import param
from hierarchy_nodes.weights import save_weights

WEIGHTS = "controller.safetensors"
# Records used for the statistics of the actions.
_FIT = 50_000
# What may be missing at run time, each looked at by itself on the held-out episodes.
_SUBSETS = {
    "all": CHANNELS,
    "path only": ("path", "motion", "text"),
    "masks only": ("masks", "motion", "text"),
    "text only": ("text",),
}


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """How to train."""

    policy: str = param("hierarchical", "Who is trained", choices=TRAINED)
    draws: int = param(1, "Noisy chunks for each record", low=1, high=64)
    ended: bool = param(
        True, "Whether to learn from what was recorded once a task was done: that, and to stay"
    )
    gripper_scale: float = param(0.3, "Of the gripper beside the other actions", low=0.01, high=1)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)


def train(
    arrays: Mapping[str, Any],
    out: Path,
    options: TrainingOptions,
    *,
    resume: bool = False,
    progress: bool = True,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Train, and write weights, checkpoint, metrics and plot into `out`.

    Args:
        arrays: Demonstrations; see ``ControllerData``.
        out: Folder. Without `resume` it must not hold a checkpoint.
        options: How.
        resume: Go on from the checkpoint in `out`, if there is one.
        progress: Show a bar.
        facts: About the data, to be kept with the weights.

    Returns:
        The weights file, of the averaged network.

    Raises:
        ConfigError: The data or the checkpoint does not fit.
    """
    with processes(options.device) as (device, rank, world):
        trainer = Trainer(arrays, out, options, device, rank, world, dict(facts or {}))
        return trainer.start(resume, progress)


class Trainer(BaseTrainer):
    """One process of a training run."""

    WEIGHTS = WEIGHTS
    options: TrainingOptions
    network: DiffusionNetwork
    average: DiffusionNetwork

    def __init__(
        self,
        arrays: Mapping[str, Any],
        out: Path,
        options: TrainingOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(out, options, device, rank, world, facts)
        self.data = ControllerData(arrays, device)
        self.split = self.data.split(options.held_out, options.seed)
        if not options.ended:
            running = self.data.raw(DONE, self.split.train).cpu() < 0.5
            self.split = replace(self.split, train=self.split.train[running])
        vocabulary = inputs.vocabulary_of(self.data.texts)
        config = replace(options.network, vocabulary=len(vocabulary))
        self.data.encode_words(vocabulary, config.words)
        self.network, self.average = self._twins(lambda: DiffusionNetwork(config))
        self.normalisation = self._fit().to(device)
        self.config = PolicyConfig(
            config, vocabulary, self.normalisation.to("cpu"), channels_of(options.policy)
        )
        share = float(self.data.raw(DONE, self.split.train).mean())
        done_weight = min(max((1 - share) / max(share, 1e-6), 1.0), 10.0)
        self.objective = Objective(
            self.network, self.normalisation, options.gripper_scale, done_weight, options.draws
        ).to(device)
        self._prepare()

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        o = self.options
        channels = draw_channels(o.batch, self.config.channels, o.augmentation, random)
        batch = self._draw(channels[:, inputs.MASKS], random)
        count = o.batch * o.draws
        levels = self.config.network.levels
        level = torch.randint(1, levels + 1, (count,), generator=random, device=self.device)
        shape = (count, HORIZON, actions.SIZE)
        noise = torch.randn(shape, generator=random, device=self.device)
        loss, parts = model(batch, channels, level, noise)
        return loss, parts

    def _draw(self, masks: Tensor, random: torch.Generator) -> inputs.Batch:
        o = self.options
        pool, shape = self.split.train, (o.batch,)
        index = torch.randint(len(pool), shape, generator=random, device=self.device).cpu()
        a = o.augmentation
        late = torch.randint(1, a.late_most + 2, shape, generator=random, device=self.device) - 1
        rare = torch.rand(shape, generator=random, device=self.device) < a.late_share
        batch = self.data.batch(pool[index], masks.cpu(), (late * rare).cpu())
        return augment(batch, a, self.config.network.points, random)

    def _fit(self) -> Normalisation:
        """Statistics of the actions of the episodes that are learned from."""
        generator = torch.Generator().manual_seed(self.options.seed)
        pool = self.split.train
        pool = pool[torch.randperm(len(pool), generator=generator)[:_FIT]]
        chunk, tool = (self.data.raw(name, pool).cpu() for name in (CHUNK, "tool"))
        relative = actions.relative(chunk.float(), tool.float())
        return Normalisation.fit(relative, self.options.gripper_scale)

    def evaluate(self) -> dict[str, Any]:
        """The averaged network on held-out episodes, with all channels and with some missing."""
        o = self.options
        random = torch.Generator(self.device).manual_seed(o.seed)
        pool = self.split.held_out
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(o.seed))
        index = pool[order[: o.evaluate_records]]
        found: dict[str, Any] = {}
        for name, subset in _SUBSETS.items():
            used = [float(c in subset and c in self.config.channels) for c in CHANNELS]
            channels = torch.tensor([used], device=self.device).expand(len(index), -1)
            batch = self.data.batch(index, channels[:, inputs.MASKS])
            result = open_loop(self.average, self.normalisation, batch, channels, random)
            found[name] = result.summary()
            if self.config.channels != CHANNELS:
                break
        return {"held_out": found}

    def identity(self) -> dict[str, Any]:
        return self.config.to_json()

    def write(self, training: dict[str, Any]) -> None:
        config = replace(self.config, training=training)
        save_weights(self.out / WEIGHTS, config, self.average.state_dict())

    def about(self) -> dict[str, Any]:
        return {
            "records": self.data.count,
            "episodes": self.data.episodes,
            "held_out_records": len(self.split.held_out),
        }

    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        curves: list[Curve] = []
        for index, when in ((0, "first"), (HORIZON - 1, "last")):
            errors = [n["held_out"]["all"]["position_mm"][index] for n in looks]
            curves.append((f"held out, {when} step, mm", [n["step"] for n in looks], errors))
        return curves
