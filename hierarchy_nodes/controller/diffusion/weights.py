"""What belongs to the weights of the diffusion policy, and how both are read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from hierarchy_nodes import weights
from hierarchy_nodes.controller.diffusion import actions
from hierarchy_nodes.controller.diffusion.actions import Normalisation
from hierarchy_nodes.controller.diffusion.features import (
    CHANNELS,
    HORIZON,
    PATH_POINTS,
    PERIOD,
    POINTS,
)
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, NetworkConfig
from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError, UnknownNameError

# What the network was built for; other values in a file mean another version of this package.
LAYOUT = {"points": POINTS, "path_points": PATH_POINTS, "horizon": HORIZON, "period": PERIOD}
_STATISTICS = ("mean", "scale", "bound")
_KEYS = ("network", "schedule", "channels", "vocabulary", "normalisation")


@dataclass(frozen=True)
class PolicyConfig:
    """What belongs to a set of weights.

    Attributes:
        network: Sizes.
        vocabulary: Known words; the place is the number less 2.
        channels: Which of `features.CHANNELS` the policy was trained with.
        normalisation: Of the actions.
        training: Facts about how they were made, for people.
    """

    network: NetworkConfig
    vocabulary: list[str]
    normalisation: Normalisation
    channels: tuple[str, ...] = CHANNELS
    training: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        statistics = {name: getattr(self.normalisation, name).tolist() for name in _STATISTICS}
        return {
            "format": weights.FORMAT,
            "layout": LAYOUT,
            "network": asdict(self.network),
            "schedule": {"kind": "cosine", "levels": self.network.levels},
            "channels": list(self.channels),
            "vocabulary": self.vocabulary,
            "normalisation": {"binary": self.normalisation.binary} | statistics,
            "training": self.training,
        }


def default_path() -> Path:
    """Of the weights that come with the package."""
    return share_folder() / "config" / "weights" / "controller.safetensors"


def load_weights(path: Path) -> tuple[DiffusionNetwork, PolicyConfig]:
    """The network, ready to infer, and what belongs to it.

    Raises:
        ConfigError: A file is missing or broken, or the two do not belong together; names the
            file, the thing that is wrong and what would be right.
    """
    config = load_config(path.with_suffix(".json"))
    return weights.load_into(DiffusionNetwork(config.network), path), config


def load_config(path: Path) -> PolicyConfig:
    """What belongs to a set of weights; ConfigError as :func:`load_weights`."""
    data = weights.load_about(path, "controller", LAYOUT, _KEYS)
    network = weights.section(path, data, "network", NetworkConfig)
    if data["schedule"] != {"kind": "cosine", "levels": network.levels}:
        raise ConfigError(
            f"{path}: schedule {data['schedule']} does not fit a network trained with the cosine "
            f"schedule and {network.levels} levels."
        )
    for channel in data["channels"]:
        if channel not in CHANNELS:
            raise UnknownNameError(f"channel in {path}", str(channel), CHANNELS)
    return PolicyConfig(
        network,
        weights.vocabulary(path, data, network.vocabulary),
        _normalisation(path, data["normalisation"]),
        tuple(data["channels"]),
        dict(data.get("training", {})),
    )


def _normalisation(path: Path, data: dict[str, Any]) -> Normalisation:
    found = {}
    for name in _STATISTICS:
        if name not in data:
            raise ConfigError(
                f"{path}: normalisation.{name} is missing: without statistics the actions would "
                "be meaningless."
            )
        try:
            value = torch.tensor(data[name], dtype=torch.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: normalisation.{name}: {error}.") from error
        if value.shape != (HORIZON, actions.SIZE):
            raise ConfigError(
                f"{path}: normalisation.{name} has shape {tuple(value.shape)}, "
                f"expected {(HORIZON, actions.SIZE)}."
            )
        if not torch.isfinite(value).all():
            raise ConfigError(f"{path}: normalisation.{name} contains NaN or infinity.")
        if name == "scale" and not (value > 0).all():
            raise ConfigError(f"{path}: normalisation.scale must be positive everywhere.")
        found[name] = value
    return Normalisation(**found, binary=bool(data.get("binary", False)))
