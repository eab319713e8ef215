"""What both networks that hear "stop" are judged by, and the thresholds that come of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hierarchy_nodes.learning.plot import Curve
from hierarchy_nodes.learning.trainer import BaseTrainer

_THRESHOLDS = np.linspace(0.5, 0.98, 49)
# Of each of some sounds, whether there is a stop in it, and how sure the network is that there is.
Found = list[tuple[bool, float]]


class DetectorTrainer(BaseTrainer):
    """A run whose network says how sure it is of a stop."""

    @abstractmethod
    def look(self, count: int) -> Found:
        """Of `count` sounds that are not trained on."""

    def threshold(self, found: Found) -> float:
        """From which on it is believed."""
        return choose(found)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Sounds that are not trained on: how many stops are heard, and how much else is."""
        found = self.look(self.options.evaluate_records)
        threshold = self.threshold(found)
        heard, false = rates(found, threshold)
        values = {"heard": heard, "false": false, "threshold": threshold}
        return {"held_out": {k: round(float(v), 5) for k, v in values.items()}}

    def curves(self, looks: Sequence[dict[str, Any]]) -> list[Curve]:
        steps = [n["step"] for n in looks]
        return [(name, steps, [n["held_out"][name] for n in looks]) for name in ("heard", "false")]


def choose(found: Found) -> float:
    """The threshold at which the shares of missed stops and of false ones have the least sum.

    In doubt the higher one; 0.5 at least (Youden's index).
    """
    sure = np.array([value for _, value in found])
    stop = np.array([is_stop for is_stop, _ in found], dtype=bool)
    missed = (sure[stop] < _THRESHOLDS[:, None]).mean(1) if stop.any() else 0.0
    false = (sure[~stop] >= _THRESHOLDS[:, None]).mean(1) if not stop.all() else 0.0
    cost = np.asarray(missed + false) * np.ones(len(_THRESHOLDS))
    return float(_THRESHOLDS[len(cost) - 1 - int(cost[::-1].argmin())])


def suspicion(found: Found) -> float:
    """The probability that all stops but one of 200 reach; what is less is worth no question."""
    return quantile(found, 0.005)


def quantile(found: Found, share: float) -> float:
    """The probability that this share of the stops does not reach; 0 where there are none."""
    sure = [value for is_stop, value in found if is_stop]
    return float(np.quantile(sure, share)) if sure else 0.0


def rates(found: Found, threshold: float) -> tuple[float, float]:
    """The share of stops that are heard, and of other mixtures in which one is."""
    stops = [sure >= threshold for stop, sure in found if stop]
    others = [sure >= threshold for stop, sure in found if not stop]
    return float(np.mean(stops or [False])), float(np.mean(others or [False]))
