"""Trains the diffusion controller: seeded, resumable, on one device or many.

Every random draw of a step comes from (seed, process, step), so that a resumed run goes on as if
it had never stopped.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from tqdm import tqdm

from hierarchy_nodes.controller.diffusion import actions, inputs
from hierarchy_nodes.controller.diffusion.actions import Normalisation
from hierarchy_nodes.controller.diffusion.features import CHANNELS, HORIZON
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, NetworkConfig
from hierarchy_nodes.controller.diffusion.weights import PolicyConfig, save_weights
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole
from hierarchy_nodes.learning.augmentation import (
    AugmentationOptions,
    augment,
    draw_channels,
)
from hierarchy_nodes.learning.controller_data import CHUNK, DONE, ControllerData
from hierarchy_nodes.learning.objective import Objective, open_loop
from hierarchy_nodes.learning.plot import draw
from hierarchy_nodes.learning.policies import TRAINED, channels_of
from hierarchy_nodes.parameters import param

CHECKPOINT, METRICS, PLOT, WEIGHTS = (
    "checkpoint.pt",
    "metrics.jsonl",
    "loss.png",
    "controller.safetensors",
)
# Records used for the statistics of the actions.
_FIT = 50_000
_EMA_MOST = 0.999
# What may be missing at run time, each looked at by itself on the held-out episodes.
_SUBSETS = {
    "all": CHANNELS,
    "path only": ("path", "motion", "text"),
    "masks only": ("masks", "motion", "text"),
    "text only": ("text",),
}


@dataclass(frozen=True)
class TrainingOptions:
    """How to train."""

    steps: int = param(20_000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(128, "Records in a step, in each process", low=1, high=65536)
    seed: int = param(0, "Of everything random", low=0, high=2**31)
    policy: str = param("hierarchical", "Who is trained", choices=TRAINED)
    rate: float = param(5e-4, "Highest learning rate", low=1e-7, high=1.0)
    warmup: int = param(500, "Steps in which the rate rises", low=0, high=1_000_000)
    decay: float = param(0.01, "Weight decay", low=0.0, high=1.0)
    clip: float = param(1.0, "Largest norm of the gradient", low=1e-3, high=1e3)
    draws: int = param(1, "Noisy chunks for each record", low=1, high=64)
    gripper_scale: float = param(0.3, "Of the gripper beside the other actions", low=0.01, high=1)
    held_out: float = param(0.05, "Share of episodes kept back", low=0.0, high=0.9)
    evaluate_every: int = param(1000, "Steps between looks at those", low=1, high=1_000_000)
    evaluate_records: int = param(512, "Records in such a look", low=1, high=100_000)
    save_every: int = param(1000, "Steps between checkpoints", low=1, high=1_000_000)
    device: str = param("auto", "Where", choices=("auto", "cpu", "cuda"))
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
    with _processes(options.device) as (device, rank, world):
        trainer = Trainer(arrays, out, options, device, rank, world, dict(facts or {}))
        if resume:
            trainer.restore()
        elif (out / CHECKPOINT).exists():
            raise ConfigError(f"{out}: holds a checkpoint already; add --resume, or name another.")
        return trainer.run(progress and rank == 0)


class Trainer:
    """One process of a training run."""

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
        self.options, self.out, self.device = options, out, device
        self.rank, self.world, self.facts = rank, world, facts or {}
        self.data = ControllerData(arrays, device)
        self.split = self.data.split(options.held_out, options.seed)
        vocabulary = inputs.vocabulary_of(self.data.texts)
        config = replace(options.network, vocabulary=len(vocabulary))
        self.data.encode_words(vocabulary, config.words)
        torch.manual_seed(options.seed)
        self.network = DiffusionNetwork(config).to(device)
        self.average = DiffusionNetwork(config).to(device).requires_grad_(False).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.normalisation = self._fit().to(device)
        self.config = PolicyConfig(
            config, vocabulary, self.normalisation.to("cpu"), channels_of(options.policy)
        )
        share = float(self.data.raw(DONE, self.split.train).mean())
        done_weight = min(max((1 - share) / max(share, 1e-6), 1.0), 10.0)
        self.objective = Objective(
            self.network, self.normalisation, options.gripper_scale, done_weight, options.draws
        ).to(device)
        self.optimizer = torch.optim.AdamW(
            _groups(self.network, options.decay), lr=options.rate, fused=True
        )
        self.step = 0
        self.seconds = 0.0

    def run(self, progress: bool = False) -> Path:
        """Train to the end."""
        o = self.options
        self.out.mkdir(parents=True, exist_ok=True)
        model: nn.Module = self.objective
        if self.world > 1:
            model = nn.parallel.DistributedDataParallel(
                self.objective, device_ids=[self.device.index] if self.device.index else None
            )
        bar = tqdm(total=o.steps, initial=self.step, disable=not progress, unit="step")
        begin, since = time.perf_counter(), self.seconds
        while self.step < o.steps:
            loss, parts = self._advance(model)
            self.step += 1
            self.seconds = since + time.perf_counter() - begin
            bar.update()
            last = self.step == o.steps
            if self.rank == 0:
                if self.step % max(1, min(50, o.steps // 20)) == 0 or last:
                    entry = {"loss": float(loss)} | {k: float(v) for k, v in parts.items()}
                    if not math.isfinite(entry["loss"]):
                        raise ConfigError(
                            f"the loss is {entry['loss']} at step {self.step}: "
                            f"try a rate below {o.rate:g}."
                        )
                    bar.set_postfix(loss=f"{entry['loss']:.4f}")
                    self._note(entry | {"rate": self._rate()})
                if self.step % o.evaluate_every == 0 or last:
                    self._note(self.evaluate())
                    self._plot()
                if self.step % o.save_every == 0 or last:
                    self.save()
        bar.close()
        return self.out / WEIGHTS

    def _advance(self, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """One optimiser step."""
        o = self.options
        random = self._random()
        channels = draw_channels(o.batch, self.config.channels, o.augmentation, random)
        batch = self._draw(channels[:, inputs.MASKS], random)
        count = o.batch * o.draws
        levels = self.config.network.levels
        level = torch.randint(1, levels + 1, (count,), generator=random, device=self.device)
        shape = (count, HORIZON, actions.SIZE)
        noise = torch.randn(shape, generator=random, device=self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        loss, parts = model(batch, channels, level, noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), o.clip)
        self.optimizer.step()
        keep = min(_EMA_MOST, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.network.parameters()), 1 - keep
            )
        return loss.detach(), parts

    def _draw(self, masks: Tensor, random: torch.Generator) -> inputs.Batch:
        o = self.options
        pool, shape = self.split.train, (o.batch,)
        index = torch.randint(len(pool), shape, generator=random, device=self.device).cpu()
        a = o.augmentation
        late = torch.randint(1, a.late_most + 2, shape, generator=random, device=self.device) - 1
        rare = torch.rand(shape, generator=random, device=self.device) < a.late_share
        batch = self.data.batch(pool[index], masks.cpu(), (late * rare).cpu())
        return augment(batch, a, self.config.network.points, random)

    def _random(self) -> torch.Generator:
        """Of this step of this process alone."""
        seed = (self.options.seed * 1_000_003 + self.rank) * 100_000_007 + self.step
        return torch.Generator(self.device).manual_seed(seed % 2**63)

    def _rate(self) -> float:
        """Linear rise, then half a cosine down to a hundredth."""
        o = self.options
        if self.step < o.warmup:
            return o.rate * (self.step + 1) / o.warmup
        share = (self.step - o.warmup) / max(1, o.steps - o.warmup)
        return o.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))

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

    def save(self) -> None:
        """Checkpoint and weights, each whole or not at all."""
        training = {
            "steps": self.step,
            "seconds": round(self.seconds, 1),
            "seconds_a_step": round(self.seconds / max(self.step, 1), 4),
            "device": str(self.device),
            "processes": self.world,
            "threads": torch.get_num_threads(),
            "records": self.data.count,
            "episodes": self.data.episodes,
            "held_out_records": len(self.split.held_out),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "options": asdict(self.options),
            "data": self.facts,
        }
        config = replace(self.config, training=training)
        save_weights(self.out / WEIGHTS, config, self.average.state_dict())
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "config": config.to_json() | {"training": {}},
        }
        with whole(self.out / CHECKPOINT) as draft:
            torch.save(state, draft)

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            ConfigError: It belongs to another network or to other data.
        """
        path = self.out / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        ours = json.loads(json.dumps(self.config.to_json()))
        for name, value in state["config"].items():
            if name != "training" and json.loads(json.dumps(value)) != ours[name]:
                raise ConfigError(
                    f"{path}: was made with another {name}; resume with the same data and options."
                )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        if self.rank == 0:
            self._forget_later()

    def _note(self, entry: dict[str, Any]) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 2)} | entry
        with (self.out / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _notes(self) -> list[dict[str, Any]]:
        path = self.out / METRICS
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def _forget_later(self) -> None:
        """Drop what was noted after the checkpoint: it will be noted again."""
        kept = [json.dumps(n) + "\n" for n in self._notes() if n["step"] <= self.step]
        (self.out / METRICS).write_text("".join(kept), encoding="utf-8")

    def _plot(self) -> None:
        notes = self._notes()
        losses = [n for n in notes if "loss" in n]
        looks = [n for n in notes if "held_out" in n]
        curves = [("loss", [n["step"] for n in losses], [n["loss"] for n in losses])]
        for index, when in ((0, "first"), (HORIZON - 1, "last")):
            errors = [n["held_out"]["all"]["position_mm"][index] for n in looks]
            curves.append((f"held out, {when} step, mm", [n["step"] for n in looks], errors))
        draw(self.out / PLOT, curves, "step")


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and positions do not."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


@contextlib.contextmanager
def _processes(name: str) -> Iterator[tuple[torch.device, int, int]]:
    """This process's device, rank and the number of processes, as torchrun has set them.

    Raises:
        ConfigError: No such device here.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("device 'cuda': torch sees no GPU here. Valid: auto, cpu.")
    kind = ("cuda" if there else "cpu") if name == "auto" else name
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if world == 1:
        yield device, 0, 1
        return
    if kind == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield device, rank, world
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
