"""What both policies see and say: an observation of low dimension, a chunk in [-1, 1].

The observation is what our network's first, fixed layer makes of the features (tool, joints,
gripper, things, path, correction, interaction), without the points and without the words. Our
network takes it as tokens, LeRobot's policy as one vector: the same numbers.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion import actions, inputs
from hierarchy_nodes.controller.diffusion.actions import GRIPPER
from hierarchy_nodes.controller.diffusion.features import CHANNELS as ALL
from hierarchy_nodes.controller.diffusion.inputs import Batch
from hierarchy_nodes.types import Observation

# What is looked at, of ``features.CHANNELS``: LeRobot's policy reads no words.
CHANNELS = ("path", "masks", "motion")
USED = torch.tensor([[float(name in CHANNELS) for name in ALL]])
# Of a cloud that is always empty: there must be some.
POINTS = 1
_CLOUD = ("points", "plain_points", "point_colors", "plain_colors", "point_roles")
# Numbers that vary by less are left out: scaling them would blow up rounding.
_CONSTANT = 1e-5


def without_cloud(arrays: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Demonstrations in which the camera's depth saw nothing."""
    return {k: np.zeros_like(v) if k in _CLOUD else v for k, v in arrays.items()}


class Cloudless(ControllerBackend):
    """Hands observations on with an empty depth image: no points, as in training."""

    def __init__(self, inner: ControllerBackend) -> None:
        super().__init__(inner.options)
        self.inner = inner

    def reset(self) -> None:
        self.inner.reset()

    def act(self, observation: Observation) -> Step:
        frame = observation.frame
        if frame is not None:
            frame = replace(frame, depth=np.zeros_like(frame.depth))
        return self.inner.act(replace(observation, frame=frame))


def vector(batch: Batch) -> tuple[Tensor, Tensor]:
    """The observation as numbers of about unit size.

    Args:
        batch: `Features` arrays with a batch dimension B.

    Returns:
        ``(B, inputs.STATE)`` the arm, and ``(B, E)`` everything else.
    """
    # Whatever they are, they are not in the vector.
    points = {k: v[:, :POINTS] if k in _CLOUD else v for k, v in batch.items()}
    channels = USED.to(batch["tool"]).expand(len(batch["tool"]), -1)
    seen = inputs.prepare(points, channels)
    rest = [seen.path.flatten(1), seen.things.flatten(1), seen.motion, seen.task]
    return seen.state, torch.cat(rest, dim=-1)


@dataclass(frozen=True)
class Range:
    """Lowest and highest values in the demonstrations, which become -1 and 1.

    That is LeRobot's own normalisation (``NormalizationMode.MIN_MAX``); its sampler clips there.

    Attributes:
        low, high: Of any shape that broadcasts.
    """

    low: Tensor
    high: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """To [-1, 1]."""
        return 2 * (values - self.low) / self._span - 1

    def invert(self, scaled: Tensor) -> Tensor:
        """From [-1, 1]."""
        return (scaled + 1) / 2 * self._span + self.low

    @property
    def _span(self) -> Tensor:
        return (self.high - self.low).clamp(min=_CONSTANT)


@dataclass(frozen=True)
class Scaling:
    """Everything between features and LeRobot's policy.

    Attributes:
        state, environment: Of the numbers that vary in the demonstrations, as `vector` splits them.
        kept_state, kept_environment: Which those are.
        action: ``(HORIZON, 10)``, a range for each step of the chunk, as our statistics are.
        binary: Whether the gripper is only ever open or shut.
    """

    state: Range
    environment: Range
    kept_state: Tensor
    kept_environment: Tensor
    action: Range
    binary: bool

    @classmethod
    def fit(cls, batch: Batch, chunk: Tensor, binary: bool) -> Scaling:
        """From demonstrations and their ``(B, HORIZON, 8)`` chunks in the base frame."""
        parts: list[Tensor] = []
        ranges: list[Range] = []
        for values in vector(batch):
            low, high = values.amin(0), values.amax(0)
            kept = torch.nonzero(high - low > _CONSTANT)[:, 0]
            parts.append(kept)
            ranges.append(Range(low[kept], high[kept]))
        relative = actions.relative(chunk.float(), batch["tool"].float())
        action = Range(relative.amin(0), relative.amax(0))
        return cls(ranges[0], ranges[1], parts[0], parts[1], action, binary)

    def observe(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """``(B, S)`` the arm and ``(B, E)`` everything else, in [-1, 1] if seen before."""
        state, environment = vector(batch)
        return (
            self.state.apply(state[:, self.kept_state]),
            self.environment.apply(environment[:, self.kept_environment]),
        )

    def to_policy(self, chunk: Tensor, tool: Tensor) -> Tensor:
        """Base-frame chunks ``(B, HORIZON, 8)`` as the policy is to predict them."""
        return self.action.apply(actions.relative(chunk, tool))

    def to_base(self, predicted: Tensor, tool: Tensor) -> Tensor:
        """The inverse of :meth:`to_policy`; a gripper that is a switch is switched, as in ours."""
        found = self.action.invert(predicted)
        if self.binary:
            opening = torch.where(found[..., GRIPPER] < 0, -1.0, 1.0)
            found = torch.cat([found[..., :9], opening], dim=-1)
        return actions.absolute(found, tool)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            **{f"{n}.{e}": getattr(getattr(self, n), e) for n in _RANGES for e in ("low", "high")},
            "kept_state": self.kept_state,
            "kept_environment": self.kept_environment,
            "binary": self.binary,
        }

    @classmethod
    def from_state(cls, found: dict[str, Any]) -> Scaling:
        """The inverse of :meth:`state_dict`."""
        ranges = {n: Range(found[f"{n}.low"], found[f"{n}.high"]) for n in _RANGES}
        return cls(
            kept_state=found["kept_state"],
            kept_environment=found["kept_environment"],
            binary=found["binary"],
            **ranges,
        )


_RANGES = ("state", "environment", "action")
