"""``hierarchy train words``: the network that tells the words of corrections."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.pieces import Pieces
from hierarchy_nodes.learning.plot import Curve
from hierarchy_nodes.learning.trainer import BaseTrainer, RunOptions, in_turn, processes
from hierarchy_nodes.learning.words import sayings
from hierarchy_nodes.learning.words.data import SpokenOptions, heard, numbered, speak
from hierarchy_nodes.onnx_file import export, read
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.along import AlongConfig
from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.commands.decoding import BLANK, sentences
from hierarchy_nodes.speech.commands.network import FRAMES, WordsNetwork
from hierarchy_nodes.speech.mel import BANDS, log_mel
from hierarchy_nodes.speech.weights import facts_of
from hierarchy_nodes.speech.whisper import packaged

SENTENCES = "sentences"
# Pieces of other talk that babble is made of.
_BABBLE = 100
# What is hidden at most: frames (of 10 ms), bands.
_SPAN, _BANDS = 20, 12


@dataclass(frozen=True)
class WordsOptions(RunOptions):
    """How the words are learned."""

    steps: int = param(4000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(32, "Sentences in a step, in each process", low=1, high=65536)
    rate: float = param(1e-3, "Highest learning rate", low=1e-7, high=1.0)
    encoder_rate: float = param(0.1, "The encoder's share of it", low=0.0, high=1.0)
    evaluate_records: int = param(256, "Sentences in a look", low=1, high=100_000)
    start: str = param(
        "", "ONNX file of such a network to go on from; empty: Whisper's encoder and nothing else"
    )
    kept: float = param(
        0.0, "What the weights at the start count among those at the end", low=0.0, high=1.0
    )
    hidden: float = param(0.08, "Share of the frames that are hidden, in spans", low=0.0, high=0.5)
    loudest_noise: float = param(
        6.0, "Least ratio of words to noise", unit="dB", low=-10.0, high=40.0
    )
    bfloat16: bool = param(
        False, "Whether products are rounded: faster where a processor can multiply such numbers"
    )
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
        spoken: Pieces,
        out: Path,
        options: WordsOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(out, options, device, rank, world, {"sentences": len(spoken)})
        self._said = spoken.arrays
        self._words = [numbered(text) for text in spoken.labels]
        kept = max(1, round(options.held_out * len(spoken)))
        self._held_out = np.arange(len(spoken) - kept, len(spoken))
        self._trained = np.array([i for i in range(len(spoken) - kept) if len(self._words[i])])
        # From the shortest to the longest: in a step they are of about one length.
        self._trained = self._trained[np.argsort([len(self._said[i]) for i in self._trained])]
        other = [i for i in range(len(spoken)) if numbered(sayings.OTHER)[0] in self._words[i]]
        self._babble = [self._sound(i) for i in other[:_BABBLE]]
        make = partial(WordsNetwork, options.network, len(sayings.vocabulary()) + 1)
        self.network, self.average = self._twins(make)
        if options.start:
            self._go_on(Path(options.start))
        elif options.kept:
            raise ConfigError("kept: without start there is nothing to keep; name it, or choose 0")
        else:
            self.network.encoder.read(packaged())
        self.average.load_state_dict(self.network.state_dict())
        self._start = {
            name: w.detach().cpu().clone() for name, w in self.network.state_dict().items()
        }
        self.objective = self.network
        self._prepare()

    def _go_on(self, path: Path) -> None:
        """Begin with weights that are there; of words that they do not know with none."""
        known = facts_of(path, "words", {"vocabulary": list})["vocabulary"]
        rows = {word: row for row, word in enumerate(("", *known))}
        other = WordsNetwork(self.options.network, len(rows))
        read(other, path)
        learned = other.state_dict()
        for name, ours in self.network.along.out.state_dict(prefix="along.out.").items():
            theirs = learned[name]
            learned[name] = ours.clone()
            for row, word in enumerate(("", *sayings.vocabulary())):
                if word in rows:
                    learned[name][row] = theirs[rows[word]]
        self.network.load_state_dict(learned)

    def _prepare(self) -> None:
        groups = self._groups(self.network.along)
        for group in self._groups(self.network.encoder):
            groups.append(group | {"share": self.options.encoder_rate})
        self._optimise(groups)

    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng(
            int(torch.randint(2**62, (1,), generator=random, device=random.device))
        )
        mel, lengths, words, counts = self._batch(self._alike(rng), rng)
        return self._missed(model, self._with_holes(mel, rng), lengths, words, counts), {}

    def _missed(
        self, model: nn.Module, mel: Tensor, lengths: Tensor, words: Tensor, counts: Tensor
    ) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bfloat16):
            scores, _ = model(mel, lengths)
        return functional.ctc_loss(
            scores.float().transpose(0, 1),
            words,
            lengths // FRAMES,
            counts,
            BLANK,
            zero_infinity=True,
        )

    def _alike(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Sentences of about one length."""
        count = min(self.options.batch, len(self._trained))
        among = min(8 * count, len(self._trained))
        first = int(rng.integers(len(self._trained) - among + 1))
        return self._trained[first + rng.permutation(among)[:count]]

    def _batch(
        self, which: Sequence[int] | NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log-mel ``(B, BANDS, T)`` and how long; words ``(B, W)`` and how many."""
        least = self.options.loudest_noise
        mels = [log_mel(heard(self._sound(i), rng, least, self._babble)) for i in which]
        words = [self._words[i] for i in which]
        lengths = [mel.shape[1] for mel in mels]
        longest = -(-max(lengths) // FRAMES) * FRAMES
        batch = np.zeros((len(mels), BANDS, longest), np.float32)
        targets = np.zeros((len(words), max(map(len, words))), np.int64)
        for row, (mel, w) in enumerate(zip(mels, words, strict=True)):
            batch[row, :, : mel.shape[1]] = mel
            targets[row, : len(w)] = w
        return (
            torch.from_numpy(batch).to(self.device),
            torch.tensor(lengths).to(self.device),
            torch.from_numpy(targets).to(self.device),
            torch.tensor([len(w) for w in words]),
        )

    def _sound(self, index: int) -> Samples:
        return (self._said[index] / 32768).astype(np.float32)

    def _with_holes(self, mel: Tensor, rng: np.random.Generator) -> Tensor:
        """Spans of time and of bands are hidden (Park et al. 2019, SpecAugment)."""
        batch, bands, count = mel.shape
        holes = round(self.options.hidden * count / (_SPAN / 2))
        in_time = _spans(batch, holes, count, _SPAN, rng).to(mel.device)
        in_bands = _spans(batch, 1, bands, _BANDS, rng).to(mel.device)
        return mel.masked_fill(in_time[:, None] | in_bands[..., None], 0.0)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Sentences that are not trained on: how many are told word for word."""
        which = self._held_out[: self.options.evaluate_records]
        right = loss = 0.0
        for i in which:
            mel, *others = self._batch([i], np.random.default_rng(int(i)))
            loss += float(self._missed(self.average, mel, *others)) / len(which)
            best = sentences(self.average(mel)[0][0].cpu().numpy())[0]
            right += best.words == tuple(self._words[i])
        return {"held_out": {"right": round(right / len(which), 4), "loss": round(loss, 4)}}

    def identity(self) -> dict[str, Any]:
        return {"network": asdict(self.options.network), "spoken": asdict(self.options.spoken)}

    def write(self, training: dict[str, Any]) -> None:
        path = self.out / self.WEIGHTS
        dynamic = {"mel": {2: "time"}, "scores": {1: "places"}, "frames": {1: "frames"}}
        mel = {"mel": torch.zeros(1, BANDS, 200)}
        export(self._between(), path, mel, ["scores", "frames"], dynamic, small=True)
        pairs, shares = sayings.usage()
        facts = {"vocabulary": list(sayings.vocabulary()), "pairs": pairs, "shares": shares}
        write_json(path.with_suffix(".json"), facts | {"training": training})

    def _between(self) -> WordsNetwork:
        """Weights between those at the start and those at the end.

        They know what was learned before and since (Wortsman et al. 2022, "Robust Fine-Tuning of
        Zero-Shot Models").
        """
        found = deepcopy(self.average).cpu()
        for name, weight in found.state_dict().items():
            if weight.is_floating_point():
                weight.lerp_(self._start[name], self.options.kept)
        return found

    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        steps = [n["step"] for n in looks]
        return [("right", steps, [n["held_out"]["right"] for n in looks])]


def _spans(batch: int, count: int, length: int, longest: int, rng: np.random.Generator) -> Tensor:
    """``(batch, length)``: `count` spans of up to `longest` places in each."""
    starts = torch.from_numpy(rng.integers(length, size=(batch, count, 1)))
    sizes = torch.from_numpy(rng.integers(longest, size=(batch, count, 1)))
    at = torch.arange(length)
    return ((at >= starts) & (at < starts + sizes)).any(dim=1)


def train(out: Path, options: WordsOptions, resume: bool = False, progress: bool = False) -> Path:
    """Have sentences spoken unless that is done already, and train to the end.

    Returns:
        The weights file.

    Raises:
        ConfigError: Options that do not fit, or a checkpoint of another run.
    """
    with processes(options.device) as (device, rank, world):
        make = partial(speak, out / SENTENCES, options.spoken, options.seed, progress and rank == 0)
        trainer = WordsTrainer(in_turn(make, rank, world), out, options, device, rank, world)
        return trainer.start(resume, progress)
