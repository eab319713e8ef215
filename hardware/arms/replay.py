"""An arm that does again what a recording says it did."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hardware.arms.mock import DeviceEvent
from hardware.base import ArmCapabilities, ArmDriver, ArmState, JointCommand
from hierarchy_nodes.arm.description import load_description
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.recorder import reader
from hierarchy_nodes.types import Array

DEVICE_LOG_LENGTH = 1000


@dataclass(frozen=True)
class ReplayArmOptions:
    """Settings of the replayed arm."""

    recording: str = param("", "Folder or file of the recording (MCAP)")
    topic: str = param("joint_states", "Topic with the joint states, in whatever namespace")
    urdf: str = param("", "URDF of the arm that was recorded; empty for the stack's own")
    loop: bool = param(True, "Begin again at the end; otherwise the last state stays")
    rate: float = param(1.0, "Speed of the replay", unit="x", low=0.05, high=20.0)


@dataclass(frozen=True)
class Track:
    """Recorded states: times ``(T,)`` s from 0, positions and velocities ``(T, N)``, gripper."""

    times: Array
    positions: Array
    velocities: Array
    gripper: Array


def load_track(options: ReplayArmOptions, names: tuple[str, ...], gripper: str) -> Track:
    """All joint states of a recording, joints in the order of `names`.

    Raises:
        RecordingError: There is no such recording or topic, or it has no such joints.
    """
    topic = reader.find_topic(options.recording, options.topic)
    decode = reader.Decoder()
    times: list[float] = []
    rows: list[Array] = []
    order: list[int] = []
    for record in reader.records(options.recording, [topic]):
        message = decode(record)
        if not order:
            missing = [name for name in (*names, gripper) if name not in message.name]
            if missing:
                raise reader.RecordingError(
                    f"Recording '{options.recording}': {topic} has no joint {', '.join(missing)}. "
                    f"There: {', '.join(message.name)}."
                )
            order = [message.name.index(name) for name in (*names, gripper)]
        velocity = np.array(message.velocity, dtype=float)
        velocity = velocity if len(velocity) == len(message.name) else np.zeros(len(message.name))
        stamp = message.header.stamp
        times.append(stamp.sec + stamp.nanosec * 1e-9)
        rows.append(np.stack([np.array(message.position, dtype=float)[order], velocity[order]]))
    stamps, data = np.array(times), np.array(rows)
    ordered = np.argsort(stamps, kind="stable")
    stamps, data = stamps[ordered], data[ordered]
    return Track(stamps - stamps[0], data[:, 0, :-1], data[:, 1, :-1], data[:, 0, -1])


class ReplayArm(ArmDriver):
    """Follows the recording whatever it is told; what it is told is kept in `device_log`.

    It stands still after `stop`, and when commands that had come cease for longer than the
    watchdog's time; the next command lets it go on from where it stood.

    Attributes:
        device_log: The newest commands and stops, oldest first.
    """

    Options = ReplayArmOptions

    def __init__(self, options: ReplayArmOptions, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options)
        self.device_log: deque[DeviceEvent] = deque(maxlen=DEVICE_LOG_LENGTH)
        self._clock = clock
        self._description = load_description(options.urdf or None)
        self._track: Track | None = None
        self._elapsed = 0.0
        self._ticked = 0.0
        self._commanded: float | None = None
        self._stopped = False

    @property
    def capabilities(self) -> ArmCapabilities:
        return self._description.capabilities()

    def connect(self) -> None:
        arm = self._description
        try:
            self._track = load_track(self.options, arm.joint_names, arm.gripper_joint)
        except reader.RecordingError as error:
            raise DriverError(f"replay arm: {error}") from error
        self._elapsed, self._ticked = 0.0, self._clock()
        self._commanded, self._stopped = None, False

    def disconnect(self) -> None:
        self._track = None

    def read_state(self, max_age: float = 0.1) -> ArmState:
        track, now = self._connected(), self._clock()
        moving = self._advance(now)
        index = int(np.searchsorted(track.times, self._elapsed, side="right")) - 1
        # A gap in the recording is a gap in the replay; past the end or frozen, nothing is late.
        late = moving and index + 1 < len(track.times)
        age = (self._elapsed - track.times[index]) / self.options.rate if late else 0.0
        if age > max_age:
            raise StaleReadError("replay arm", age, max_age)
        still = np.zeros_like(track.velocities[index])
        velocities = track.velocities[index] * self.options.rate if moving else still
        gripper = float(np.clip(track.gripper[index], 0.0, 1.0))
        return ArmState(now - age, track.positions[index], velocities, gripper)

    def command(self, command: JointCommand) -> JointCommand:
        self._connected()
        arm = self._description
        shape = arm.lower.shape
        values = np.concatenate(
            [np.ravel(command.positions), np.ravel(command.velocities), [command.gripper]]
        )
        if not np.all(np.isfinite(values)):
            raise DriverError("replay arm: the command is not finite.")
        if np.shape(command.positions) != shape or np.shape(command.velocities) != shape:
            raise DriverError(f"replay arm: a command has {shape[0]} joints.")
        now = self._clock()
        self._advance(now)
        sent = JointCommand(
            np.clip(command.positions, arm.lower, arm.upper),
            np.clip(command.velocities, -arm.max_velocity, arm.max_velocity),
            float(np.clip(command.gripper, 0.0, 1.0)),
        )
        self._stopped = False
        self._commanded = now
        self._log(now, "command", sent)
        return sent

    def stop(self) -> None:
        self._connected()
        now = self._clock()
        self._advance(now)
        self._stopped = True
        state = self.read_state(max_age=float("inf"))
        self._log(now, "stop", JointCommand(state.positions, state.velocities, state.gripper))

    def _log(self, now: float, kind: str, sent: JointCommand) -> None:
        event = DeviceEvent(now, kind, sent.positions, sent.velocities, sent.gripper)
        self.device_log.append(event)

    def _connected(self) -> Track:
        if self._track is None:
            raise DriverError("replay arm: not connected.")
        return self._track

    def _advance(self, now: float) -> bool:
        """Let the recording run on to `now`; tells whether it runs."""
        track = self._connected()
        end = float(track.times[-1])
        until = now
        if self._commanded is not None:
            until = min(now, self._commanded + self._description.watchdog)
        runs = not self._stopped and until == now
        if not self._stopped:
            self._elapsed += max(0.0, until - self._ticked) * self.options.rate
        self._ticked = now
        if self._elapsed >= end:
            self._elapsed = self._elapsed % end if self.options.loop and end > 0 else end
        return runs and (self.options.loop or self._elapsed < end)
