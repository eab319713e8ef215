"""What is carried from one chunk to the next: when the last one is a good guess, and how long
its first actions will still be executed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.controller.diffusion.features import HORIZON, PERIOD, TIMES
from hierarchy_nodes.types import Array

# A last chunk is no longer a guess for the next one after this many seconds.
MAX_GAP = 0.5
# The tool is not where the chunk led, metres; the rest is what the arm lags behind.
MAX_AWAY = 0.06
# The gripper is not where it was commanded to be: only a jump since the last observation counts.
MAX_GRIPPER_JUMP = 0.3
# The target jumped, metres.
MAX_TARGET_JUMP = 0.03


@dataclass(frozen=True)
class Last:
    """The chunk before, and what it answered.

    Attributes:
        chunk: ``(HORIZON, 8)`` base frame.
        stamp: Of its observation.
        plan_id: Of its plan.
        corrected: Which correction was in force, None for none.
        gripper: Measured.
        target: ``(3,)`` centroid of the target, or None.
    """

    chunk: Array
    stamp: float
    plan_id: str
    corrected: object | None
    gripper: float
    target: Array | None


def why_cold(
    last: Last | None,
    stamp: float,
    elapsed: float,
    plan_id: str,
    corrected: object | None,
    tool: Array,
    gripper: float,
    target: Array | None,
) -> str:
    """Why the last chunk is no guess for this one; empty if it is.

    Args:
        last: None after a reset.
        stamp: Of the new observation.
        elapsed: Seconds of the chunk that were executed since.
        plan_id, corrected, gripper, target: As in `Last`, now.
        tool: ``(3,)`` measured position, metres.
    """
    if last is None:
        return "first chunk"
    if plan_id != last.plan_id:
        return "new plan"
    if corrected != last.corrected:
        return "correction begins" if corrected is not None else "correction ends"
    gap = stamp - last.stamp
    if not 0 <= gap <= MAX_GAP:
        return f"gap of {gap:.2f} s"
    away = _distance_to(last.chunk[:, :3], tool, elapsed)
    if away > MAX_AWAY:
        return f"tool is {away * 100:.0f} cm from where it was led"
    if abs(gripper - last.gripper) > MAX_GRIPPER_JUMP + gap / 0.4:
        return "gripper jumped"
    if target is not None and last.target is not None:
        jump = float(np.linalg.norm(target - last.target))
        if jump > MAX_TARGET_JUMP:
            return f"target jumped by {jump * 100:.0f} cm"
    return ""


def prefix_weights(latency: float, soft: bool = True) -> Array | None:
    """``(HORIZON,)`` which actions will have begun when the chunk arrives; None if none will.

    An action is decided if the way to it is being travelled when the chunk arrives: its
    predecessor's time is past. Below half a period the arm blends by itself.

    Args:
        latency: Seconds from the observation to the chunk's use.
        soft: Let the next action be pulled half of the way, for an even turn.
    """
    if latency < PERIOD / 2:
        return None
    count = min(math.ceil(latency / PERIOD - 1e-6), HORIZON - 1)
    weights = np.zeros(HORIZON)
    weights[:count] = 1.0
    if soft and count < HORIZON:
        weights[count] = 0.5
    return weights


class LatencyMeter:
    """How long chunks take, as measured; forgets slow ones after a while.

    Args:
        share: The percentile that counts, in [0, 1].
        kept: How many measurements.
    """

    def __init__(self, share: float = 0.9, kept: int = 100) -> None:
        self._share = share
        self._seconds: deque[float] = deque(maxlen=kept)

    def add(self, seconds: float) -> None:
        """One more measurement."""
        self._seconds.append(seconds)

    @property
    def seconds(self) -> float:
        """The percentile; 0 before the first measurement."""
        if not self._seconds:
            return 0.0
        ordered = sorted(self._seconds)
        return ordered[min(int(self._share * len(ordered)), len(ordered) - 1)]


def _distance_to(positions: Array, tool: Array, elapsed: float) -> float:
    """How far the tool is from the way that the chunk led so far, metres."""
    near = positions[: 1 + int(np.searchsorted(TIMES, elapsed + PERIOD))]
    return float(np.linalg.norm(near - tool, axis=1).min())
