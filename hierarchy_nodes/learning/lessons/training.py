"""Fine-tunes the compact planner on lessons, among the images that it learned from at first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hierarchy_nodes.learning.lessons.store import HELD_OUT, LEARNED, digest
from hierarchy_nodes.learning.planner.data import Batch, PlannerData
from hierarchy_nodes.learning.planner.objective import summarise
from hierarchy_nodes.learning.planner.training import (
    PlannerTrainer,
    PlannerTrainingOptions,
    look,
)
from hierarchy_nodes.learning.plot import Curve
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.compact.network import CompactNetwork
from hierarchy_nodes.planner.compact.text import FIRST, vocabulary_of
from hierarchy_nodes.planner.compact.weights import (
    PlannerWeights,
    State,
    extended,
    load_weights,
)


@dataclass(frozen=True)
class LearningOptions(PlannerTrainingOptions):
    """How to learn from corrections; `network` is that of the weights to begin with.

    Yell At Your Robot (arXiv 2403.12910) mixes a tenth of correction data in, RT-H (arXiv
    2403.01823) weighs interventions fifty times: a few lessons among thousands of images need more
    than their share.
    """

    steps: int = param(300, "Optimiser steps", low=1, high=10_000_000)
    rate: float = param(1e-4, "Highest learning rate", low=1e-7, high=1.0)
    warmup: int = param(20, "Steps in which the rate rises", low=0, high=1_000_000)
    evaluate_every: int = param(100, "Steps between looks", low=1, high=1_000_000)
    save_every: int = param(50, "Steps between checkpoints", low=1, high=1_000_000)
    word_rate: float = param(
        100.0, "New words are learned so many times as fast as all else", low=1.0, high=1e4
    )
    share: float = param(0.25, "Share of lessons among the images of a step", low=0.0, high=1.0)
    lessons_held_out: float = param(
        0.2, "Share of the lessons that is kept back, of 4 or more", low=0.0, high=0.9
    )
    worse: float = param(
        2.0, "The base may get worse by so much", unit="percentage points", low=0.0, high=100.0
    )


class LessonTrainer(PlannerTrainer):
    """A training run that begins with weights, and draws its images from two data sets.

    Args:
        base: Folder of images as they were learned from at first.
        lessons: Folder of ``store.store``.
        start: Weights file.
        out: Folder for weights, checkpoint, metrics and plot.
        options: How.
        device: Where.
        facts: To be kept with the weights.

    Raises:
        ConfigError: The data or the weights do not fit.

    Attributes:
        first: The network as it is before any step, for more words.
        lessons: By the name of the data set, those that there are.
    """

    options: LearningOptions

    def __init__(
        self,
        base: Path,
        lessons: Path,
        start: Path,
        out: Path,
        options: LearningOptions,
        device: torch.device,
        facts: dict[str, Any] | None = None,
    ) -> None:
        # What the network is to be depends on both.
        known = [name for name in (LEARNED, HELD_OUT) if (lessons / name).is_dir()]
        self.lessons = {name: PlannerData(lessons / name, least=1) for name in known}
        network, config = load_weights(start)
        learned_words = vocabulary_of(self.lessons[LEARNED].texts(), least=1)
        self._start = extended(config, network.state_dict(), learned_words)
        self._known = FIRST + len(config.vocabulary)
        super().__init__(base, out, options, device, facts=facts)
        for data in self.lessons.values():
            data.encode_words(self.config.vocabulary, self.config.network.words)
        self.first = CompactNetwork(self.config.network).to(device)
        self.first.load_state_dict(self._start[1])
        self.first.requires_grad_(False).eval()
        self._origin = {
            "start": hashlib.sha256(start.read_bytes()).hexdigest()[:16],
            "lessons": digest(lessons),
        }

    def _begin(self) -> tuple[PlannerWeights, State]:
        return self._start

    def _prepare(self) -> None:
        words = self.network.words.weight
        groups = self._groups(self.network)
        for group in groups:
            group["params"] = [p for p in group["params"] if p is not words]
        new = {"weight_decay": self.options.decay, "share": self.options.word_rate}
        self._optimise([*groups, {"params": [words], **new}])
        before = words.detach()[: self._known].clone()

        def remember(*_: Any) -> None:
            before.copy_(words.detach()[: self._known])

        def hold_back(*_: Any) -> None:
            with torch.no_grad():
                known = words[: self._known]
                known.copy_(before + (known - before) / self.options.word_rate)

        # A step of Adam does not depend on how large gradients are, so it is shortened afterwards.
        self.optimizer.register_step_pre_hook(remember)
        self.optimizer.register_step_post_hook(hold_back)

    def draw(self, step: int) -> Batch:
        o, lessons = self.options, self.lessons[LEARNED]
        rng = np.random.default_rng([o.seed, self.rank, step])
        count = min(o.batch, max(1, round(o.share * o.batch))) if o.share > 0 else 0
        old = self.learned_from[rng.integers(len(self.learned_from), size=o.batch - count)]
        drawn = [(lessons, rng.integers(lessons.images, size=count)), (self.data, old)]
        batches = [
            data.batch(images, o.each, rng, o.variation) for data, images in drawn if len(images)
        ]
        return joined(batches)

    def evaluate(self) -> dict[str, Any]:
        """As of the base; and the lessons, learned and held out."""
        found = super().evaluate()
        for name, data in self.lessons.items():
            judged = look(self.average, data, everything(data), self.options.seed, self.device)
            found[f"lessons_{name}"] = summarise(judged)
        return found

    def identity(self) -> dict[str, Any]:
        return super().identity() | self._origin

    def about(self) -> dict[str, Any]:
        lessons = {f"lessons_{name}": data.images for name, data in self.lessons.items()}
        return super().about() | lessons | {"learned_from": self._origin}

    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        steps = [n["step"] for n in looks]
        missed = [1 - n[f"lessons_{LEARNED}"]["target"] for n in looks]
        return [*super().curves(looks)[:2], ("target of lessons missed", steps, missed)]


def everything(data: PlannerData) -> NDArray[np.int64]:
    """Numbers of all images."""
    return np.arange(data.images, dtype=np.int64)


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several, the images of the first coming first."""
    found = {name: _stacked([b[name] for b in batches]) for name in batches[0]}
    before = np.cumsum([0, *(len(b["seen"]) for b in batches[:-1])]).tolist()
    pairs = zip(batches, before, strict=True)
    found["image_of"] = torch.cat([b["image_of"] + first for b, first in pairs])
    return found


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """One below the other; zeros, which mean nothing, follow where there are fewer things or words.

    Args:
        parts: ``(N_i, ...)``, otherwise of as many dimensions.
    """
    sizes = [max(along) for along in zip(*(part.shape[1:] for part in parts), strict=True)]
    found = parts[0].new_zeros(sum(map(len, parts)), *sizes)
    first = 0
    for part in parts:
        place = (slice(first, first + len(part)), *map(slice, part.shape[1:]))
        found[place] = part
        first += len(part)
    return found
