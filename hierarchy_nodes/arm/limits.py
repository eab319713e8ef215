"""How fast one may go and still stop in time, in joints and in space."""

from __future__ import annotations

import math

import numpy as np

from hierarchy_nodes.types import Array


def braking_speed(distance: Array, deceleration: Array | float, dt: float) -> Array:
    """Greatest speed for one more step of `dt` seconds that still stops within `distance`.

    Solves ``v dt + v^2 / (2 a) = d`` for v; 0 where the distance is used up. From such a speed the
    next step's answer is never more than ``a dt`` lower, so that it can be kept exactly.
    """
    room = np.maximum(distance, 0.0)
    step = deceleration * dt
    return np.sqrt(step * step + 2 * deceleration * room) - step


def clip_norm(vector: Array, limit: float) -> Array:
    """`vector` shortened to the length `limit` where it is longer."""
    length = math.sqrt(float(vector @ vector))
    return vector if length <= limit else vector * (limit / length)


class JointLimits:
    """Position, velocity and acceleration limits of N joints.

    Args:
        lower, upper: ``(N,)`` radians.
        velocity: ``(N,)`` rad/s.
        acceleration: ``(N,)`` rad/s^2.
    """

    def __init__(self, lower: Array, upper: Array, velocity: Array, acceleration: Array) -> None:
        self.lower, self.upper = lower, upper
        self.velocity, self.acceleration = velocity, acceleration

    def window(self, positions: Array, velocities: Array, dt: float) -> tuple[Array, Array]:
        """Least and greatest velocities ``(N,)`` in rad/s that the next `dt` seconds may have.

        They respect all three limits; where a position limit asks for more than the greatest
        deceleration allows, the deceleration is kept.
        """
        step = self.acceleration * dt
        slower, faster = velocities - step, velocities + step
        # Both directions at once: on arrays this short a call costs more than its numbers.
        rooms = np.array([positions - self.lower, self.upper - positions])
        down, up = np.minimum(self.velocity, braking_speed(rooms, self.acceleration, dt))
        low, high = np.maximum(-down, slower), np.minimum(up, faster)
        return np.minimum(low, faster), np.maximum(high, slower)

    def brake(self, velocities: Array, dt: float) -> tuple[Array, float]:
        """Velocities ``(N,)`` after `dt` seconds of braking, and the share of speed that is left.

        All joints come to rest together, so that the tool keeps to its path; the joint that needs
        longest brakes at its limit.
        """
        longest = float((np.abs(velocities) / self.acceleration).max())
        share = 0.0 if longest <= dt else 1.0 - dt / longest
        return velocities * share, share
