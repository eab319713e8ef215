"""Trains the compact planner: seeded, resumable, on one device or many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hierarchy_nodes.learning.planner.data import Batch, PlannerData, VariationOptions
from hierarchy_nodes.learning.planner.objective import (
    PlannerObjective,
    fit_calibration,
    judge,
    summarise,
)
from hierarchy_nodes.learning.plot import Curve
from hierarchy_nodes.learning.statistics import calibration_error
from hierarchy_nodes.learning.trainer import BaseTrainer, RunOptions, processes
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.compact.network import CompactNetwork, NetworkConfig
from hierarchy_nodes.planner.compact.text import vocabulary_of
from hierarchy_nodes.planner.compact.weights import (
    Calibration,
    PlannerWeights,
    State,
    extended,
    load_weights,
)
from hierarchy_nodes.weights import save_weights

WEIGHTS = "planner.safetensors"
_LOOK = 16  # images at a time where nothing is learned


@dataclass(frozen=True)
class PlannerTrainingOptions(RunOptions):
    """How to train; `batch` counts images."""

    steps: int = param(8000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(32, "Images in a step, in each process", low=1, high=4096)
    each: int = param(6, "Instructions about each of them, at most", low=1, high=64)
    rate: float = param(1e-3, "Highest learning rate", low=1e-7, high=1.0)
    decay: float = param(0.02, "Weight decay", low=0.0, high=1.0)
    evaluate_records: int = param(200, "Images in a look", low=1, high=100_000)
    workers: int = param(0, "More processes that read and prepare batches", low=0, high=256)
    start: str = param("", "Weights to go on from; empty: none")
    network: NetworkConfig = field(default_factory=NetworkConfig)
    variation: VariationOptions = field(default_factory=VariationOptions)


def train_planner(
    folder: Path,
    out: Path,
    options: PlannerTrainingOptions,
    *,
    resume: bool = False,
    progress: bool = True,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Train on the images in `folder`; as ``learning.training.train``.

    Raises:
        ConfigError: The data or the checkpoint does not fit.
    """
    with processes(options.device) as (device, rank, world):
        trainer = PlannerTrainer(folder, out, options, device, rank, world, dict(facts or {}))
        return trainer.start(resume, progress)


def look(
    network: CompactNetwork,
    data: PlannerData,
    images: NDArray[np.int64],
    seed: int,
    device: torch.device,
) -> dict[str, Tensor]:
    """:func:`judge` of all instructions about some images.

    Args:
        network: Which.
        data: With numbered words.
        images: ``(n,)`` their numbers.
        seed: Of what is drawn; the same asks every network the same.
        device: Where the network is.

    Returns:
        As :func:`judge`, and ``image`` ``(N,)``, the number of each question's image.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for first in range(0, len(images), _LOOK):
        batch = data.batch(images[first : first + _LOOK], 99, rng)
        found = judge(network, {k: v.to(device) for k, v in batch.items()})
        of = images[first : first + _LOOK][batch["image_of"].numpy()]
        parts.append(found | {"image": torch.from_numpy(of)})
    return {name: torch.cat([p[name].cpu() for p in parts]) for name in parts[0]}


class _Steps(Dataset[Batch]):
    """The batches of a trainer by step."""

    def __init__(self, trainer: PlannerTrainer) -> None:
        self._trainer = trainer

    def __getitem__(self, step: int) -> Batch:
        return self._trainer.draw(step)


class PlannerTrainer(BaseTrainer):
    """One process of a training run."""

    WEIGHTS = WEIGHTS
    options: PlannerTrainingOptions
    network: CompactNetwork
    average: CompactNetwork

    def __init__(
        self,
        folder: Path,
        out: Path,
        options: PlannerTrainingOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(out, options, device, rank, world, facts)
        self.data = PlannerData(folder, workers=options.workers)
        self.learned_from, self.kept = self.data.split(options.held_out, options.seed)
        self.config, state = self._begin()
        self.data.encode_words(self.config.vocabulary, self.config.network.words)
        self.network, self.average = self._twins(lambda: CompactNetwork(self.config.network))
        if state is not None:
            for network in (self.network, self.average):
                network.load_state_dict(state)
        self.objective = PlannerObjective(self.network)
        self._prepare()

    def _begin(self) -> tuple[PlannerWeights, State | None]:
        """What the weights will belong to, a network for the words of the data; and the first ones,
        unless they are drawn."""
        vocabulary = vocabulary_of(self.data.texts())
        if self.options.start:
            network, config = load_weights(Path(self.options.start))
            return extended(config, network.state_dict(), vocabulary)
        network_config = replace(self.options.network, vocabulary=len(vocabulary))
        return PlannerWeights(network_config, vocabulary), None

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = next(self._batches)
        loss, parts = model({k: v.to(self.device, non_blocking=True) for k, v in batch.items()})
        return loss, parts

    @cached_property
    def _batches(self) -> Iterator[Batch]:
        """Those of this step and of all that follow."""
        o, parallel = self.options, self.options.workers > 0
        loader: DataLoader[Batch] = DataLoader(
            _Steps(self),
            batch_size=None,
            sampler=range(self.step, o.steps),
            num_workers=o.workers,
            prefetch_factor=4 if parallel else None,
            pin_memory=parallel and self.device.type == "cuda",
        )
        return iter(loader)

    def draw(self, step: int) -> Batch:
        """What is learned from in a step."""
        o = self.options
        rng = np.random.default_rng([o.seed, self.rank, step])
        images = self.learned_from[rng.integers(len(self.learned_from), size=o.batch)]
        return self.data.batch(images, o.each, rng, o.variation)

    def evaluate(self) -> dict[str, Any]:
        """The averaged network on held-out images, all their instructions; calibrates, too."""
        found = self._judged()
        slope, offset = fit_calibration(found["raw"], found["right"])
        calibration = Calibration(slope, offset)
        self.config = replace(self.config, calibration=calibration)
        sure = np.array([calibration(float(raw)) for raw in found["raw"]])
        error = round(calibration_error(sure, found["right"].double().numpy()), 4)
        return {"held_out": summarise(found) | {"calibration_error": error}}

    def _judged(self) -> dict[str, Tensor]:
        images = self.kept[: self.options.evaluate_records]
        return look(self.average, self.data, images, self.options.seed, self.device)

    def identity(self) -> dict[str, Any]:
        # The calibration changes with every look.
        return replace(self.config, calibration=Calibration()).to_json()

    def write(self, training: dict[str, Any]) -> None:
        config = replace(self.config, training=training)
        save_weights(self.out / WEIGHTS, config, self.average.state_dict())

    def about(self) -> dict[str, Any]:
        return {
            "images": self.data.images,
            "instructions": len(self.data.tasks),
            "held_out_images": len(self.kept),
        }

    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        steps = [n["step"] for n in looks]
        held = [n["held_out"] for n in looks]
        return [
            ("target missed", steps, [1 - h["target"] for h in held]),
            ("status wrong", steps, [1 - h["status"] for h in held]),
            ("path's end off, widths", steps, [h["end_widths"] for h in held]),
        ]
