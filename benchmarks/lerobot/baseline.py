"""LeRobot's DiffusionPolicy, as it comes. The only module that needs the `lerobot` package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hierarchy_nodes.controller.diffusion import actions
from hierarchy_nodes.controller.diffusion.features import HORIZON
from hierarchy_nodes.errors import ConfigError, UnknownNameError

_STATE, _ENVIRONMENT, _ACTION = "observation.state", "observation.environment_state", "action"


@dataclass(frozen=True)
class Size:
    """A U-Net, and how it is trained: LeRobot's preset but for what is named here.

    Attributes:
        widths: ``down_dims``; None for LeRobot's own.
        rate: Highest learning rate; None for LeRobot's own.
    """

    widths: tuple[int, ...] | None = None
    rate: float | None = None


# The one that LeRobot comes with is made for GPUs and camera images; the small one is of our
# network's size and gets our learning rate, which suits it better.
SIZES = {"default": Size(), "small": Size((64, 128, 256), 5e-4)}
# Steps of each sampler; 100 is what it is trained with.
SAMPLERS = {"DDPM": 100, "DDIM": 10}


def policy_class() -> Any:
    """``lerobot``'s DiffusionPolicy.

    Raises:
        ConfigError: It is not installed.
    """
    _declare_operators()
    try:
        from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    except ImportError as error:
        raise ConfigError(
            f"LeRobot cannot be imported ({error}): run benchmarks/lerobot/setup, and start with "
            "benchmarks/lerobot/run."
        ) from error
    return DiffusionPolicy


class Baseline(nn.Module):
    """LeRobot's policy on observations without images.

    Args:
        size: One of `SIZES`.
        sampler: One of `SAMPLERS`.
        state, environment: Lengths of the two parts of the observation.
    """

    def __init__(self, size: str, state: int, environment: int, sampler: str = "DDIM") -> None:
        super().__init__()
        policy = policy_class()
        if size not in SIZES:
            raise UnknownNameError("size", size, SIZES)
        if sampler not in SAMPLERS:
            raise UnknownNameError("sampler", sampler, SAMPLERS)
        from lerobot.configs.types import FeatureType, PolicyFeature
        from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig

        widths = SIZES[size].widths
        self.config = DiffusionConfig(
            # One observation, as ours; what has happened before is part of it.
            n_obs_steps=1,
            horizon=HORIZON,
            # All of them are handed out; the controller executes as many as it wants.
            n_action_steps=HORIZON,
            input_features={
                _STATE: PolicyFeature(FeatureType.STATE, (state,)),
                _ENVIRONMENT: PolicyFeature(FeatureType.ENV, (environment,)),
            },
            output_features={_ACTION: PolicyFeature(FeatureType.ACTION, (actions.SIZE,))},
            noise_scheduler_type=sampler,
            num_inference_steps=SAMPLERS[sampler],
            device="cpu",
            **({} if widths is None else {"down_dims": widths}),
        )
        self.policy = policy(self.config)
        self.rate = rate_of(size)

    def forward(self, state: Tensor, environment: Tensor, action: Tensor) -> Tensor:
        """LeRobot's loss.

        Args:
            state: ``(B, S)``.
            environment: ``(B, E)``.
            action: ``(B, HORIZON, 10)``, all in [-1, 1].
        """
        batch = self._batch(state, environment) | {
            _ACTION: action,
            "action_is_pad": torch.zeros(action.shape[:2], dtype=torch.bool),
        }
        loss: Tensor = self.policy(batch)[0]
        return loss

    def sample(self, state: Tensor, environment: Tensor) -> Tensor:
        """LeRobot's chunks ``(B, HORIZON, 10)`` in [-1, 1]."""
        found: Tensor = self.policy.diffusion.generate_actions(self._batch(state, environment))
        return found

    def optimizer(self) -> torch.optim.Optimizer:
        """LeRobot's preset."""
        c = self.config
        return torch.optim.Adam(
            self.parameters(),
            lr=self.rate,
            betas=c.optimizer_betas,
            eps=c.optimizer_eps,
            weight_decay=c.optimizer_weight_decay,
            fused=True,
        )

    @staticmethod
    def _batch(state: Tensor, environment: Tensor) -> dict[str, Tensor]:
        return {_STATE: state[:, None], _ENVIRONMENT: environment[:, None]}


def maker(size: str) -> Callable[[int, int], Baseline]:
    """Makes the network once the lengths of the observation are known."""
    return lambda state, environment: Baseline(size, state, environment)


def rate_of(size: str) -> float:
    """Its highest learning rate."""
    policy_class()
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig

    return float(SIZES[size].rate or DiffusionConfig.optimizer_lr)


def _declare_operators() -> None:
    """Let a torchvision that was built for another PyTorch be imported.

    It is needed for image encoders only, which are not used here; its compiled operators are missed
    at import.
    """
    for name in ("nms", "qnms"):
        try:
            getattr(torch.ops.torchvision, name)
        except AttributeError:
            _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))
            _LIBRARY[-1].define(
                f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )


# Operators are forgotten with the object that declared them.
_LIBRARY: list[torch.library.Library] = []
