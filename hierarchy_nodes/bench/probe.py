"""An arm driver that writes down what passes through it, and when."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.base import ARMS, ArmCapabilities, ArmDriver, ArmState, JointCommand
from hierarchy_nodes.errors import DriverError
from hierarchy_nodes.parameters import param

COMMAND, STOP, STATE = 0, 1, 2
JOINTS = 7
ROW = np.dtype(
    [
        ("stamp", "f8"),
        ("kind", "f8"),
        ("positions", "f8", (JOINTS,)),
        ("velocities", "f8", (JOINTS,)),
        ("gripper", "f8"),
    ]
)


@dataclass(frozen=True)
class ProbeOptions:
    """Settings of the probe."""

    log: str = param("", "File to which each command, stop and reading is appended")
    inner: str = param("mock", "The driver that does the work")
    inner_options: list[str] = param([], "Its options, each as key=value")


@dataclass(frozen=True)
class Log:
    """Rows of `ROW` in the order in which they were written; stamps are `time.time()`."""

    rows: NDArray[np.void] = field(repr=False)

    def of(self, kind: int) -> NDArray[np.void]:
        """Rows of one kind: `COMMAND`, `STOP` or `STATE`."""
        found: NDArray[np.void] = self.rows[self.rows["kind"] == kind]
        return found

    def speeds(self, kind: int) -> NDArray[np.float64]:
        """Largest joint speed of each row of a kind, rad/s."""
        speeds: NDArray[np.float64] = np.abs(self.of(kind)["velocities"]).max(axis=1, initial=0.0)
        return speeds


def read_log(path: Path) -> Log:
    """What has been written so far; a row that is being written is left out."""
    data = path.read_bytes() if path.exists() else b""
    return Log(np.frombuffer(data[: len(data) // ROW.itemsize * ROW.itemsize], dtype=ROW))


def parameters(log: Path, cell: str) -> dict[str, Any]:
    """Of an arm node whose driver is a probe before that of the simulated `cell`."""
    return {
        "driver": "hierarchy_nodes.bench.probe:ProbeArm",
        "options.log": str(log),
        "options.inner": "mujoco",
        "options.inner_options": [f"cell={cell}"],
    }


class ProbeArm(ArmDriver):
    """Passes everything on to another driver. Costs a few microseconds a call."""

    Options = ProbeOptions

    def __init__(self, options: ProbeOptions) -> None:
        super().__init__(options)
        if not options.log:
            raise DriverError("probe arm: option 'log' names no file.")
        pairs = dict(item.partition("=")[::2] for item in options.inner_options)
        self._inner: ArmDriver = ARMS.get(options.inner).from_options(pairs)
        self._file = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    @property
    def capabilities(self) -> ArmCapabilities:
        return self._inner.capabilities

    def connect(self) -> None:
        self._inner.connect()

    def disconnect(self) -> None:
        self._inner.disconnect()

    def read_state(self, max_age: float = 0.1) -> ArmState:
        state = self._inner.read_state(max_age)
        self._write(state.stamp, STATE, state.positions, state.velocities, state.gripper)
        return state

    def command(self, command: JointCommand) -> JointCommand:
        sent = self._inner.command(command)
        self._write(time.time(), COMMAND, sent.positions, sent.velocities, sent.gripper)
        return sent

    def stop(self) -> None:
        self._inner.stop()
        nothing = np.zeros(JOINTS)
        self._write(time.time(), STOP, nothing, nothing, 0.0)

    def _write(
        self,
        stamp: float,
        kind: int,
        positions: NDArray[np.float64],
        velocities: NDArray[np.float64],
        gripper: float,
    ) -> None:
        row = np.array([(stamp, kind, positions, velocities, gripper)], dtype=ROW)
        os.write(self._file, row.tobytes())
