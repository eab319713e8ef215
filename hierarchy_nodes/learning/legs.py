"""A list of tool poses to go through, and where that brings the tool when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.controller.diffusion.features import HORIZON, PERIOD
from hierarchy_nodes.geometry import angle_between, slerp
from hierarchy_nodes.types import Array, Gripper, Pose

# Well within the arm's limits (arm/config.py): m/s, m/s^2, rad/s.
TRAVEL, CONTACT, ACCELERATION, TURNING = 0.28, 0.10, 3.0, 1.3
# m/s^2. Each chunk starts at the measured tool, which follows with some delay: planned to brake
# harder than this, it would overshoot.
_BRAKE = 0.7
_TICK = 0.02
# A corner is cut by so much; a stop is reached to this: metres, radians.
_CORNER, _STOP, _STRAIGHT = 0.012, 0.002, 0.04


@dataclass(frozen=True)
class Leg:
    """The straight way to one tool pose.

    Attributes:
        pose: Where to, base frame.
        grip: Opening asked for on the way, and at the end.
        speed: Greatest, m/s.
        slow: So many metres before the end only at `CONTACT` speed.
        stop: Come to rest there.
        wait: Seconds to stay.
        event: What a drawing of this path says about the gripper there.
        key: The drawing needs this point whatever it looks like.
    """

    pose: Pose
    grip: float
    speed: float = TRAVEL
    slow: float = 0.0
    stop: bool = False
    wait: float = 0.0
    event: Gripper = Gripper.KEEP
    key: bool = False

    def at(self, pose: Pose) -> Leg:
        return replace(self, pose=pose)


def look_ahead(pose: Pose, velocity: Array, legs: Sequence[Leg]) -> Array:
    """Where the tool will be: ``(HORIZON, 8)`` position, quaternion, gripper opening.

    A point mass with limited acceleration pursues one leg's end after the other; the first row is
    one `PERIOD` ahead.

    Args:
        pose: Of the tool now.
        velocity: ``(3,)`` of the tool now, m/s.
        legs: At least one; after the last the tool stays.
    """
    out = np.empty((HORIZON, 8))
    p, v = pose.position.tolist(), velocity.tolist()
    quaternion = pose.quaternion
    index, waited = 0, 0.0
    leg = legs[0]
    turn = angle_between(quaternion, leg.pose.quaternion)
    every = round(PERIOD / _TICK)
    for tick in range(HORIZON * every):
        away = [float(t) - x for t, x in zip(leg.pose.position, p, strict=True)]
        distance = math.sqrt(sum(a * a for a in away))
        last = index + 1 == len(legs)
        if distance < (_STOP if leg.stop or last else _CORNER) and turn < _STRAIGHT:
            waited += _TICK
            if waited > leg.wait and not last:
                index, waited = index + 1, 0.0
                leg = legs[index]
                turn = angle_between(quaternion, leg.pose.quaternion)
                away = [float(t) - x for t, x in zip(leg.pose.position, p, strict=True)]
                distance = math.sqrt(sum(a * a for a in away))
        speed = _speed(leg, distance, _corner_speed(legs, index, away, distance))
        wanted = [a / distance * speed for a in away] if distance > 1e-9 else [0.0, 0.0, 0.0]
        change = [w - x for w, x in zip(wanted, v, strict=True)]
        size = math.sqrt(sum(c * c for c in change))
        share = min(1.0, ACCELERATION * _TICK / size) if size > 1e-12 else 0.0
        v = [x + share * c for x, c in zip(v, change, strict=True)]
        p = [x + y * _TICK for x, y in zip(p, v, strict=True)]
        if turn > 1e-6:
            step = min(turn, TURNING * _TICK)
            quaternion = slerp(quaternion, leg.pose.quaternion, step / turn)
            turn -= step
        if (tick + 1) % every == 0:
            row = (tick + 1) // every - 1
            out[row, :3], out[row, 3:7], out[row, 7] = p, quaternion, leg.grip
    return out


def _speed(leg: Leg, distance: float, end: float) -> float:
    brake = 2 * _BRAKE
    allowed = min(leg.speed, math.sqrt(end * end + brake * distance), distance / _TICK + end)
    if leg.slow > 0:
        before = max(0.0, distance - leg.slow)
        allowed = min(allowed, math.sqrt(CONTACT * CONTACT + brake * before))
    return allowed


def _corner_speed(legs: Sequence[Leg], index: int, away: Sequence[float], far: float) -> float:
    """What is left of the speed at the end of a leg: all of it straight on, none in a stop."""
    leg = legs[index]
    if leg.stop or index + 1 == len(legs) or far < 1e-6:
        return 0.0
    following = legs[index + 1]
    ahead = following.pose.position - leg.pose.position
    length = float(np.linalg.norm(ahead))
    if length < 1e-6:
        return 0.0
    along = sum(float(a) * float(b) for a, b in zip(away, ahead, strict=True)) / (far * length)
    return min(leg.speed, following.speed) * max(0.1, along)
