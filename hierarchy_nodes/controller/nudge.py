"""A correction in words ("a bit to the left"): a bounded displacement from where the tool is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hierarchy_nodes.controller.lifting import FLOOR
from hierarchy_nodes.controller.line import Line
from hierarchy_nodes.controller.route import LEAD
from hierarchy_nodes.types import Array, Gripper, LanguageMotion, Pose

MAX_DISTANCE = 0.3
MAX_ROTATION = math.pi
SETTLE = 0.15


@dataclass
class Nudge:
    """A displacement under way.

    Attributes:
        line: From where the tool was to where it is wanted.
        offset: ``(3,)`` metres since the first of several corrections in a row.
        rotation: Radians about the approach axis, likewise.
        gripper: Opening asked for, or None.
        until: A correction of the gripper alone is kept until then.
        text: In the person's words.
    """

    line: Line
    offset: Array
    rotation: float
    gripper: float | None
    until: float
    text: str
    s: float = 0.0
    speed: float = 0.0

    def advance(self, seconds: float, tool: Array) -> None:
        """Move on, but do not run away from the tool at ``(3,)``."""
        way, rate = self.line.advance(self.s, self.speed, np.array([0.0, seconds]))
        measured, _ = self.line.nearest(tool, float(way[1]), 0.15)
        self.s, self.speed = min(float(way[1]), measured + LEAD), float(rate[1])

    def ahead(self, times: Array) -> list[Pose]:
        """The poses at `times` (N seconds from now)."""
        return [self.line.pose(s) for s in self.line.advance(self.s, self.speed, times)[0]]

    def over(self, now: float) -> bool:
        """Whether the displacement has been travelled and the gripper has had its time."""
        return self.s >= self.line.length - 1e-4 and now >= self.until


def begin(
    motion: LanguageMotion,
    before: Nudge | None,
    pose: Pose,
    now: float,
    *,
    default_distance: float,
    speed: float,
    acceleration: float,
) -> Nudge:
    """Add `motion` to the nudge under way, or start one at `pose`."""
    goal = before.line.poses[-1] if before is not None else pose
    direction = np.asarray(motion.direction, dtype=float)
    size = float(np.linalg.norm(direction))
    distance = motion.distance if motion.distance > 0 else default_distance
    offset = direction / size * min(distance, MAX_DISTANCE) if size > 1e-6 else np.zeros(3)
    # Down to the table's clearance, or not at all from below it.
    offset[2] = max(offset[2], min(0.0, FLOOR - goal.position[2]))
    rotation = float(np.clip(motion.rotation, -MAX_ROTATION, MAX_ROTATION))
    # A right-hand turn about the tool's z axis, which points away from the arm.
    turned = quaternions.qmult(goal.quaternion, euler2quat(0.0, 0.0, rotation))
    target = Pose(goal.position + offset, turned / np.linalg.norm(turned))
    line = Line([pose, target], [speed], [(0.0, 0.0)], acceleration)
    gripper = {Gripper.OPEN: 1.0, Gripper.CLOSE: 0.0}.get(motion.gripper)
    still = size <= 1e-6 and abs(rotation) < 1e-6
    wait = min(max(motion.valid_until - now, 0.5), 2.0) if still and gripper is not None else SETTLE
    if before is not None:
        offset, rotation = before.offset + offset, before.rotation + rotation
        gripper = before.gripper if gripper is None else gripper
    return Nudge(line, offset, rotation, gripper, now + wait, motion.text)
