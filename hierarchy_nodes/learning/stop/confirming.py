"""``hierarchy train confirm``: the network that confirms a suspected "stop"."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.pieces import Pieces
from hierarchy_nodes.learning.stop.detector import DetectorTrainer, Found, quantile
from hierarchy_nodes.learning.stop.windows import Windows, windows
from hierarchy_nodes.learning.trainer import RunOptions, in_turn, processes
from hierarchy_nodes.onnx_file import export
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.along import AlongConfig
from hierarchy_nodes.speech.hearing import COLUMNS, FRAMES, hearing
from hierarchy_nodes.speech.spotter.confirming_network import ConfirmingNetwork


@dataclass(frozen=True)
class ConfirmOptions(RunOptions):
    """How it is trained."""

    # From twice as many on it knows its own voices better, and others worse.
    steps: int = param(2000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(64, "Windows in a step, in each process", low=1, high=65536)
    rate: float = param(1e-3, "Highest learning rate", low=1e-7, high=1.0)
    windows: int = param(40_000, "How many are drawn", low=10, high=10_000_000)
    held_out: float = param(
        0.1, "Share of the voices, and of the windows, kept apart", low=0.01, high=0.9
    )
    vocoded: float = param(
        0.5, "So many of the clips, by share, are said again by a vocoder", low=0.0, high=10.0
    )
    evaluate_every: int = param(500, "Steps between looks at those", low=1, high=1_000_000)
    evaluate_records: int = param(4096, "Windows in a look", low=1, high=100_000)
    recall: float = param(
        0.985, "Share of the stops by voices apart that is confirmed", low=0.5, high=1.0
    )
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
        drawn: Windows,
        out: Path,
        options: ConfirmOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        facts = {"windows": len(drawn.trained), "apart": len(drawn.apart)}
        super().__init__(out, options, device, rank, world, facts)
        self._frames, self._stops = _stacked(drawn.trained)
        self._apart = _stacked(drawn.apart)
        self.network, self.average = self._twins(partial(ConfirmingNetwork, options.network))
        self.objective = self.network
        self._prepare()

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = torch.randint(
            len(self._frames), (self.options.batch,), generator=random, device=random.device
        )
        which = chosen.cpu().numpy()
        wanted = torch.from_numpy(self._stops[which]).to(self.device)
        return functional.binary_cross_entropy_with_logits(
            model(self._given(self._frames[which])), wanted
        ), {}

    def _given(self, frames: NDArray[np.float16]) -> Tensor:
        return torch.from_numpy(frames.astype(np.float32)).to(self.device)

    @torch.no_grad()
    def look(self, count: int) -> Found:
        """Of `count` windows by voices apart, or of as many as there are."""
        frames, stops = self._apart[0][:count], self._apart[1][:count]
        found: Found = []
        for begin in range(0, len(frames), 64):
            part = slice(begin, begin + 64)
            sure = torch.sigmoid(self.average(self._given(frames[part]))).tolist()
            found += zip((stops[part] > 0.5).tolist(), sure, strict=True)
        return found

    def threshold(self, found: Found) -> float:
        return quantile(found, 1 - self.options.recall)

    def identity(self) -> dict[str, Any]:
        return {"network": asdict(self.options.network), "windows": self.options.windows}

    def write(self, training: dict[str, Any]) -> None:
        path = self.out / self.WEIGHTS
        threshold = self.threshold(self.look(self.options.evaluate_records))
        frames = {"frames": torch.zeros(1, FRAMES, COLUMNS)}
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
        how = (options.words, options.windows, options.held_out, options.vocoded, options.seed)
        make = partial(windows, data, kept, *how, shown)
        trainer = ConfirmTrainer(in_turn(make, rank, world), out, options, device, rank, world)
        return trainer.start(resume, progress)


def _stacked(pieces: Pieces) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """``(N, T, COLUMNS)`` frames, and ``(N,)`` whether a stop is in them."""
    return np.stack(pieces.arrays), np.array(pieces.labels, np.float32)
