"""Weights on disk: a safetensors file, and beside it a JSON file that says what they belong to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

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
from hierarchy_nodes.files import whole, write_json

FORMAT = 1
# What the network was built for; other values in a file mean another version of this package.
LAYOUT = {"points": POINTS, "path_points": PATH_POINTS, "horizon": HORIZON, "period": PERIOD}
_STATISTICS = ("mean", "scale", "bound")
_KEYS = ("format", "layout", "network", "schedule", "channels", "vocabulary", "normalisation")


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
            "format": FORMAT,
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


def save_weights(path: Path, config: PolicyConfig, state: dict[str, Tensor]) -> None:
    """Write both files; each appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with whole(path) as draft:
        draft.write_bytes(save(tensors))
    write_json(path.with_suffix(".json"), config.to_json())


def load_weights(path: Path) -> tuple[DiffusionNetwork, PolicyConfig]:
    """The network, ready to infer, and what belongs to it.

    Raises:
        ConfigError: A file is missing or broken, or the two do not belong together; names the
            file, the thing that is wrong and what would be right.
    """
    config = load_config(path.with_suffix(".json"))
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path}: no weights can be read: {error}.") from error
    network = DiffusionNetwork(config.network)
    expected = network.state_dict()
    for name in sorted(expected.keys() | state.keys()):
        if name not in state:
            raise ConfigError(f"{path}: '{name}' is missing.")
        if name not in expected:
            raise ConfigError(f"{path}: '{name}' belongs to no part of the network in the config.")
        if state[name].shape != expected[name].shape:
            raise ConfigError(
                f"{path}: '{name}' has shape {tuple(state[name].shape)}, the network in the "
                f"config needs {tuple(expected[name].shape)}."
            )
        if not torch.isfinite(state[name]).all():
            raise ConfigError(f"{path}: '{name}' contains NaN or infinity.")
    network.load_state_dict(state)
    return network.eval().requires_grad_(False), config


def load_config(path: Path) -> PolicyConfig:
    """What belongs to a set of weights.

    Raises:
        ConfigError: As :func:`load_weights`.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Train with 'hierarchy train controller', "
            "or name another file in weights."
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected an object at the top.")
    for key in _KEYS:
        if key not in data:
            raise ConfigError(f"{path}: '{key}' is missing; needed are {', '.join(_KEYS)}.")
    if data["format"] != FORMAT:
        raise ConfigError(f"{path}: format {data['format']!r} is not the known {FORMAT}.")
    if data["layout"] != LAYOUT:
        raise ConfigError(f"{path}: layout {data['layout']} is not this version's {LAYOUT}.")
    known = [f.name for f in fields(NetworkConfig)]
    for key in data["network"]:
        if key not in known:
            raise UnknownNameError(f"key of network in {path}", key, known)
    network = NetworkConfig(**data["network"])
    if data["schedule"] != {"kind": "cosine", "levels": network.levels}:
        raise ConfigError(
            f"{path}: schedule {data['schedule']} does not fit a network trained with the cosine "
            f"schedule and {network.levels} levels."
        )
    for channel in data["channels"]:
        if channel not in CHANNELS:
            raise UnknownNameError(f"channel in {path}", str(channel), CHANNELS)
    if len(data["vocabulary"]) != network.vocabulary:
        raise ConfigError(
            f"{path}: vocabulary has {len(data['vocabulary'])} words, the network was built for "
            f"{network.vocabulary}."
        )
    return PolicyConfig(
        network,
        list(data["vocabulary"]),
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
