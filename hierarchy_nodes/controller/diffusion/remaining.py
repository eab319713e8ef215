"""What is still to go of a spoken displacement: the same account in training and on the robot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from transforms3d import quaternions

from hierarchy_nodes.types import Array, Gripper, LanguageMotion, Pose

# As much as anybody is meant when no distance is named, and as much as is obeyed, metres.
DEFAULT_DISTANCE, MAX_DISTANCE = 0.03, 0.3
# Nearer than this counts as travelled: metres and radians.
THERE, TURNED = 0.003, 0.03
# A correction of the gripper alone is in force for this long, seconds.
GRIP_TIME = 1.0


@dataclass(frozen=True)
class Remaining:
    """Of the correction in force.

    Attributes:
        direction: ``(3,)`` unit vector towards what is left, base frame, or zeros.
        distance: Metres along it.
        rotation: Radians about the tool's approach axis.
        gripper: What is asked of the fingers.
        weight: Of the newest correction.
        seconds: Until it is due.
    """

    direction: Array
    distance: float
    rotation: float
    gripper: Gripper
    weight: float
    seconds: float = math.inf


class CorrectionAccount:
    """Adds up corrections, and takes off what the tool has travelled since they began.

    A correction ends when its displacement has been travelled or when `valid_until` passes;
    one that comes while another is under way is added to what is left of that.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing is asked for."""
        self._key: tuple[str, float, str] | None = None
        self._open = False
        self._goal = np.zeros(3)
        self._turn = 0.0
        self._start: Array | None = None
        self._gripper, self._weight = Gripper.KEEP, 1.0
        self._until = self._grip_until = 0.0

    @property
    def active(self) -> bool:
        """Whether the last call of :meth:`update` found something left to do."""
        return self._open

    @property
    def key(self) -> tuple[str, float, str] | None:
        """Which correction is in force, None for none."""
        return self._key if self._open else None

    def knows(self, motion: LanguageMotion) -> bool:
        """Whether `motion` is the newest that was taken in, in force or not."""
        return self._key == _key_of(motion)

    def skip(self, motion: LanguageMotion) -> None:
        """Somebody else has seen to `motion`."""
        self._key, self._open = _key_of(motion), False

    def update(self, motion: LanguageMotion | None, tool: Pose, now: float) -> Remaining | None:
        """What is left at `now` with the tool at `tool`; None where nothing is.

        Args:
            motion: The newest; only those with the source ``correction`` count. It may be given
                again and again.
            tool: Measured, base frame.
            now: Seconds.
        """
        if motion is not None and self._is_new(motion, now):
            self._key = _key_of(motion)
            self._add(motion, tool, now)
        if not self._open:
            return None
        left, turn = self._left(tool)
        distance = float(np.linalg.norm(left))
        moved = distance < THERE and abs(turn) < TURNED
        gripper = self._gripper if now <= self._grip_until or not moved else Gripper.KEEP
        if now > self._until or (moved and gripper == Gripper.KEEP):
            self._open = False
            return None
        direction = left / distance if distance >= THERE else np.zeros(3)
        distance = distance if distance >= THERE else 0.0
        return Remaining(direction, distance, turn, gripper, self._weight, self._until - now)

    def _is_new(self, motion: LanguageMotion, now: float) -> bool:
        valid = motion.source == "correction" and now <= motion.valid_until
        return valid and not self.knows(motion)

    def _add(self, motion: LanguageMotion, tool: Pose, now: float) -> None:
        left, turn = self._left(tool) if self._open else (np.zeros(3), 0.0)
        if not self._open:
            self._gripper = Gripper.KEEP
        direction = np.asarray(motion.direction, dtype=float)
        size = float(np.linalg.norm(direction))
        wanted = motion.distance if motion.distance > 0 else DEFAULT_DISTANCE
        offset = direction / size * min(wanted, MAX_DISTANCE) if size > 1e-6 else np.zeros(3)
        # From here on the account starts at the present tool pose.
        self._start = np.array([*tool.position, *tool.quaternion])
        self._goal = left + offset
        self._turn = turn + float(np.clip(motion.rotation, -math.pi, math.pi))
        if motion.gripper != Gripper.KEEP:
            self._gripper, self._grip_until = motion.gripper, now + GRIP_TIME
        self._weight, self._until = motion.weight, motion.valid_until
        self._open = True

    def _left(self, tool: Pose) -> tuple[Array, float]:
        assert self._start is not None
        left = self._goal - (tool.position - self._start[:3])
        between = quaternions.qmult(quaternions.qconjugate(self._start[3:]), tool.quaternion)
        # Twist about the tool's z axis, in (-pi, pi].
        turned = 2 * math.atan2(between[3], between[0])
        turned = (turned + math.pi) % (2 * math.pi) - math.pi
        left_turn = self._turn - turned
        if abs(self._turn) > math.pi / 2 and abs(left_turn) > math.pi:
            # Half turns: the measured angle has wrapped round.
            left_turn -= math.copysign(2 * math.pi, left_turn)
        return left, left_turn


def _key_of(motion: LanguageMotion) -> tuple[str, float, str]:
    return motion.correction_id, motion.stamp, motion.text
