"""Language motions out of tool movement, RT-H's way: signed dimensions, small ones dropped.

Belkhale et al., "RT-H: Action Hierarchies Using Language" (2024), section III: what changes most
is named first, what changes less than a threshold not at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.geometry import yaw_of
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.motions import AXES
from hierarchy_nodes.types import Array


@dataclass(frozen=True)
class MotionOptions:
    """Below these, a dimension of a chunk's movement has no name."""

    distance: float = param(0.015, "Along one axis", unit="m", low=0.0, high=0.2)
    share: float = param(0.35, "... and of the longest axis", low=0.0, high=1.0)
    turn: float = param(0.15, "About the approach axis", unit="rad", low=0.0, high=3.0)
    gripper: float = param(0.3, "Change of the opening", low=0.0, high=1.0)


def name_motion(
    tool: Array, gripper: float, chunk: Array, options: MotionOptions | None = None
) -> str:
    """ "move arm forward and up, close gripper": what `chunk` does, most of it first.

    Args:
        tool: ``(7,)`` position and quaternion before.
        gripper: Opening before.
        chunk: ``(N, 8)`` position, quaternion, opening.
        options: Thresholds.
    """
    o = options or MotionOptions()
    way = np.asarray(chunk[-1, :3]) - tool[:3]
    longest = float(np.abs(way).max())
    # Sizes are compared in thresholds, so that metres, radians and openings can be ranked.
    found: list[tuple[float, str]] = []
    axes = [
        (abs(float(x)), AXES[i][0 if x > 0 else 1])
        for i, x in enumerate(way)
        if abs(x) > max(o.distance, o.share * longest)
    ]
    axes.sort(reverse=True)
    if axes:
        found.append((axes[0][0] / o.distance, "move arm " + " and ".join(n for _, n in axes)))
    turn = yaw_change(tool[3:7], np.asarray(chunk[-1, 3:7]))
    if abs(turn) > o.turn:
        side = "left" if turn > 0 else "right"
        found.append((abs(turn) / o.turn, f"rotate gripper {side}"))
    change = float(chunk[-1, 7]) - gripper
    closing = float(np.min(chunk[:, 7])) - gripper
    if abs(closing) > abs(change):
        change = closing
    # Squeezing what is already held is no motion.
    moving = abs(change) > o.gripper and not (change < 0 and gripper < 0.9 and longest > o.distance)
    if moving:
        words = "open gripper" if change > 0 else "close gripper"
        found.append((abs(change) / o.gripper, words))
    found.sort(key=lambda pair: -pair[0])
    return ", ".join(words for _, words in found) or "hold arm"


def yaw_change(before: Array, after: Array) -> float:
    """Radians about the base z axis between two tool orientations, in (-pi, pi]."""
    change = yaw_of(np.asarray(after, dtype=float)) - yaw_of(np.asarray(before, dtype=float))
    return (change + math.pi) % (2 * math.pi) - math.pi
