"""What belongs to the weights of the compact planner, and how both are read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hierarchy_nodes import weights
from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError
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
_KEYS = ("network", "vocabulary", "calibration")


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
            "format": weights.FORMAT,
            "layout": LAYOUT,
            "network": asdict(self.network),
            "vocabulary": self.vocabulary,
            "calibration": asdict(self.calibration),
            "training": self.training,
        }


def default_path() -> Path:
    """Of the weights that come with the package."""
    return share_folder() / "config" / "weights" / "planner.safetensors"


def load_weights(path: Path) -> tuple[CompactNetwork, PlannerWeights]:
    """The network, ready to infer, and what belongs to it.

    Raises:
        ConfigError: A file is missing or broken, or the two do not belong together; names the
            file, the thing that is wrong and what would be right.
    """
    config = load_config(path.with_suffix(".json"))
    return weights.load_into(CompactNetwork(config.network), path), config


def load_config(path: Path) -> PlannerWeights:
    """What belongs to a set of weights; ConfigError as :func:`load_weights`."""
    data = weights.load_about(path, "planner", LAYOUT, _KEYS)
    network = weights.section(path, data, "network", NetworkConfig)
    calibration = weights.section(path, data, "calibration", Calibration)
    if not all(map(math.isfinite, (calibration.slope, calibration.offset))):
        raise ConfigError(f"{path}: calibration {data['calibration']} is not finite.")
    words = weights.vocabulary(path, data, network.vocabulary)
    return PlannerWeights(network, words, calibration, dict(data.get("training", {})))
