"""Weights on disk: a safetensors file, and beside it a JSON file that says what they belong to."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.files import whole, write_json
from hierarchy_nodes.planner.compact import lexicon
from hierarchy_nodes.planner.compact.inputs import (
    BEFORE,
    HEIGHT,
    INTERACTIONS,
    PATH_POINTS,
    STATE,
    STATUSES,
    WIDTH,
)
from hierarchy_nodes.planner.compact.network import CompactNetwork, NetworkConfig

FORMAT = 1
# What the network was built for; other values in a file mean another version of this package.
LAYOUT = {
    "image": [WIDTH, HEIGHT],
    "state": STATE,
    "before": BEFORE,
    "path_points": PATH_POINTS,
    "word": lexicon.SIZE,
    "statuses": list(STATUSES),
    "interactions": [str(i) for i in INTERACTIONS],
}
_KEYS = ("format", "layout", "network", "vocabulary", "calibration")


@dataclass(frozen=True)
class Calibration:
    """From what the network thinks of its answer to how often such answers are right.

    ``1 / (1 + exp(-(slope * logit(raw) + offset)))``, fitted on held-out images; 1 / slope is a
    temperature (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2).
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, raw: float) -> float:
        raw = min(max(raw, 1e-6), 1 - 1e-6)
        return 1 / (1 + math.exp(-(self.slope * math.log(raw / (1 - raw)) + self.offset)))


@dataclass(frozen=True)
class PlannerWeights:
    """What belongs to a set of weights.

    Attributes:
        network: Sizes.
        vocabulary: Known words.
        calibration: Of the confidence.
        training: Facts about how they were made, for people.
    """

    network: NetworkConfig
    vocabulary: list[str]
    calibration: Calibration = field(default_factory=Calibration)
    training: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "format": FORMAT,
            "layout": LAYOUT,
            "network": asdict(self.network),
            "vocabulary": self.vocabulary,
            "calibration": asdict(self.calibration),
            "training": self.training,
        }


def default_path() -> Path:
    """Of the weights that come with the package."""
    return share_folder() / "config" / "weights" / "planner.safetensors"


def save_weights(path: Path, config: PlannerWeights, state: dict[str, Tensor]) -> None:
    """Write both files; each appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with whole(path) as draft:
        draft.write_bytes(save(tensors))
    write_json(path.with_suffix(".json"), config.to_json())


def load_weights(path: Path) -> tuple[CompactNetwork, PlannerWeights]:
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
    network = CompactNetwork(config.network)
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


def load_config(path: Path) -> PlannerWeights:
    """What belongs to a set of weights; ConfigError as :func:`load_weights`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Train with 'hierarchy train planner', "
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
    for name, kind in (("network", NetworkConfig), ("calibration", Calibration)):
        known = [f.name for f in fields(kind)]
        for key in data[name]:
            if key not in known:
                raise UnknownNameError(f"key of {name} in {path}", key, known)
    network = NetworkConfig(**data["network"])
    calibration = Calibration(**data["calibration"])
    if not all(map(math.isfinite, (calibration.slope, calibration.offset))):
        raise ConfigError(f"{path}: calibration {data['calibration']} is not finite.")
    if len(data["vocabulary"]) != network.vocabulary:
        raise ConfigError(
            f"{path}: vocabulary has {len(data['vocabulary'])} words, the network was built for "
            f"{network.vocabulary}."
        )
    return PlannerWeights(
        network, list(data["vocabulary"]), calibration, dict(data.get("training", {}))
    )
