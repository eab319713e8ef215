"""Both policies trained for the same time, on the same draws of the same records."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.lerobot.observation import POINTS, USED, Scaling, without_cloud
from hierarchy_nodes.controller.diffusion.inputs import Batch
from hierarchy_nodes.controller.diffusion.network import NetworkConfig
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole, write_json
from hierarchy_nodes.learning.augmentation import AugmentationOptions
from hierarchy_nodes.learning.controller_data import CHUNK
from hierarchy_nodes.learning.objective import open_loop
from hierarchy_nodes.learning.trainer import CHECKPOINT
from hierarchy_nodes.learning.training import Trainer, TrainingOptions

POLICY, FACTS = "policy.pt", "trained.json"
# Share of the time in which the rate rises, if that is less than the options' `warmup` steps.
_RISE = 0.1
_NOTE_EVERY, _SAVE_EVERY = 5.0, 300.0
_FIT = 50_000
_HELD_OUT = 128


def options_for(batch: int, seed: int, rate: float, clip: float) -> TrainingOptions:
    """Nothing is missing but the words and the points, neither of which LeRobot's policy reads."""
    return TrainingOptions(
        batch=batch,
        seed=seed,
        rate=rate,
        clip=clip,
        evaluate_records=_HELD_OUT,
        network=NetworkConfig(points=POINTS),
        augmentation=AugmentationOptions(
            drop_path=0.0, drop_masks=0.0, drop_motion=0.0, drop_text=1.0
        ),
    )


class TimedTrainer(Trainer):
    """Our own training, but for a time instead of a number of steps.

    Args:
        arrays: Demonstrations; see ``ControllerData``.
        out: Folder for checkpoint, metrics and weights.
        options: How; `steps` does not count.
        minutes: In optimiser steps; looks at held-out records and checkpoints come on top.
    """

    def __init__(
        self, arrays: Mapping[str, Any], out: Path, options: TrainingOptions, minutes: float
    ) -> None:
        arrays = without_cloud(dict(arrays))
        super().__init__(arrays, out, options, torch.device("cpu"))
        self.budget = 60.0 * minutes

    def run(self, progress: bool = False) -> Path:
        """Train until the time is over; returns the file with what is known of it."""
        self.out.mkdir(parents=True, exist_ok=True)
        bar = tqdm(total=round(self.budget), initial=round(self.seconds), disable=not progress)
        bar.unit = "s"
        noted = saved = time.perf_counter()
        while self.seconds < self.budget:
            begin = time.perf_counter()
            loss, _ = self._advance(self.objective)
            self.step += 1
            now = time.perf_counter()
            self.seconds += now - begin
            if now - noted > _NOTE_EVERY or self.step == 1:
                noted = now
                value = float(loss)
                if not math.isfinite(value):
                    raise ConfigError(f"{self.out}: the loss is {value} at step {self.step}.")
                self._note({"loss": value, "rate": self._rate()})
                bar.update(min(round(self.seconds), bar.total) - bar.n)
                bar.set_postfix(step=self.step, loss=f"{value:.4f}")
            if now - saved > _SAVE_EVERY:
                self.save()
                saved = time.perf_counter()
        bar.close()
        found = self.evaluate()
        self._note(found)
        self._plot()
        return self._conclude(found["held_out"])

    def evaluate(self) -> dict[str, Any]:
        """Sampled chunks in 10 steps against the expert's, on held-out records."""
        random = torch.Generator().manual_seed(self.options.seed)
        batch = self._held_out()
        channels = USED.expand(len(batch["tool"]), -1)
        result = open_loop(self.average, self.normalisation, batch, channels, random)
        return {"held_out": {"all": result.summary()}}

    def _held_out(self) -> Batch:
        pool = self.split.held_out
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(0))
        index = pool[order[: self.options.evaluate_records]]
        return self.data.batch(index, torch.ones(len(index)))

    def _rate(self) -> float:
        """A rise, then half a cosine down to a hundredth, by the clock."""
        o, share = self.options, min(self.seconds / self.budget, 1.0)
        rise = max((self.step + 1) / max(o.warmup, 1), share / _RISE)
        fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
        return o.rate * min(rise, 1.0) * fall

    def _conclude(self, held_out: dict[str, Any]) -> Path:
        self._keep()
        facts = {
            "minutes": self.budget / 60,
            "seconds": round(self.seconds, 1),
            "steps": self.step,
            "seconds_a_step": round(self.seconds / max(self.step, 1), 4),
            "batch": self.options.batch,
            "rate": self.options.rate,
            "threads": torch.get_num_threads(),
            "records": len(self.split.train),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "held_out": held_out,
        }
        path = self.out / FACTS
        write_json(path, facts)
        return path

    def _keep(self) -> None:
        """Write what acts."""
        self.save()


class BaselineTrainer(TimedTrainer):
    """LeRobot's policy and optimiser on the very batches that ours gets.

    Its trainer keeps no average of the weights, ours does, and so did the paper's: here it gets
    one too, and what is nearer to the expert on held-out records is kept.

    Args:
        make: The network, from the lengths of the two parts of the observation.
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        out: Path,
        options: TrainingOptions,
        minutes: float,
        make: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__(arrays, out, options, minutes)
        pool = self.split.train
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(options.seed))
        index = pool[order[:_FIT]]
        batch = self.data.batch(index, torch.ones(len(index)))
        self.scaling = Scaling.fit(batch, batch[CHUNK], self.normalisation.binary)
        torch.manual_seed(options.seed)
        lengths = len(self.scaling.kept_state), len(self.scaling.kept_environment)
        self.network = make(*lengths)  # type: ignore[assignment]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.objective = _Objective(self.network, self.scaling)  # type: ignore[assignment]
        self.optimizer = self.network.optimizer()  # type: ignore[operator, assignment]
        self.kept = "average"

    def _advance(self, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        # LeRobot draws levels and noise from the global generator.
        torch.manual_seed(self.options.seed * 100_000_007 + self.step)
        return super()._advance(model)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """As of ours, of the network and of its average."""
        batch = self._held_out()
        found = {}
        for name, network in (("average", self.average), ("network", self.network)):
            torch.manual_seed(self.options.seed)
            predicted = network.sample(*self.scaling.observe(batch))  # type: ignore[operator]
            chunk = self.scaling.to_base(predicted.clamp(-1, 1), batch["tool"])
            found[name] = difference(chunk, batch[CHUNK])
        self.kept = min(found, key=lambda name: sum(found[name]["position_mm"]))
        return {"held_out": {"all": found[self.kept], **found, "kept": self.kept}}

    def save(self) -> None:
        """A checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with whole(self.out / CHECKPOINT) as draft:
            torch.save(state, draft)

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one."""
        path = self.out / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"{path}: belongs to another network or data: {error}") from error
        self.step, self.seconds = state["step"], state["seconds"]
        self._forget_later()

    def _keep(self) -> None:
        network = self.average if self.kept == "average" else self.network
        policy = {"network": network.state_dict(), "scaling": self.scaling.state_dict()}
        with whole(self.out / POLICY) as draft:
            torch.save(policy, draft)
        # Several times as large as the policy, and no longer needed.
        (self.out / CHECKPOINT).unlink(missing_ok=True)


class _Objective(nn.Module):
    """In the place of ours: what it is given, put as LeRobot's policy wants it."""

    def __init__(self, network: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.network, self.scaling = network, scaling

    def forward(
        self, batch: Batch, _channels: Tensor, _level: Tensor, _noise: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        action = self.scaling.to_policy(batch[CHUNK], batch["tool"])
        return self.network(*self.scaling.observe(batch), action), {}


def difference(chunk: Tensor, truth: Tensor) -> dict[str, Any]:
    """How far ``(B, HORIZON, 8)`` chunks are from the expert's: mean at each step."""
    away = (chunk[..., :3] - truth[..., :3]).norm(dim=-1).mean(0) * 1e3
    cosine = (chunk[..., 3:7] * truth[..., 3:7]).sum(-1).abs().clamp(max=1.0)
    angle = torch.rad2deg(2 * torch.arccos(cosine)).mean(0)
    right = ((chunk[..., 7] > 0.5) == (truth[..., 7] > 0.5)).float().mean()
    return {
        "n": len(chunk),
        "position_mm": [round(v, 2) for v in away.tolist()],
        "rotation_deg": [round(v, 2) for v in angle.tolist()],
        "gripper": round(float(right), 4),
    }


def finished(out: Path, minutes: float) -> bool:
    """Whether the training in `out` is over.

    Raises:
        ConfigError: It was of another length.
    """
    path = out / FACTS
    if not path.exists():
        return False
    had = json.loads(path.read_text(encoding="utf-8"))["minutes"]
    if abs(had - minutes) > 1e-6:
        raise ConfigError(f"{out}: was trained for {had:g} minutes, not {minutes:g}: new --out.")
    return True
