"""The present motion in words: a small network over the tool and the path in space."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hierarchy_nodes.planner.compact.inputs import PATH_POINTS
from hierarchy_nodes.planner.motions import AXES
from hierarchy_nodes.types import Array, Gripper

# Of each path point: from the tool, three events, whether it is there, whether it is passed.
POINT = 8
SIZE = PATH_POINTS * POINT + 2
# Answers: for each axis minus, nothing, plus; for the gripper a value of `Gripper`.
SIGNS, GRIPS = 3, 3
# As ``planner.motions.MotionNamer``: how near is reached, metres; what share of a way is named.
NEAR, SHARE = 0.01, 0.4


class MotionHead(nn.Module):
    """Looks one step ahead: which way, or what the gripper does."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(SIZE, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.signs = nn.Linear(width, len(AXES) * SIGNS)
        self.grip = nn.Linear(width, GRIPS)
        self.way = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(N, SIZE)`` to logits ``(N, 3, SIGNS)``, ``(N, GRIPS)`` and directions ``(N, 3)``."""
        hidden = self.body(x)
        signs = self.signs(hidden).unflatten(1, (len(AXES), SIGNS))
        return signs, self.grip(hidden), self.way(hidden)


def motion_inputs(
    points: Array, events: NDArray, there: NDArray, passed: int, tool: Array, opening: float
) -> NDArray[np.float32]:
    """``(SIZE,)``.

    Args:
        points: ``(PATH_POINTS, 3)`` base frame, metres. events: ``(PATH_POINTS,)`` of `Gripper`.
        there: ``(PATH_POINTS,)`` which of them are points. passed: How many are behind.
        tool: ``(3,)`` metres. opening: Of the gripper.
    """
    rows = np.zeros((PATH_POINTS, POINT), dtype=np.float32)
    rows[:, :3] = (points - tool) / 0.1
    rows[np.arange(PATH_POINTS), 3 + events.astype(int)] = 1.0
    rows[:, 6] = 1.0
    rows *= there[:, None] > 0
    rows[:, 7] = np.arange(PATH_POINTS) < passed
    return np.append(rows.ravel(), [tool[2] / 0.2, opening]).astype(np.float32)


def motion_label(
    points: Array, events: NDArray, there: NDArray, passed: int, tool: Array, opening: float
) -> tuple[NDArray[np.int64], int, Array]:
    """What ``planner.motions.MotionNamer`` would say, as numbers.

    Returns:
        Sign (0, 1, 2) of each axis, event of the gripper, and the way ``(3,)`` to the next point.
    """
    count = int(there.sum())
    for i in range(max(passed, 1), count):
        way = points[i] - tool
        event = Gripper(int(events[i]))
        near = NEAR if event != Gripper.KEEP else 2.5 * NEAR
        length = float(np.linalg.norm(way))
        if length > near:
            parts = way / length
            return 1 + (np.sign(parts) * (np.abs(parts) > SHARE)).astype(np.int64), 0, way
        waiting = (event == Gripper.CLOSE and opening > 0.9) or (
            event == Gripper.OPEN and opening < 0.5
        )
        if waiting:
            return np.ones(3, dtype=np.int64), int(event), np.zeros(3)
    return np.ones(3, dtype=np.int64), 0, np.zeros(3)


def motion_words(signs: NDArray[np.int64], event: int, way: Array) -> str:
    """Text as ``planner.motions.direction_words`` gives it, the longest axis first."""
    if event != Gripper.KEEP:
        return "close gripper" if event == Gripper.CLOSE else "open gripper"
    order = np.argsort(-np.abs(way))
    named = [AXES[i][0 if signs[i] == 2 else 1] for i in order if signs[i] != 1]
    return "move arm " + " and ".join(named) if named else "hold arm"


def best(signs: Tensor, grip: Tensor) -> tuple[NDArray[np.int64], int]:
    """The likeliest answer of one row of logits."""
    return signs.argmax(-1).numpy().astype(np.int64), int(torch.argmax(grip))
