"""Follow a moving tool pose within limits of speed, acceleration, workspace and table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.arm.limits import braking_speed, clip_norm
from hierarchy_nodes.arm.rotations import rotated, rotation_between
from hierarchy_nodes.types import ActionChunk, Array, Pose

# Rate in 1/s at which an error beside the path is taken back.
_GAIN = 15.0
# Share of the acceleration limit with which an approach is braked; the rest is in reserve.
_BRAKING = 0.6


class Workspace:
    """The box of the tool frame, and the table that no corner of the hand may touch."""

    def __init__(self, config: ArmConfig, kinematics: Kinematics) -> None:
        self.lower = np.array(config.workspace_lower)
        self.upper = np.array(config.workspace_upper)
        self.floor = config.table_height + config.table_clearance
        self._kinematics = kinematics

    def clamp(self, pose: Pose) -> Pose:
        """The nearest allowed position with the same orientation."""
        position = np.minimum(np.maximum(pose.position, self.lower), self.upper)
        clamped = Pose(position, pose.quaternion)
        position[2] += self.depth(clamped)
        return clamped

    def within(self, chunk: ActionChunk) -> ActionChunk:
        """The nearest allowed positions with the same orientations.

        Done before a chunk is smoothed, so that the tool comes to a boundary as gently as it turns.
        """
        poses = zip(chunk.positions, chunk.quaternions, strict=True)
        return replace(chunk, positions=np.array([self.clamp(Pose(*p)).position for p in poses]))

    def depth(self, pose: Pose) -> float:
        """Metres by which the lowest corner of the hand is below the least height; 0 above."""
        return max(0.0, self.floor - self._kinematics.lowest(pose))

    def excess(self, pose: Pose) -> float:
        """Metres by which a pose is outside; 0 within."""
        beyond = np.maximum(self.lower - pose.position, pose.position - self.upper)
        return max(*beyond.tolist(), self.depth(pose))

    def speeds(self, pose: Pose, deceleration: float, dt: float) -> tuple[Array, Array]:
        """Least and greatest velocity ``(3,)`` in m/s that can still stop at the boundary."""
        rooms = np.array([pose.position - self.lower, self.upper - pose.position])
        rooms[0, 2] = min(rooms[0, 2], self._kinematics.lowest(pose) - self.floor)
        down, up = braking_speed(rooms, deceleration, dt)
        return -down, up


class ReferenceFollower:
    """The velocity of the tool, from where it is to where it should be.

    Feed-forward of the reference's own motion plus an error term that is limited to what can be
    braked, then the limits of speed and acceleration, then the workspace.
    """

    def __init__(self, config: ArmConfig, workspace: Workspace) -> None:
        self._config = config
        self._workspace = workspace
        self.linear: Array = np.zeros(3)
        self.angular: Array = np.zeros(3)

    def halt(self) -> None:
        """Forget all motion."""
        self.linear, self.angular = np.zeros(3), np.zeros(3)

    def scale(self, share: float) -> None:
        """The tool was braked to `share` of its speed."""
        self.linear, self.angular = self.linear * share, self.angular * share

    def next_pose(self, tool: Pose, before: Pose, after: Pose, dt: float) -> Pose:
        """Where the tool should be in `dt` seconds.

        Args:
            tool: Where it is now.
            before, after: The reference, now and in `dt` seconds.
        """
        config = self._config
        before, after = self._workspace.clamp(before), self._workspace.clamp(after)
        self.linear = _track(
            before.position - tool.position,
            (after.position - before.position) / dt,
            self.linear,
            config.max_speed,
            config.max_acceleration,
            dt,
        )
        low, high = self._workspace.speeds(tool, config.max_acceleration, dt)
        self.linear = np.minimum(np.maximum(self.linear, low), high)
        self.angular = _track(
            rotation_between(tool.quaternion, before.quaternion),
            rotation_between(before.quaternion, after.quaternion) / dt,
            self.angular,
            config.max_angular_speed,
            config.max_angular_acceleration,
            dt,
        )
        quaternion = rotated(tool.quaternion, self.angular * dt)
        pose = Pose(tool.position + self.linear * dt, quaternion)
        # Turning the hand can lower a finger tip: lift it, but no faster than the tool may move.
        lift = min(self._workspace.depth(pose), config.max_speed * dt)
        pose.position[2] += lift
        return pose


def _track(
    error: Array, feedforward: Array, velocity: Array, speed: float, acceleration: float, dt: float
) -> Array:
    distance = math.sqrt(float(error @ error))
    if distance > 1e-9:
        closing = min(
            _GAIN * distance, math.sqrt(2 * _BRAKING * acceleration * distance), distance / dt
        )
        feedforward = feedforward + error * (closing / distance)
    wanted = clip_norm(feedforward, speed)
    return velocity + clip_norm(wanted - velocity, acceleration * dt)
