"""How closely the tool follows a path: a 20 cm line and a 90 degree turn at normal speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from hardware.base import ArmCapabilities, ArmState, JointCommand
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.executor import ChunkExecutor
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.geometry import angle_between, slerp, top_down
from hierarchy_nodes.types import ActionChunk, Array, Pose


class Plant(Protocol):
    """What carries out setpoints: the simulated cell, or an ideal arm."""

    @property
    def time(self) -> float: ...

    @property
    def capabilities(self) -> ArmCapabilities: ...

    def arm_state(self) -> ArmState: ...

    def command(self, command: JointCommand) -> object: ...

    def step(self, seconds: float) -> object: ...


class IdealArm:
    """An arm that is where it was told to be one step later."""

    def __init__(self, kinematics: Kinematics) -> None:
        joints = len(kinematics.joint_names)
        self.time = 0.0
        self.capabilities = kinematics.description.capabilities()
        self._at = JointCommand(kinematics.home.copy(), np.zeros(joints), 1.0)

    def arm_state(self) -> ArmState:
        return ArmState(self.time, self._at.positions, self._at.velocities, self._at.gripper)

    def command(self, command: JointCommand) -> None:
        self._at = command

    def step(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class TrackingReport:
    """Errors of the measured tool along the path, after the approach to its start.

    Attributes:
        position_max, position_mean: Metres from the nearest point of the path.
        timed_max: Metres from where the path is at the same moment.
        angle_max, angle_mean: Radians from the orientation at the nearest point.
        samples: How many control steps were measured.
        speed: m/s along the path.
    """

    position_max: float
    position_mean: float
    timed_max: float
    angle_max: float
    angle_mean: float
    samples: int
    speed: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class ReferencePath:
    """Poses at times: ``(K,)`` seconds, ``(K, 3)`` metres, ``(K, 4)`` quaternions."""

    times: Array
    positions: Array
    quaternions: Array

    def at(self, time: float) -> Pose:
        """The pose at `time`, clamped to the ends."""
        clamped = min(max(time, float(self.times[0])), float(self.times[-1]))
        index = min(int(np.searchsorted(self.times, clamped, "right")) - 1, len(self.times) - 2)
        span = self.times[index + 1] - self.times[index]
        part = (clamped - self.times[index]) / span
        position = (1 - part) * self.positions[index] + part * self.positions[index + 1]
        return Pose(position, slerp(self.quaternions[index], self.quaternions[index + 1], part))


def line_and_turn(speed: float, corner: Array, length: float = 0.2) -> ReferencePath:
    """Along x for `length` metres to `corner`, then a right angle and as far along y.

    The tool turns by 30 degrees about the vertical on the second leg.
    """
    start = corner - np.array([length, 0, 0])
    end = corner + np.array([0, length, 0])
    poses = [top_down(start), top_down(corner), top_down(end, np.deg2rad(30))]
    times = np.array([0.0, length, 2 * length]) / speed
    return ReferencePath(
        times, np.array([p.position for p in poses]), np.array([p.quaternion for p in poses])
    )


def measure_tracking(
    plant: Plant | None = None,
    config: ArmConfig | None = None,
    speed: float = 0.15,
    corner: tuple[float, float, float] = (0.55, -0.05, 0.15),
    chunk_period: float = 0.064,
    chunk_seconds: float = 0.8,
) -> TrackingReport:
    """Drive `plant` through :func:`line_and_turn` in overlapping chunks, as a controller would.

    Args:
        plant: Default: an ideal arm, which shows the errors of the executor alone.
        config: Default: the arm node's defaults.
        speed: Along the path, m/s.
        corner: Of the path, base frame, metres.
        chunk_period: Seconds between chunks.
        chunk_seconds: Length of each.
    """
    config = config or ArmConfig()
    kinematics = Kinematics(config.urdf or None)
    arm: Plant = plant if plant is not None else IdealArm(kinematics)
    executor = ChunkExecutor(config, kinematics, arm.capabilities)
    path = line_and_turn(speed, np.array(corner))
    dt = 1.0 / config.rate_hz
    _approach(arm, executor, kinematics, path.at(0.0), dt)
    begin = arm.time
    rows: list[tuple[float, float, float]] = []

    def measure() -> None:
        state = arm.arm_state()
        pose = kinematics.forward(state.positions)
        nearest = _nearest(path, pose.position)
        timed = path.at(state.stamp - begin)
        rows.append(
            (
                float(np.linalg.norm(pose.position - nearest.position)),
                float(np.linalg.norm(pose.position - timed.position)),
                angle_between(pose.quaternion, nearest.quaternion),
            )
        )

    def chunk(now: float) -> ActionChunk:
        times: Array = np.arange(0.0, chunk_seconds, 0.05, dtype=np.float64)
        return _chunk(now, times, [path.at(now - begin + t) for t in times])

    _drive(arm, executor, chunk, float(path.times[-1]), dt, chunk_period, measure)
    nearest_error, timed_error, angle = np.array(rows).T
    return TrackingReport(
        position_max=float(nearest_error.max()),
        position_mean=float(nearest_error.mean()),
        timed_max=float(timed_error.max()),
        angle_max=float(angle.max()),
        angle_mean=float(angle.mean()),
        samples=len(rows),
        speed=speed,
    )


def _approach(
    arm: Plant, executor: ChunkExecutor, kinematics: Kinematics, target: Pose, dt: float
) -> None:
    def there() -> bool:
        pose = kinematics.forward(arm.arm_state().positions)
        return float(np.linalg.norm(pose.position - target.position)) < 1e-3

    def chunk(now: float) -> ActionChunk:
        return _chunk(now, np.array([0.0, 0.5]), [target, target])

    for _ in range(20):
        _drive(arm, executor, chunk, 0.5, dt, 0.064, lambda: None)
        if there():
            break


def _drive(
    arm: Plant,
    executor: ChunkExecutor,
    chunk: Callable[[float], ActionChunk],
    seconds: float,
    dt: float,
    period: float,
    after_step: Callable[[], None],
) -> None:
    end, due = arm.time + seconds, arm.time
    while arm.time < end - dt / 2:
        now = arm.time
        if now >= due:
            executor.submit(chunk(now), now)
            due += period
        arm.command(executor.step(now, arm.arm_state()))
        arm.step(dt)
        after_step()


def _chunk(stamp: float, times: Array, poses: list[Pose]) -> ActionChunk:
    return ActionChunk(
        stamp=stamp,
        image_stamp=stamp,
        plan_id="tracking",
        times=times,
        positions=np.array([p.position for p in poses]),
        quaternions=np.array([p.quaternion for p in poses]),
        gripper=np.ones(len(times)),
        source="tracking",
    )


def _nearest(path: ReferencePath, point: Array) -> Pose:
    """The pose on the path nearest to a point."""
    starts, spans = path.positions[:-1], np.diff(path.positions, axis=0)
    parts = np.sum((point - starts) * spans, axis=1) / np.sum(spans * spans, axis=1)
    parts = parts.clip(0, 1)
    distances = np.linalg.norm(starts + parts[:, None] * spans - point, axis=1)
    i = int(np.argmin(distances))
    return path.at(float(path.times[i] + parts[i] * (path.times[i + 1] - path.times[i])))
