"""What is compared: a trained policy, how chunks are sampled, and how much of them is executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lerobot.controller import COMMON, BaselineController, ChunkPolicy, load_baseline
from benchmarks.lerobot.observation import CHANNELS, Cloudless
from benchmarks.lerobot.training import POLICY
from hierarchy_nodes.controller.base import ControllerBackend
from hierarchy_nodes.controller.diffusion.backend import DiffusionController, DiffusionOptions
from hierarchy_nodes.learning.training import WEIGHTS

OURS = "ours"
# LeRobot's ``n_action_steps``.
OPEN_LOOP = 8


@dataclass(frozen=True)
class Variant:
    """One row of the comparison.

    Attributes:
        title: For people.
        trained: Folder of the training.
        sampler: One of ``baseline.SAMPLERS``; of ours, the mode of the controller.
        executed: Actions of a chunk before the next is sampled; 0: at every observation, 20 Hz.
    """

    title: str
    trained: str
    sampler: str
    executed: int = 0

    def controller(self, out: Path) -> ControllerBackend:
        """Ready to act, from what was trained in `out`."""
        if self.trained == OURS:
            return Cloudless(DiffusionController(ours(out, self.sampler)))
        policy = load_baseline(out / self.trained / POLICY, self.trained, self.sampler)
        return Cloudless(BaselineController(policy, self.executed))

    def policy(self, out: Path) -> ChunkPolicy:
        """LeRobot's policy alone."""
        return load_baseline(out / self.trained / POLICY, self.trained, self.sampler)


def ours(out: Path, mode: str, **more: Any) -> DiffusionOptions:
    """Our controller with the weights that were trained in `out`."""
    weights = str(out / OURS / WEIGHTS)
    options = {"weights": weights, "mode": mode, "channels": list(CHANNELS)} | COMMON | more
    return DiffusionOptions(**options)


VARIANTS = {
    "ours": Variant("ours, warm start, 2 steps, 20 Hz", OURS, "warm"),
    "ours-cold": Variant("ours, DDIM 10, 20 Hz", OURS, "cold"),
    "small-ddim": Variant("LeRobot small, DDIM 10, 8 executed", "small", "DDIM", OPEN_LOOP),
    "small-ddpm": Variant("LeRobot small, DDPM 100, 8 executed", "small", "DDPM", OPEN_LOOP),
    "small-replan": Variant("LeRobot small, DDIM 10, 20 Hz", "small", "DDIM"),
    "default-ddim": Variant("LeRobot default, DDIM 10, 8 executed", "default", "DDIM", OPEN_LOOP),
    "default-ddpm": Variant("LeRobot default, DDPM 100, 8 executed", "default", "DDPM", OPEN_LOOP),
}
# An episode takes many minutes: timed, but evaluated only where it is asked for by name.
SLOW = ("default-ddpm",)
