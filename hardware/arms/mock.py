"""An ideal arm without physics, for tests of everything above the driver."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hardware.base import ArmCapabilities, ArmDriver, ArmState, JointCommand
from hierarchy_nodes.arm.description import load_description
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.types import Array


@dataclass(frozen=True)
class MockOptions:
    """Options of the mock arm; the last four inject faults."""

    urdf: str = param("", "URDF that names the joints; empty: the stack's own arm")
    watchdog: float = param(
        0.1, "Seconds without a command after which it holds", unit="s", low=0.01, high=10.0
    )
    log_path: str = param("", "File to which each line that reached the device is appended")
    refused_connects: int = param(0, "So many first calls of connect fail", low=0, high=1000)
    drop_after: float = param(
        0.0, "Lose the connection once, so long after connect; 0: never", unit="s", low=0.0
    )
    stale_after: float = param(
        0.0, "Measure nothing new from so long after connect; 0: never", unit="s", low=0.0
    )
    stale_for: float = param(1e9, "How long that lasts", unit="s", low=0.0)


class DeviceEvent(NamedTuple):
    """What reached the device: ``command`` or ``stop`` or ``watchdog``, and its numbers."""

    stamp: float
    kind: str
    positions: Array
    velocities: Array
    gripper: float


class MockArm(ArmDriver):
    """Follows setpoints as fast as the joints' speed limits allow.

    Time is real, but motion is computed only when somebody looks.

    Attributes:
        device_log: The newest events at the device boundary, oldest first.
    """

    Options = MockOptions

    def __init__(self, options: MockOptions) -> None:
        super().__init__(options)
        self._description = load_description(options.urdf or None)
        self.device_log: deque[DeviceEvent] = deque(maxlen=10_000)
        self._lock = threading.Lock()
        self._connected = False
        self._refuse = options.refused_connects
        self._dropped = False
        self._stale_at = float("inf")
        self._drop_at = float("inf")
        self._file: Any = None
        self._positions = self._description.home.copy()
        self._velocities = np.zeros_like(self._positions)
        self._gripper = 1.0
        self._target = JointCommand(self._positions, self._velocities, 1.0)
        self._moved = self._commanded = time.time()
        self._holding = True
        self._frozen: ArmState | None = None

    @property
    def capabilities(self) -> ArmCapabilities:
        return self._description.capabilities(self.options.watchdog)

    def connect(self) -> None:
        if self._refuse > 0:
            self._refuse -= 1
            raise DriverError("mock arm: connection refused (fault injected).")
        if self.options.log_path and self._file is None:
            self._file = Path(self.options.log_path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
        now = time.time()
        if self.options.drop_after and not self._dropped:
            self._drop_at = now + self.options.drop_after
        if self.options.stale_after:
            self._stale_at = now + self.options.stale_after
        self._connected = True

    def disconnect(self) -> None:
        self._connected = False
        if self._file is not None:
            self._file.close()
            self._file = None

    def inject_drop(self) -> None:
        """Lose the connection now."""
        self._drop_at = 0.0

    def inject_stale(self) -> None:
        """Measure nothing new from now on."""
        self._stale_at = time.time()

    def place(self, positions: Array) -> None:
        """Put the joints elsewhere, as if somebody had pushed the arm."""
        with self._lock:
            self._advance(time.time())
            self._positions = np.array(positions, dtype=float)
            self._target = JointCommand(self._positions, self._velocities * 0, self._gripper)

    def read_state(self, max_age: float = 0.1) -> ArmState:
        with self._lock:
            now = self._alive()
            self._advance(now)
            state = ArmState(now, self._positions.copy(), self._velocities.copy(), self._gripper)
            if self._stale_at <= now < self._stale_at + self.options.stale_for:
                self._frozen = state = self._frozen or state
                if now - state.stamp > max_age:
                    raise StaleReadError("mock arm", now - state.stamp, max_age)
            return state

    def command(self, command: JointCommand) -> JointCommand:
        with self._lock:
            now = self._alive()
            positions = np.asarray(command.positions, dtype=float)
            velocities = np.asarray(command.velocities, dtype=float)
            if positions.shape != self._positions.shape or velocities.shape != positions.shape:
                raise DriverError(
                    f"mock arm: command has {positions.size} joints, expected "
                    f"{self._positions.size}."
                )
            numbers = (*positions, *velocities, command.gripper)
            if not np.isfinite(numbers).all():
                raise DriverError("mock arm: command is not finite.")
            self._advance(now)
            limit = self._description.max_velocity
            sent = JointCommand(
                np.clip(positions, self._description.lower, self._description.upper),
                np.clip(velocities, -limit, limit),
                float(np.clip(command.gripper, 0.0, 1.0)),
            )
            self._target, self._commanded, self._holding = sent, now, False
            self._log(now, "command", sent)
            return sent

    def stop(self) -> None:
        with self._lock:
            now = self._alive()
            self._advance(now)
            self._hold(now, "stop")

    def _alive(self) -> float:
        now = time.time()
        if now >= self._drop_at:
            self._connected, self._dropped, self._drop_at = False, True, float("inf")
        if not self._connected:
            raise DriverError("mock arm: not connected.")
        return now

    def _advance(self, now: float) -> None:
        """Move towards the setpoint for the time since the last call, until the watchdog bites."""
        bite = self._commanded + self.options.watchdog
        if not self._holding and now > bite:
            self._move(bite)
            self._hold(bite, "watchdog")
        self._move(now)

    def _move(self, now: float) -> None:
        dt = now - self._moved
        if dt <= 0:
            return
        self._moved = now
        step = self._description.max_velocity * dt
        change = np.clip(self._target.positions - self._positions, -step, step)
        self._positions = self._positions + change
        # An ideal arm that is on its setpoint moves as the setpoint does.
        on_target = np.abs(self._target.positions - self._positions) < 1e-9
        self._velocities = np.where(on_target, self._target.velocities, change / dt)
        grip = self._description.max_gripper_velocity * dt
        self._gripper += float(np.clip(self._target.gripper - self._gripper, -grip, grip))

    def _hold(self, now: float, why: str) -> None:
        # The shortest way to rest: v^2 / 2a beyond where each joint is. v is the setpoint's: an
        # ideal arm that is catching up with a new setpoint is far faster for a moment.
        ahead = self._target.velocities * np.abs(self._target.velocities)
        rest = self._positions + ahead / (2 * self._description.max_acceleration)
        if self._holding:
            rest = self._positions
        rest = np.clip(rest, self._description.lower, self._description.upper)
        zero = np.zeros_like(rest)
        self._target = JointCommand(rest, zero, self._target.gripper)
        self._velocities = zero
        self._holding = True
        self._log(now, why, self._target)

    def _log(self, now: float, kind: str, sent: JointCommand) -> None:
        event = DeviceEvent(now, kind, sent.positions, sent.velocities, sent.gripper)
        self.device_log.append(event)
        if self._file is not None:
            line = {
                "stamp": now,
                "kind": kind,
                "positions": [round(float(v), 6) for v in sent.positions],
                "velocities": [round(float(v), 6) for v in sent.velocities],
                "gripper": sent.gripper,
            }
            self._file.write(json.dumps(line) + "\n")
