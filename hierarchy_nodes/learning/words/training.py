"""``hierarchy train words``: the network that tells the words of corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.encoded import Encoded
from hierarchy_nodes.learning.plot import Curve
from hierarchy_nodes.learning.trainer import BaseTrainer, RunOptions, processes
from hierarchy_nodes.learning.words import sayings
from hierarchy_nodes.learning.words.data import SpokenOptions, numbered, speak
from hierarchy_nodes.onnx_file import export
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.along import STRIDE, AlongConfig
from hierarchy_nodes.speech.commands.decoding import BLANK, sentences
from hierarchy_nodes.speech.commands.network import WordsNetwork
from hierarchy_nodes.speech.encoder import WIDTH

SENTENCES = "sentences"


@dataclass(frozen=True)
class WordsOptions(RunOptions):
    """How the words are learned."""

    steps: int = param(4000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(32, "Sentences in a step, in each process", low=1, high=65536)
    rate: float = param(1.5e-3, "Highest learning rate", low=1e-7, high=1.0)
    hidden: float = param(0.08, "Share of the frames that are hidden, in spans", low=0.0, high=0.5)
    network: AlongConfig = field(default_factory=AlongConfig)
    spoken: SpokenOptions = field(default_factory=SpokenOptions)


class WordsTrainer(BaseTrainer):
    """One process of a training run."""

    WEIGHTS = "words.onnx"
    options: WordsOptions
    network: WordsNetwork
    average: WordsNetwork

    def __init__(
        self,
        spoken: Encoded,
        out: Path,
        options: WordsOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(out, options, device, rank, world, {"sentences": len(spoken)})
        self._frames = spoken.frames
        self._words = [numbered(text) for text in spoken.labels]
        kept = max(1, round(options.held_out * len(spoken)))
        self._held_out = np.arange(len(spoken) - kept, len(spoken))
        # What there is room for: a place for each word, and one between two of the same.
        self._trained = np.array(
            [
                i
                for i in range(len(spoken) - kept)
                if len(self._frames[i]) // STRIDE >= 2 * len(self._words[i]) > 0
            ]
        )
        make = partial(WordsNetwork, options.network, len(sayings.vocabulary()) + 1)
        self.network, self.average = self._twins(make)
        self.objective = self.network
        self._prepare()

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = torch.randint(
            len(self._trained), (self.options.batch,), generator=random, device=random.device
        )
        frames, lengths, words, counts = self._batch(self._trained[chosen.cpu().numpy()])
        frames = self._with_holes(frames, random)
        scores = model(frames)
        loss = functional.ctc_loss(
            scores.transpose(0, 1), words, lengths, counts, BLANK, zero_infinity=True
        )
        return loss, {}

    def _batch(self, which: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frames ``(B, T, WIDTH)`` and how many are scored; words ``(B, W)`` and how many."""
        found = [self._frames[i] for i in which]
        words = [self._words[i] for i in which]
        lengths = [len(f) // STRIDE for f in found]
        frames = np.zeros((len(found), max(lengths) * STRIDE, WIDTH), np.float32)
        targets = np.zeros((len(words), max(map(len, words))), np.int64)
        for row, (f, length, w) in enumerate(zip(found, lengths, words, strict=True)):
            frames[row, : length * STRIDE] = f[: length * STRIDE]
            targets[row, : len(w)] = w
        return (
            torch.from_numpy(frames).to(self.device),
            torch.tensor(lengths),
            torch.from_numpy(targets).to(self.device),
            torch.tensor([len(w) for w in words]),
        )

    def _with_holes(self, frames: Tensor, random: torch.Generator) -> Tensor:
        """Spans of up to 0.2 s are hidden (Park et al. 2019, SpecAugment)."""
        batch, count, _ = frames.shape
        span = 10
        holes = round(self.options.hidden * count / (span / 2))
        starts = torch.randint(count, (batch, holes), generator=random, device=random.device)
        sizes = torch.randint(span, (batch, holes), generator=random, device=random.device)
        at = torch.arange(count, device=frames.device)[None, None]
        hidden = ((at >= starts[..., None]) & (at < (starts + sizes)[..., None])).any(dim=1)
        return frames.masked_fill(hidden[..., None], 0.0)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Sentences that are not trained on: how many are told word for word."""
        which = self._held_out[: self.options.evaluate_records]
        right = loss = 0.0
        for i in which:
            frames, lengths, words, counts = self._batch([i])
            scores = self.average(frames)
            value = functional.ctc_loss(
                scores.transpose(0, 1), words, lengths, counts, BLANK, zero_infinity=True
            )
            loss += float(value) / len(which)
            best = sentences(scores[0].cpu().numpy())[0]
            right += best.words == tuple(self._words[i])
        return {"held_out": {"right": round(right / len(which), 4), "loss": round(loss, 4)}}

    def identity(self) -> dict[str, Any]:
        return {"network": asdict(self.options.network), "spoken": asdict(self.options.spoken)}

    def write(self, training: dict[str, Any]) -> None:
        path = self.out / self.WEIGHTS
        dynamic = {"frames": {1: "time"}, "scores": {1: "places"}}
        frames = {"frames": torch.zeros(1, 40, WIDTH)}
        export(self.average.cpu(), path, frames, ["scores"], dynamic)
        self.average.to(self.device)
        pairs, shares = sayings.usage()
        facts = {"vocabulary": list(sayings.vocabulary()), "pairs": pairs, "shares": shares}
        write_json(path.with_suffix(".json"), facts | {"training": training})

    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        steps = [n["step"] for n in looks]
        return [("right", steps, [n["held_out"]["right"] for n in looks])]


def train(out: Path, options: WordsOptions, resume: bool = False, progress: bool = False) -> Path:
    """Have sentences spoken unless that is done already, and train to the end.

    Returns:
        The weights file.

    Raises:
        ConfigError: Options that do not fit, or a checkpoint of another run.
    """
    with processes(options.device) as (device, rank, world):
        spoken = speak(out / SENTENCES, options.spoken, options.seed, progress and rank == 0)
        trainer = WordsTrainer(spoken, out, options, device, rank, world)
        return trainer.start(resume, progress)
