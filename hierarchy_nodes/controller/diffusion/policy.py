"""Weights that act: features in, chunk in the base frame out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hierarchy_nodes.controller.diffusion import actions, inputs
from hierarchy_nodes.controller.diffusion.fast import Compiled, Eager
from hierarchy_nodes.controller.diffusion.features import (
    CHANNELS,
    HORIZON,
    TIMES,
    Features,
    nothing,
)
from hierarchy_nodes.controller.diffusion.inputs import MOTION, Batch
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, Memory
from hierarchy_nodes.controller.diffusion.sampler import Prefix, sample
from hierarchy_nodes.controller.diffusion.schedule import CosineSchedule
from hierarchy_nodes.controller.diffusion.weights import PolicyConfig, load_weights
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.types import Array

# One of each layer of the decoder.
Floats = tuple[NDArray[np.float32], ...]

MAX_GUIDANCE = 5.0
# Warm starts of at most so many steps are compiled as a whole: what a step costs beside its
# arithmetic counts for little in long ones, which would take long to compile.
_WHOLE = 4


@dataclass(frozen=True)
class View:
    """What the network made of one observation.

    Attributes:
        keys, values: Of ``network.Memory``, for the denoising steps; two in a batch where there is
            guidance.
        tool: ``(1, 7)`` that the chunk is relative to.
        guidance: 1 for none; more makes a correction count for more.
        done: Probability that the task is finished; 0 where neither the path nor the masks that the
            network was trained with are there: a scene at rest looks the same before and after.
    """

    keys: Floats
    values: Floats
    tool: NDArray[np.float32]
    guidance: float
    done: float


@dataclass(frozen=True)
class Answer:
    """A chunk, ``(HORIZON, 8)`` float64 in the base frame, and the steps it took."""

    chunk: Array
    steps: int


class Policy:
    """The network with all that belongs to it. Keeps nothing of one observation for the next.

    Args:
        network: Ready to infer.
        config: What belongs to it.
        channels: Which of `features.CHANNELS` to look at; others count as missing.
        compiled: Run it in ONNX Runtime: the same numbers in less time.
    """

    def __init__(
        self,
        network: DiffusionNetwork,
        config: PolicyConfig,
        channels: tuple[str, ...] = CHANNELS,
        compiled: bool = True,
    ) -> None:
        for name in channels:
            if name not in CHANNELS:
                raise UnknownNameError("channel", name, CHANNELS)
        self.network, self.config = network, config
        self.schedule = CosineSchedule(config.network.levels)
        self.normalisation = config.normalisation
        self._numbers = inputs.numbered(config.vocabulary)
        # Those that it may look at, and those of them that show what is to be done.
        self._used = [name in channels and name in config.channels for name in CHANNELS]
        self._telling = [CHANNELS.index(c) for c in ("path", "masks") if c in config.channels]
        self._texts: dict[str, NDArray[np.float32]] = {}
        self._encoder: Callable[..., Any] = Eager(self._look)
        self._decoder: Callable[..., Any] = Eager(self._predict)
        self._outward: Callable[..., Any] = Eager(self._to_base)
        self._inward: Callable[..., Any] = Eager(self._to_tool)
        self._warm: Callable[..., Any] = Eager(self._warmly)
        if compiled:
            self._encoder = Compiled(self._look, network, lambda _b, _t, used: len(used))
            self._decoder = Compiled(self._predict, network, lambda noisy, *_: len(noisy))
            self._outward, self._inward = Compiled(self._to_base), Compiled(self._to_tool)
            self._warm = Compiled(self._warmly, network, _shapes)

    @classmethod
    def load(
        cls, path: Path, channels: tuple[str, ...] = CHANNELS, compiled: bool = True
    ) -> Policy:
        """From a weights file; see ``weights.load_weights`` for what is checked."""
        return cls(*load_weights(path), channels, compiled)

    def rehearse(self, start: int = 1, steps: int = 1) -> None:
        """Go through everything once, so that the first real chunk comes no later than others.

        Args:
            start, steps: Of the warm starts that will come.
        """
        points = self.config.network.points
        for corrected in (0.0, 1.0):
            told = np.array([corrected], dtype=np.float32)
            view = self.see(replace(nothing(points), motion_there=told), guidance=2.0)
            chunk = self.act(view, steps=1).chunk
            for prefix in (None, chunk):
                held = None if prefix is None else np.zeros(HORIZON)
                self.act(view, steps=steps, guess=chunk, start=start, prefix=prefix, weights=held)

    def see(self, features: Features, guidance: float = 1.0) -> View:
        """Look at one observation.

        Args:
            features: As extracted.
            guidance: Weight of the difference that a correction makes (Ho and Salimans 2022,
                "Classifier-Free Diffusion Guidance"); the contrast is that nobody had said
                anything. 1 costs nothing.
        """
        batch = {name: array[None] for name, array in features.arrays().items()}
        there, text = self._available(features), self._read(features.text)
        channels = np.array([there], dtype=np.float32)
        told = there[MOTION] and features.motion_there[0] > 0
        guidance = min(max(guidance, 0.0), MAX_GUIDANCE) if told else 1.0
        if guidance != 1.0:
            batch = {name: np.repeat(array, 2, axis=0) for name, array in batch.items()}
            batch["motion_there"][1] = 0.0
            channels, text = (np.repeat(array, 2, axis=0) for array in (channels, text))
        keys, values, done = self._encoder(batch, text, channels)
        sees_task = not self._telling or any(there[index] for index in self._telling)
        ended = (1 + math.tanh(done[0] / 2)) / 2 if sees_task else 0.0
        return View(keys, values, batch["tool"][:1], guidance, ended)

    @torch.inference_mode()
    def act(
        self,
        view: View,
        *,
        steps: int,
        guess: Array | None = None,
        start: int | None = None,
        prefix: Array | None = None,
        weights: Array | None = None,
        tolerance: float = 0.0,
        randomness: float = 0.0,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Answer:
        """Sample a chunk; see ``sampler.sample``.

        Args:
            view: What is seen.
            steps: Denoising steps.
            guess: ``(HORIZON, 8)`` base frame, at this chunk's times; None for a cold start.
            start: Level to start at; the highest if not given.
            prefix: Like `guess`, what is being executed.
            weights: ``(HORIZON,)`` of the prefix.
            tolerance, randomness: As there.
            temperature: Size of the noise to start from; less than 1 draws likelier chunks.
            seed: Of all noise.

        Raises:
            ConfigError: Steps or start that do not fit what was trained.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = temperature * torch.randn(1, HORIZON, actions.SIZE, generator=generator)
        held = () if prefix is None or weights is None else (weights.astype(np.float32),)
        whole = steps <= _WHOLE and not tolerance and not randomness
        # Others hold the last chunk, which is the guess, or nothing.
        whole = whole and (not held or prefix is guess)
        if guess is not None and start is not None and whole:
            guidance = np.array([view.guidance], dtype=np.float32)
            arguments = (_batch(guess), noise.numpy(), view.tool, guidance, view.keys, view.values)
            return Answer(_single(self._warm(*arguments, *held, start=start, steps=steps)), steps)
        fixed = None
        if held and prefix is not None:
            fixed = Prefix(self._seen_from(view, prefix), torch.from_numpy(held[0]))
        found = sample(
            None if guess is None else self._seen_from(view, guess),
            self.schedule.levels if start is None else start,
            lambda noisy, level: self.denoise(view, noisy, level),
            self.schedule,
            noise=noise,
            steps=steps,
            bound=self.normalisation.bound,
            prefix=fixed,
            tolerance=tolerance,
            randomness=randomness,
            generator=generator,
        )
        return Answer(_single(self._outward(found.chunk.numpy(), view.tool)), found.steps)

    def _warmly(
        self,
        guess: Tensor,
        noise: Tensor,
        tool: Tensor,
        guidance: Tensor,
        keys: tuple[Tensor, ...],
        values: tuple[Tensor, ...],
        *held: Tensor,
        start: int,
        steps: int,
    ) -> Tensor:
        """A warm start from chunk to chunk, ``(1, HORIZON, 8)`` in the base frame.

        Args:
            held: None, or the weights with which the guess is the prefix, too.
        """
        first = self._to_tool(guess, tool)
        found = sample(
            first,
            start,
            lambda noisy, level: _guided(self._predict, noisy, level, keys, values, guidance),
            self.schedule,
            noise=noise,
            steps=steps,
            bound=self.normalisation.bound,
            prefix=Prefix(first, *held) if held else None,
        )
        return self._to_base(found.chunk, tool)

    def looks_at(self, channel: str) -> bool:
        """Whether one of `features.CHANNELS` counts."""
        return self._used[CHANNELS.index(channel)]

    def _available(self, features: Features) -> list[bool]:
        """Which of `features.CHANNELS` are looked at and have something to say."""
        path, masks = features.path_there.any(), features.things_there.any()
        there = (bool(path), bool(masks), True, bool(features.text))
        return [used and says for used, says in zip(self._used, there, strict=True)]

    def check_steps(self, name: str, steps: int, start: int | None = None) -> None:
        """Raise a ConfigError that names the option `name` if so many steps are impossible."""
        try:
            self.schedule.visits(self.schedule.levels if start is None else start, steps)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error

    @staticmethod
    def shifted(chunk: Array, seconds: float) -> Array:
        """A chunk ``(HORIZON, 8)`` as it looks `seconds` after its observation.

        Interpolated, the last action repeated.
        """
        return actions.at_times(chunk, TIMES, TIMES + seconds)

    def denoise(self, view: View, noisy: Tensor, level: int) -> Tensor:
        """One prediction of the clean chunk ``(1, HORIZON, 10)``, with the view's guidance."""

        def predict(noisy: Tensor, level: Tensor, keys: Floats, values: Floats) -> Tensor:
            return torch.from_numpy(self._decoder(noisy.numpy(), level.numpy(), keys, values))

        guidance = torch.tensor(view.guidance)
        return _guided(predict, noisy, level, view.keys, view.values, guidance)

    def _read(self, text: str) -> NDArray[np.float32]:
        if text not in self._texts:
            if len(self._texts) > 100:
                self._texts.clear()
            ids = inputs.word_ids(text, self._numbers, self.config.network.words)
            with torch.inference_mode():
                self._texts[text] = self.network.read(torch.tensor([ids])).numpy()
        return self._texts[text]

    def _look(
        self, batch: Batch, text: Tensor, channels: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
        memory = self.network.encode(batch, text, channels)
        return memory.keys, memory.values, memory.done

    def _predict(
        self,
        noisy: Tensor,
        level: Tensor,
        keys: tuple[Tensor, ...],
        values: tuple[Tensor, ...],
    ) -> Tensor:
        return self.network.denoise(noisy, level, Memory(keys, values, noisy))

    def _to_base(self, normalised: Tensor, tool: Tensor) -> Tensor:
        return actions.absolute(self.normalisation.invert(normalised), tool)

    def _seen_from(self, view: View, chunk: Array) -> Tensor:
        return torch.from_numpy(self._inward(_batch(chunk), view.tool))

    def _to_tool(self, chunk: Tensor, tool: Tensor) -> Tensor:
        return self.normalisation.apply(actions.relative(chunk, tool))


def _guided(
    predict: Callable[..., Tensor],
    noisy: Tensor,
    level: int,
    keys: tuple[Any, ...],
    values: tuple[Any, ...],
    guidance: Tensor,
) -> Tensor:
    """A prediction; where two are in the memory, away from the second one."""
    count = len(keys[0])
    clean = predict(noisy.expand(count, -1, -1), torch.full((count,), level), keys, values)
    return clean if count == 1 else clean[1:] + guidance * (clean[:1] - clean[1:])


def _shapes(guess: Array, *others: Any) -> tuple[int, int]:
    """What tells calls of `Policy._warmly` apart."""
    return len(others[3][0]), len(others)


def _batch(chunk: Array) -> NDArray[np.float32]:
    return chunk[None].astype(np.float32)


def _single(chunks: NDArray[np.float32]) -> Array:
    return chunks[0].astype(float)
