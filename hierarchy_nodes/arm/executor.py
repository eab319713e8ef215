"""From proposed chunks to safe setpoints: the part of the arm node that decides."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from hardware.base import ArmCapabilities, ArmState, JointCommand
from hierarchy_nodes.arm.checks import check_chunk
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.arm.limits import JointLimits
from hierarchy_nodes.arm.reference import ReferenceFollower, Workspace
from hierarchy_nodes.arm.rotations import rotation_between
from hierarchy_nodes.arm.trajectory import ChunkTrajectory, Start
from hierarchy_nodes.errors import ChunkRejected, ConfigError
from hierarchy_nodes.types import ActionChunk, Array, Correction, CorrectionKind, Pose, StrEnum

# A setpoint this far outside the workspace, and going further, is not sent.
_WORKSPACE_SLACK = 0.005
# Nearer than this to where a chunk wanted it, in metres, the tool is on the chunk's way.
_ON_PATH = 0.005
# The measured state must disagree with the setpoint for this long before it is believed.
_DEVIATION_TIME = 0.1
# A joint that moved further than it can, by this many radians, was put elsewhere.
_JUMP = 0.15
_AT_REST = 1e-3
_MIN_SPEED, _MAX_SPEED = 0.1, 2.0


class ArmPhase(StrEnum):
    """What the executor is doing."""

    IDLE = "idle"
    BUSY = "busy"
    HOLDING = "holding"
    STOPPED = "stopped"


@dataclass
class ExecutorStatistics:
    """Counts since the start, and the last of each kind in words."""

    accepted: int = 0
    rejected: int = 0
    last_rejection: str = ""
    restarts: int = 0
    last_restart: str = ""
    failures: int = 0
    last_failure: str = ""
    ik_seconds: float = 0.0
    path_error: float = 0.0


class ChunkExecutor:
    """Executes the newest chunk; free of ROS, deterministic, driven by the caller's clock.

    Args:
        config: Limits and time-outs.
        kinematics: Of the arm.
        capabilities: What the driver says about the device; the stricter limit counts.

    Attributes:
        speed: Factor on the pace of chunks.
        paused: Whether a person asked to wait.
        reason: Why the arm does not move; empty while it follows a chunk.
        statistics: For diagnostics.

    Raises:
        ConfigError: Driver and URDF name different joints.
    """

    def __init__(
        self, config: ArmConfig, kinematics: Kinematics, capabilities: ArmCapabilities
    ) -> None:
        if tuple(capabilities.joint_names) != tuple(kinematics.joint_names):
            raise ConfigError(
                f"arm driver has joints {', '.join(capabilities.joint_names)}; "
                f"the URDF has {', '.join(kinematics.joint_names)}."
            )
        self.config = config
        self.kinematics = kinematics
        self.limits = JointLimits(
            np.maximum(kinematics.lower, capabilities.lower),
            np.minimum(kinematics.upper, capabilities.upper),
            np.minimum(kinematics.max_velocity, capabilities.max_velocity)
            * config.joint_speed_scale,
            np.minimum(kinematics.max_acceleration, capabilities.max_acceleration),
        )
        self.workspace = Workspace(config, kinematics)
        self.statistics = ExecutorStatistics()
        self.speed = config.speed
        self.paused = False
        self.reason = "no chunk yet"
        self._follower = ReferenceFollower(config, self.workspace)
        self._stopped: str | None = None
        self._held: str | None = None
        self._validity: tuple[str, float] | None = None
        self._newest = -np.inf
        self._trajectory: ChunkTrajectory | None = None
        self._position = 0.0
        self._arrived = -np.inf
        self._last: float | None = None
        self._q: Array | None = None
        self._qd: Array = np.zeros(len(kinematics.joint_names))
        self._tool: Pose | None = None
        self._gripper: float | None = None
        self._deviating: float | None = None
        self._measured: ArmState | None = None

    # What others ask for.

    @property
    def state(self) -> ArmPhase:
        """Idle before the first chunk; stopped until `reset_stop`."""
        if self._stopped is not None:
            return ArmPhase.STOPPED
        if not self.reason:
            return ArmPhase.BUSY
        if self._trajectory is None and not self.paused and self._held is None:
            return ArmPhase.IDLE
        return ArmPhase.HOLDING

    @property
    def stop_reason(self) -> str | None:
        """Why the arm is stopped; None if it is not."""
        return self._stopped

    def submit(self, chunk: ActionChunk, now: float) -> None:
        """Take `chunk` in place of the one before.

        Raises:
            ChunkRejected: It failed the checks, or the arm is stopped. The old one goes on.
        """
        try:
            if self._stopped is not None:
                raise ChunkRejected(f"arm is stopped ({self._stopped}); call reset_stop first.")
            chunk = self.workspace.within(check_chunk(chunk, now, self.config, self._newest))
        except ChunkRejected as error:
            self.statistics.rejected += 1
            self.statistics.last_rejection = str(error)
            raise
        self.statistics.accepted += 1
        self._newest = chunk.stamp
        # Since the observation the arm has gone on at the present pace, not at the chunk's. The
        # position is that of the last step; the next one adds the time since.
        pace = 0.0 if self.paused else self.speed
        last = now if self._last is None else self._last
        position = (last - chunk.stamp) * pace
        start = self._start(position)
        self._position = position
        self._trajectory = ChunkTrajectory(chunk, self.config.smoothing, start)
        self._arrived = now

    def _start(self, position: float) -> Start | None:
        """How the arm moves now, which is at `position` of the next chunk."""
        if self._tool is None or self._gripper is None:
            return None
        half = max(self.config.smoothing / 2, 1e-3)
        old, here = self._trajectory, self._tool.quaternion
        if old is not None and not self.reason and self.statistics.path_error < _ON_PATH:
            times, points = old.polyline(self._position - half, self._position + half, here)
            times = times + (position - self._position)
        else:
            velocity = np.concatenate([self._follower.linear, self._follower.angular])
            way = half * velocity / self.speed
            now = np.concatenate([self._tool.position, np.zeros(3)])
            times = np.array([position - half, position + half])
            points = np.array([now - way, now + way])
        return Start(times, points, here, self._gripper)

    def stop(self, reason: str) -> None:
        """Flush everything and brake at the limit; latched until `reset_stop`."""
        if self._stopped is None:
            self._stopped = reason or "stop"
        self._flush()

    def reset_stop(self, measured: ArmState) -> None:
        """Allow motion again, from the measured state."""
        self.restart(measured, "stop was reset")
        self._stopped = None
        self.paused = False

    def restart(self, measured: ArmState, why: str, gripper: bool = False) -> None:
        """Forget the chunk and all motion, and go on from where the arm really is.

        The gripper keeps its setpoint, so that a held thing is not let go, unless `gripper` asks
        for the measured opening too.
        """
        self._flush()
        if gripper:
            self._gripper = None
        self._note_restart(why)
        self._anchor(measured)

    def pause(self) -> None:
        """Wait, keeping everything ready."""
        self.paused = True

    def resume(self) -> None:
        """Go on with the newest chunk."""
        self.paused = False

    def correct(self, correction: Correction) -> None:
        """Pause, go on or change the pace; other corrections change nothing here."""
        if correction.kind == CorrectionKind.PAUSE:
            self.pause()
        elif correction.kind == CorrectionKind.RESUME:
            self.resume()
        elif correction.kind == CorrectionKind.SPEED:
            self.set_speed(self.speed * correction.speed_factor)

    def set_speed(self, factor: float) -> None:
        """Pace of chunks, 1 = as proposed; limited to [0.1, 2], and never past the limits."""
        self.speed = min(max(float(factor), _MIN_SPEED), _MAX_SPEED)

    def hold(self, reason: str | None) -> None:
        """Hold for `reason` until called again with None."""
        self._held = reason

    def set_validity(self, plan_id: str, valid_until: float) -> None:
        """Chunks that follow plan `plan_id` are good until then."""
        self._validity = (plan_id, valid_until)

    def take_over(self, other: ChunkExecutor) -> None:
        """Go on with what a person asked of `other`, but with none of its motion."""
        self.statistics, self.speed, self.paused = other.statistics, other.speed, other.paused
        self._validity, self._newest = other._validity, other._newest
        self._note_restart("the arm was connected again")

    # The loop.

    def step(self, now: float, measured: ArmState) -> JointCommand:
        """The setpoint to send now. Never raises: whatever is wrong, the arm brakes and holds.

        Where no good state was ever measured the setpoint is not finite, which drivers refuse.
        """
        elapsed = 0.0 if self._last is None else now - self._last
        self._last = now
        nominal = 1.0 / self.config.rate_hz
        # After a hiccup the arm makes one normal step; it does not catch up.
        dt = min(max(elapsed, 0.2 * nominal), 2 * nominal) if np.isfinite(elapsed) else nominal
        try:
            return self._step(now, measured, dt, max(0.0, min(elapsed, 1.0)))
        except Exception as error:  # noqa: BLE001 - counted and told in diagnostics
            self.statistics.failures += 1
            self.statistics.last_failure = f"{type(error).__name__}: {error}"
            self.reason = self.statistics.last_failure
            if self._q is None:
                return self._nothing()
            return self._brake(dt)

    def _nothing(self) -> JointCommand:
        return JointCommand(np.full_like(self._qd, np.nan), np.zeros_like(self._qd), 0.0)

    def _step(self, now: float, measured: ArmState, dt: float, elapsed: float) -> JointCommand:
        stale = self._stale(now, measured)
        if self._q is None:
            if stale:
                self.reason = stale
                return self._nothing()
            self._anchor(measured)
        elif not stale:
            self._check_measured(now, measured)
        self.reason = self._stopped or stale or self._why_hold(now)
        trajectory = self._trajectory
        if self.reason or trajectory is None:
            return self._brake(dt)
        return self._follow(trajectory, dt, elapsed)

    def _stale(self, now: float, measured: ArmState) -> str:
        if not (np.isfinite(measured.positions).all() and np.isfinite(measured.gripper)):
            return "the measured state is not finite"
        if not now - measured.stamp <= self.config.max_state_age:
            return "the measured state is stale"
        return ""

    def _why_hold(self, now: float) -> str:
        if self._held is not None:
            return self._held
        if self.paused:
            return "paused"
        if self._trajectory is None:
            return "no chunk yet"
        if self._validity is not None:
            plan_id, until = self._validity
            if plan_id == self._trajectory.plan_id and now > until:
                return f"plan {plan_id} expired"
        age = now - self._arrived
        if not age <= self.config.chunk_timeout:
            return "no new chunk"
        return ""

    def _follow(self, trajectory: ChunkTrajectory, dt: float, elapsed: float) -> JointCommand:
        assert self._q is not None
        assert self._tool is not None
        assert self._gripper is not None
        self._position += self.speed * elapsed
        before, _ = trajectory.sample(self._position - self.speed * dt)
        after, opening = trajectory.sample(self._position)
        target = self._follower.next_pose(self._tool, before, after, dt)
        low, high = self.limits.window(self._q, self._qd, dt)
        begin = time.perf_counter()
        velocities = self.kinematics.velocities_towards(self._q, target, dt, low, high)
        self.statistics.ik_seconds = time.perf_counter() - begin
        q = self._q + velocities * dt
        tool = self.kinematics.forward(q)
        excess = self.workspace.excess(tool)
        if excess > _WORKSPACE_SLACK and excess > self.workspace.excess(self._tool):
            self.reason = "the tool would leave the workspace"
            return self._brake(dt)
        self.statistics.path_error = math.dist(after.position, tool.position)
        # What the joints could not do must not be counted as speed.
        self._follower.linear = (tool.position - self._tool.position) / dt
        self._follower.angular = rotation_between(self._tool.quaternion, tool.quaternion) / dt
        step = self.config.max_gripper_speed * dt
        self._gripper += min(max(opening - self._gripper, -step), step)
        self._q, self._qd, self._tool = q, velocities, tool
        return JointCommand(q, velocities, self._gripper)

    def _brake(self, dt: float) -> JointCommand:
        assert self._q is not None
        assert self._gripper is not None
        if np.abs(self._qd).max() > 0.0:
            velocities, share = self.limits.brake(self._qd, dt)
            if np.abs(velocities).max() < _AT_REST:
                velocities, share = np.zeros_like(velocities), 0.0
            q = self._q + velocities * dt
            self._q = np.minimum(np.maximum(q, self.limits.lower), self.limits.upper)
            self._qd = velocities
            self._tool = self.kinematics.forward(self._q)
            self._follower.scale(share)
        return JointCommand(self._q, self._qd, self._gripper)

    def _check_measured(self, now: float, measured: ArmState) -> None:
        """Start again from the measured state where it disagrees with the setpoints."""
        last, self._measured = self._measured, measured
        if last is not None and last is not measured:
            moved = np.abs(measured.positions - last.positions)
            possible = _JUMP + 2 * self.limits.velocity * max(0.0, measured.stamp - last.stamp)
            if (moved > possible).any():
                self.restart(measured, "the measured state jumped", gripper=True)
        assert self._q is not None
        deviation = np.abs(measured.positions - self._q)
        worst = int(np.argmax(deviation))
        if deviation[worst] <= self.config.max_deviation:
            self._deviating = None
        elif self._deviating is None:
            self._deviating = now
        elif now - self._deviating > _DEVIATION_TIME:
            name = self.kinematics.joint_names[worst]
            self._note_restart(f"{name} was {deviation[worst]:.2f} rad from its setpoint")
            self._anchor(measured)

    def _anchor(self, measured: ArmState) -> None:
        # Limits apply to setpoints; an arm found beyond one starts at it.
        positions = np.array(measured.positions, dtype=float)
        self._q = np.minimum(np.maximum(positions, self.limits.lower), self.limits.upper)
        self._qd = np.zeros_like(self._q)
        self._tool = self.kinematics.forward(self._q)
        if self._gripper is None:
            self._gripper = float(np.clip(measured.gripper, 0.0, 1.0))
        self._follower.halt()
        self._deviating = None
        self._measured = measured

    def _note_restart(self, why: str) -> None:
        self.statistics.restarts += 1
        self.statistics.last_restart = why

    def _flush(self) -> None:
        self._trajectory = None
        self._position = 0.0
        self._arrived = -np.inf
