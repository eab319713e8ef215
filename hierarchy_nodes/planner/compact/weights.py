"""What belongs to the weights of the compact planner, and how both are read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hierarchy_nodes import weights
from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.planner.compact import lexicon
from hierarchy_nodes.planner.compact.inputs import (
    BEFORE,
    INTERACTIONS,
    PATH_POINTS,
    STATE,
    STATUSES,
)
from hierarchy_nodes.planner.compact.network import HEADINGS, CompactNetwork, NetworkConfig
from hierarchy_nodes.planner.compact.text import UNKNOWN
from hierarchy_nodes.planner.compact.things import CHANNELS, CROP, GEOMETRY
from hierarchy_nodes.planner.compact.versions import PACKAGE, Versions, default_folder

# What the network was built for; other values in a file mean another version of this package.
LAYOUT = {
    "thing": [CHANNELS, CROP, GEOMETRY],
    "state": STATE,
    "before": BEFORE,
    "path_points": PATH_POINTS,
    "headings": HEADINGS,
    "word": lexicon.SIZE,
    "statuses": list(STATUSES),
    "interactions": [str(i) for i in INTERACTIONS],
}
_KEYS = ("network", "vocabulary", "calibration")
State = dict[str, Tensor]


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


@dataclass(frozen=True)
class Chosen:
    """Which weights are used.

    Attributes:
        path: Of the file. version: Of ``hierarchy learn``; `PACKAGE` if it is none of these.
        description: For logs.
    """

    path: Path
    version: int
    description: str


def chosen(option: str, versions: Versions | None = None) -> Chosen:
    """The weights that the option `weights` means.

    Args:
        option: A file; empty for the current learned version, else the package's own.
        versions: Those that are learned; None for the ones in the default folder.

    Raises:
        ConfigError: There is a current version that is none.
    """
    if option:
        path = Path(option).expanduser()
        return Chosen(path, PACKAGE, f"weights {path}")
    versions = versions or Versions(default_folder())
    number = versions.current()
    if number == PACKAGE:
        return Chosen(default_path(), PACKAGE, "weights of the package")
    about = f"learned weights, version {number} in {versions.folder}"
    return Chosen(versions.weights(number), number, about)


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


def extended(
    config: PlannerWeights, state: State, words: Iterable[str]
) -> tuple[PlannerWeights, State]:
    """The same network for more words: it takes the new ones for unknown ones as before.

    Args:
        config: What belongs to the weights.
        state: Of the network.
        words: Some may be known already; the others get the next numbers, in sorted order.
    """
    new = sorted(set(words) - set(config.vocabulary))
    vocabulary = [*config.vocabulary, *new]
    known = state["words.weight"]
    table = torch.cat([known, known[UNKNOWN].expand(len(new), -1)])
    network = replace(config.network, vocabulary=len(vocabulary))
    return replace(config, network=network, vocabulary=vocabulary), state | {"words.weight": table}
