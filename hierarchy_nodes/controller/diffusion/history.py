"""What one observation cannot show: what was already done of the plan.

A button looks the same before and after it was pressed, and so does the arm above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.geometry import beside_segment
from hierarchy_nodes.types import Array, Gripper, PathPoint, Role, Segments

# A point counts as passed when the tool's image comes this near, in image units.
PASSED_NEAR = 0.025
# The distance told where the tool has not yet come near the target, metres.
FAR = 0.5
# The fingers have closed below, have opened above these openings.
_CLOSED, _OPENED = 0.9, 0.5
# The tool is over the target if it is this near to its middle, metres, seen from above.
_OVER = 0.04


@dataclass(frozen=True)
class Done:
    """What has happened since the plan came.

    Attributes:
        passed: How many points of the path the tool has passed, in their order.
        closest: How near the tool has come to the top of the target, metres, at most `FAR`.
        pressed: How far the tool has gone down over the target, below the top that it had at first,
            metres; NaN where the target was never seen.
    """

    passed: int = 0
    closest: float = FAR
    pressed: float = math.nan


class History:
    """Watches the tool go along one plan."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new plan."""
        self._done = Done()
        self._top: Array | None = None

    def update(
        self,
        path: Sequence[PathPoint],
        image: Array | None,
        tool: Array,
        gripper: float,
        segments: Segments | None,
    ) -> Done:
        """Take in one observation.

        Args:
            path: As the policy sees it.
            image: ``(2,)`` the tool in the image that the path was drawn on; None without one.
            tool: ``(3,)`` metres, base frame.
            gripper: Opening in [0, 1].
            segments: Of this plan.
        """
        done = self._done
        passed, closest, pressed = done.passed, done.closest, done.pressed
        if image is not None:
            points = [np.array([p.x, p.y]) for p in path]
            while passed < len(points) and self._over(path, points, passed, image, gripper):
                passed += 1
        target = segments.role(Role.TARGET) if segments is not None else None
        if target is not None and not target.lost:
            top = target.centroid + np.array([0.0, 0.0, target.size[2] / 2])
            closest = min(closest, float(np.linalg.norm(tool - top)))
            if self._top is None:
                self._top, pressed = top, 0.0
        if self._top is not None and np.linalg.norm(tool[:2] - self._top[:2]) < _OVER:
            pressed = max(pressed, float(self._top[2] - tool[2]))
        self._done = Done(passed, closest, pressed)
        return self._done

    @staticmethod
    def _over(
        path: Sequence[PathPoint], points: list[Array], k: int, image: Array, gripper: float
    ) -> bool:
        """Whether point `k`, the next one, is behind the tool."""
        event = path[k].gripper
        if event == Gripper.CLOSE and gripper > _CLOSED:
            return False
        if event == Gripper.OPEN and gripper < _OPENED:
            return False
        if np.linalg.norm(image - points[k]) < PASSED_NEAR:
            return True
        if not 0 < k < len(points) - 1:
            return k == 0
        # Cut the corner: clearly nearer to the way after the point, and well along it.
        before, _ = beside_segment(image, points[k - 1], points[k])
        after, share = beside_segment(image, points[k], points[k + 1])
        return after < before - PASSED_NEAR and share > 0.2
