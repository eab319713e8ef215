"""What all training runs share: optimiser, averaged weights, checkpoints, metrics, processes.

Every random draw of a step comes from (seed, process, step), so that a resumed run goes on as if
it had never stopped.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from tqdm import tqdm

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole
from hierarchy_nodes.learning.plot import Curve, draw
from hierarchy_nodes.parameters import param

CHECKPOINT, METRICS, PLOT = "checkpoint.pt", "metrics.jsonl", "loss.png"
_EMA_MOST = 0.999
# Processes wait so long for the first one, that has all sentences spoken.
_PATIENCE = timedelta(hours=12)
Network = TypeVar("Network", bound=nn.Module)
Made = TypeVar("Made")


@dataclass(frozen=True)
class RunOptions:
    """How any network is trained."""

    steps: int = param(20_000, "Optimiser steps", low=1, high=10_000_000)
    batch: int = param(128, "Records in a step, in each process", low=1, high=65536)
    seed: int = param(0, "Of everything random", low=0, high=2**31)
    rate: float = param(5e-4, "Highest learning rate", low=1e-7, high=1.0)
    warmup: int = param(500, "Steps in which the rate rises", low=0, high=1_000_000)
    decay: float = param(0.01, "Weight decay", low=0.0, high=1.0)
    clip: float = param(1.0, "Largest norm of the gradient", low=1e-3, high=1e3)
    held_out: float = param(0.05, "Share of the data kept back", low=0.0, high=0.9)
    evaluate_every: int = param(1000, "Steps between looks at those", low=1, high=1_000_000)
    evaluate_records: int = param(512, "Records in such a look", low=1, high=100_000)
    save_every: int = param(1000, "Steps between checkpoints", low=1, high=1_000_000)
    device: str = param("auto", "Where", choices=("auto", "cpu", "cuda"))


class BaseTrainer(ABC):
    """One process of a training run.

    Subclasses set `network`, `average` and `objective` (in this order of dependence) and then call
    :meth:`_prepare`.

    Args:
        out: Folder for weights, checkpoint, metrics and plot.
        options: How.
        device: Where.
        rank, world: Which process this is, and of how many.
        facts: About the data, to be kept with the weights.
    """

    WEIGHTS: str
    options: RunOptions
    network: nn.Module
    average: nn.Module
    objective: nn.Module

    def __init__(
        self,
        out: Path,
        options: RunOptions,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.options, self.out, self.device = options, out, device
        self.rank, self.world, self.facts = rank, world, facts or {}
        self.step = 0
        self.seconds = 0.0

    def _twins(self, make: Callable[[], Network]) -> tuple[Network, Network]:
        """A seeded network, and its average, which is the same to begin with."""
        torch.manual_seed(self.options.seed)
        network, average = make().to(self.device), make().to(self.device)
        average.load_state_dict(network.state_dict())
        return network, average.requires_grad_(False).eval()

    def _prepare(self) -> None:
        self._optimise(self._groups(self.network))

    def _groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Its parameters for :meth:`_optimise`; a group may be given a `share` of the rate.

        Matrices decay; biases, norms and positions do not.
        """
        matrices = [p for p in network.parameters() if p.dim() > 1]
        others = [p for p in network.parameters() if p.dim() <= 1]
        return [
            {"params": matrices, "weight_decay": self.options.decay},
            {"params": others, "weight_decay": 0.0},
        ]

    def _optimise(self, groups: list[dict[str, Any]]) -> None:
        self.optimizer = torch.optim.AdamW(groups, lr=self.options.rate, fused=True)

    # -- what differs -------------------------------------------------------------------------

    @abstractmethod
    def _loss(self, model: nn.Module, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step, through `model`, and its parts."""

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """The averaged network on what is held out, as ``{"held_out": ...}``."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Plain values that a checkpoint must have in common with this run."""

    @abstractmethod
    def write(self, training: dict[str, Any]) -> None:
        """Write the weights file with these facts about its making."""

    @abstractmethod
    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        """What is plotted beside the loss, from the notes of :meth:`evaluate`."""

    def about(self) -> dict[str, Any]:
        """More facts to be kept with the weights."""
        return {}

    # -- what all have ------------------------------------------------------------------------

    def start(self, resume: bool, progress: bool = False) -> Path:
        """Train to the end, from the checkpoint if there is one and `resume` is set.

        Returns:
            The weights file, of the averaged network.

        Raises:
            ConfigError: There is a checkpoint though `resume` is not set, or it does not fit.
        """
        if resume:
            self.restore()
        elif (self.out / CHECKPOINT).exists():
            raise ConfigError(
                f"{self.out}: holds a checkpoint already; add --resume, or name another."
            )
        return self.run(progress and self.rank == 0)

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
        return self.out / self.WEIGHTS

    def _advance(self, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * group.get("share", 1.0)
        loss, parts = self._loss(model, self._random())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
        self.optimizer.step()
        keep = min(_EMA_MOST, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.network.parameters()), 1 - keep
            )
        return loss.detach(), parts

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

    def save(self) -> None:
        """Checkpoint and weights, each whole or not at all."""
        training = {
            "steps": self.step,
            "seconds": round(self.seconds, 1),
            "seconds_a_step": round(self.seconds / max(self.step, 1), 4),
            "device": str(self.device),
            "processes": self.world,
            "threads": torch.get_num_threads(),
            **self.about(),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "options": asdict(self.options),
            "data": self.facts,
        }
        self.write(training)
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "config": self.identity() | {"training": {}},
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
        ours = json.loads(json.dumps(self.identity()))
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
        curves = [("loss", [n["step"] for n in losses], [n["loss"] for n in losses])]
        draw(
            self.out / PLOT, [*curves, *self.curves([n for n in notes if "held_out" in n])], "step"
        )


@contextlib.contextmanager
def processes(name: str) -> Iterator[tuple[torch.device, int, int]]:
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
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield device, rank, world
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def in_turn(make: Callable[[], Made], rank: int, world: int) -> Made:
    """What is kept in files: the first process makes it, the others wait and find it there."""
    made = [make()] if rank == 0 else []
    if world > 1:
        distributed.barrier()
    return made[0] if made else make()
