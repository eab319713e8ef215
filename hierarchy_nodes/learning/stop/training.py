"""``hierarchy train stop``: the network that hears "stop"."""

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
from hierarchy_nodes.learning.stop.data import ClipOptions, Clips, Mixer, speak
from hierarchy_nodes.learning.stop.detector import DetectorTrainer, Found, suspicion
from hierarchy_nodes.learning.trainer import RunOptions, in_turn, processes
from hierarchy_nodes.onnx_file import export
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.spotter.features import BANDS, SILENT
from hierarchy_nodes.speech.spotter.network import SpotterConfig, SpotterNetwork, Streaming

CLIPS, SPOTTER = "clips.npz", "stop.onnx"
# Steps after which the random numbers of evaluation begin.
_HELD_OUT = 10**9
# So many frames in a row must be above the threshold.
COUNT = 3


@dataclass(frozen=True)
class StopOptions(RunOptions):
    """How the spotter is trained."""

    steps: int = param(6000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(48, "Mixtures in a step, in each process", low=1, high=65536)
    rate: float = param(2e-3, "Highest learning rate", low=1e-7, high=1.0)
    weight: float = param(4.0, "What a missed frame costs beside a false one", low=0.1, high=100)
    network: SpotterConfig = field(default_factory=SpotterConfig)
    clips: ClipOptions = field(default_factory=ClipOptions)


class StopTrainer(DetectorTrainer):
    """One process of a training run."""

    WEIGHTS = SPOTTER
    options: StopOptions
    network: SpotterNetwork
    average: SpotterNetwork

    def __init__(
        self,
        clips: Clips,
        out: Path,
        options: StopOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(out, options, device, rank, world, {"clips": len(clips.starts)})
        self._mixer = Mixer(clips)
        self.network, self.average = self._twins(partial(SpotterNetwork, options.network))
        self.objective = self.network
        self._prepare()

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        seed = int(torch.randint(2**31, (1,), generator=random, device=random.device))
        frames, wanted, counts = self._batch(self.options.batch, seed)
        logits = model(frames)
        weight = torch.tensor(self.options.weight, device=self.device)
        each = functional.binary_cross_entropy_with_logits(
            logits, wanted, reduction="none", pos_weight=weight
        )
        return (each * counts).sum() / counts.sum(), {}

    def _batch(self, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        drawn = [self._mixer.draw(rng) for _ in range(count)]
        frames, wanted, counts = (
            torch.from_numpy(np.stack(part)).to(self.device) for part in zip(*drawn, strict=True)
        )
        # Before them it was silent, as in a stream that begins.
        past = self.options.network.context - 1
        return functional.pad(frames, (0, 0, past, 0), value=SILENT), wanted, counts

    @torch.no_grad()
    def look(self, count: int) -> Found:
        """Of each of `count` mixtures: whether there is a stop in it, and how sure the network is.

        How sure it is is the most that `COUNT` frames in a row are, which count.
        """
        found = []
        for begin in range(0, count, 64):
            frames, wanted, counts = self._batch(min(64, count - begin), _HELD_OUT + begin)
            sure = torch.sigmoid(self.average(frames)) * ((counts > 0) | (wanted > 0))
            least = sure.unfold(1, COUNT, 1).amin(dim=-1).amax(dim=1)
            found += list(zip((wanted.sum(1) > 0).tolist(), least.tolist(), strict=True))
        return found

    def identity(self) -> dict[str, Any]:
        return {"network": asdict(self.options.network), "clips": asdict(self.options.clips)}

    def write(self, training: dict[str, Any]) -> None:
        path = self.out / self.WEIGHTS
        found = self.look(4 * self.options.evaluate_records)
        self.average.cpu()
        # For a stream: what the network remembers goes in and comes out beside the frames.
        past = {f"past_{i}": memory for i, memory in enumerate(self.average.nothing())}
        export(
            Streaming(self.average),
            path,
            {"frames": torch.zeros(1, 3, BANDS), **past},
            ["logits", *(f"now_{i}" for i in range(len(past)))],
            {"frames": {1: "time"}, "logits": {1: "time"}},
        )
        self.average.to(self.device)
        context = self.options.network.context
        facts = {
            "context": context,
            "count": COUNT,
            "threshold": round(self.threshold(found), 4),
            "suspicion": round(suspicion(found), 4),
        }
        write_json(path.with_suffix(".json"), facts | {"training": training})


def train(out: Path, options: StopOptions, resume: bool = False, progress: bool = False) -> Path:
    """Have clips spoken unless that is done already, and train to the end.

    Returns:
        The weights file.

    Raises:
        ConfigError: Options that do not fit, or a checkpoint of another run.
    """
    with processes(options.device) as (device, rank, world):
        shown = progress and rank == 0
        make = partial(speak, out / CLIPS, options.clips, options.seed, "trained", shown)
        trainer = StopTrainer(in_turn(make, rank, world), out, options, device, rank, world)
        return trainer.start(resume, progress)
