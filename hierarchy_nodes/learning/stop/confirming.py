"""``hierarchy train confirm``: the network that confirms a suspected "stop"."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.pieces import Pieces
from hierarchy_nodes.learning.stop.detector import DetectorTrainer, Found, choose
from hierarchy_nodes.learning.stop.windows import windows
from hierarchy_nodes.learning.trainer import RunOptions, in_turn, processes
from hierarchy_nodes.onnx_file import export
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.along import AlongConfig
from hierarchy_nodes.speech.hearing import FRAMES, WIDTH, hearing
from hierarchy_nodes.speech.spotter.confirming_network import ConfirmingNetwork


@dataclass(frozen=True)
class ConfirmOptions(RunOptions):
    """How it is trained."""

    steps: int = param(4000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(64, "Windows in a step, in each process", low=1, high=65536)
    rate: float = param(1e-3, "Highest learning rate", low=1e-7, high=1.0)
    windows: int = param(40_000, "How many are drawn", low=10, high=10_000_000)
    evaluate_records: int = param(2048, "Windows in a look", low=1, high=100_000)
    words: str = param(
        "", "ONNX file of the words' network to hear through; empty: that of the package"
    )
    network: AlongConfig = field(
        default_factory=lambda: AlongConfig(width=128, blocks=3, dropout=0.2)
    )


class ConfirmTrainer(DetectorTrainer):
    """One process of a training run."""

    WEIGHTS = "confirm.onnx"
    options: ConfirmOptions
    network: ConfirmingNetwork
    average: ConfirmingNetwork

    def __init__(
        self,
        drawn: Pieces,
        out: Path,
        options: ConfirmOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(out, options, device, rank, world, {"windows": len(drawn)})
        self._frames = np.stack(drawn.arrays)
        self._stops = np.array(drawn.labels, np.float32)
        self._kept = max(1, round(options.held_out * len(drawn)))
        self.network, self.average = self._twins(partial(ConfirmingNetwork, options.network))
        self.objective = self.network
        self._prepare()

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        count = len(self._frames) - self._kept
        chosen = torch.randint(
            count, (self.options.batch,), generator=random, device=random.device
        ).cpu()
        wanted = torch.from_numpy(self._stops[chosen]).to(self.device)
        frames = self._of(chosen.numpy())
        return functional.binary_cross_entropy_with_logits(model(frames), wanted), {}

    def _of(self, which: Any) -> Tensor:
        return torch.from_numpy(self._frames[which].astype(np.float32)).to(self.device)

    @torch.no_grad()
    def look(self, count: int) -> Found:
        """Of `count` windows, or of as many as are kept back."""
        first = len(self._frames) - self._kept
        last = min(first + count, len(self._frames))
        found: Found = []
        for begin in range(first, last, 64):
            part = slice(begin, min(begin + 64, last))
            sure = torch.sigmoid(self.average(self._of(part))).tolist()
            found += zip((self._stops[part] > 0.5).tolist(), sure, strict=True)
        return found

    def identity(self) -> dict[str, Any]:
        return {"network": asdict(self.options.network), "windows": self.options.windows}

    def write(self, training: dict[str, Any]) -> None:
        path = self.out / self.WEIGHTS
        threshold = choose(self.look(self.options.evaluate_records))
        frames = {"frames": torch.zeros(1, FRAMES, WIDTH)}
        export(self.average.cpu(), path, frames, ["logits"], {"frames": {1: "time"}})
        self.average.to(self.device)
        facts = {"threshold": round(threshold, 4), "words": hearing(self.options.words).mark}
        write_json(path.with_suffix(".json"), facts | {"training": training})


def train(
    data: Path, out: Path, options: ConfirmOptions, resume: bool = False, progress: bool = False
) -> Path:
    """Draw windows from the clips of ``hierarchy train stop``, and train to the end.

    Args:
        data: The folder in which the spotter was trained.

    Returns:
        The weights file.

    Raises:
        ConfigError: No clips there, options that do not fit, or a checkpoint of another run.
    """
    with processes(options.device) as (device, rank, world):
        shown = progress and rank == 0
        kept = out / "windows"
        make = partial(windows, data, kept, options.words, options.windows, options.seed, shown)
        trainer = ConfirmTrainer(in_turn(make, rank, world), out, options, device, rank, world)
        return trainer.start(resume, progress)
