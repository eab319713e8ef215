"""What the policy leaves undone of a spoken displacement is added to its chunk."""

from __future__ import annotations

import numpy as np

from hierarchy_nodes.controller.diffusion.features import PERIOD, TIMES
from hierarchy_nodes.controller.diffusion.remaining import Remaining
from hierarchy_nodes.controller.lifting import FLOOR
from hierarchy_nodes.types import Array

# How fast the arm is led where the policy hesitates, m/s.
SPEED = 0.15
# The arm is so much behind what it is told, seconds.
LAG = 0.2


def obeyed(chunk: Array, tool: Array, remaining: Remaining, weights: Array | None = None) -> Array:
    """The chunk ``(N, 8)``, but not behind what was asked for.

    What was asked for is the displacement that is left, travelled evenly until it is due, less the
    arm's lag. Where the policy is ahead of that, or aside of it, the chunk stays as it is.

    Args:
        chunk: Base frame, metres.
        tool: ``(3,)`` measured position.
        remaining: Of the correction.
        weights: ``(N,)`` of the actions that are decided already, as ``warm.prefix_weights``.
    """
    if remaining.distance <= 0:
        return chunk
    decided = np.zeros(len(chunk)) if weights is None else weights
    along = (chunk[:, :3] - tool) @ remaining.direction
    # From where the decided actions lead.
    held = np.flatnonzero(decided >= 1.0)
    first, begun = (TIMES[held[-1]], along[held[-1]]) if len(held) else (0.0, 0.0)
    left = remaining.distance - begun
    needed = max(remaining.seconds - LAG - first, abs(left) / SPEED, PERIOD)
    due = begun + left * np.clip((TIMES - first) / needed, 0.0, 1.0)
    short = np.maximum(due - along, 0.0) * (1.0 - decided)
    moved = chunk.copy()
    moved[:, :3] += short[:, None] * remaining.direction
    # Not into the table, unless the policy goes there.
    moved[:, 2] = np.maximum(moved[:, 2], np.minimum(chunk[:, 2], FLOOR))
    return moved
