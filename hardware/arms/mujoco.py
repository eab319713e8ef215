"""The arm of the simulated cell, as a client of the cell's process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import zmq

from hardware.base import ArmCapabilities, ArmDriver, ArmState, JointCommand
from hardware.cell import protocol
from hardware.cell.limits import limited
from hardware.cell.running import running_cells
from hierarchy_nodes.arm.description import load_arm
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.parameters import param

GONE = 0.5  # seconds of silence after which the cell counts as gone
SEND_WAIT_MS = 20


@dataclass(frozen=True)
class MujocoArmOptions:
    """How to find the cell."""

    cell: str = param("cell", "name of the cell, or tcp://host:port")
    connect_timeout: float = param(3.0, "wait for the cell", unit="s", low=0.0, high=60.0)


class MujocoArm(ArmDriver):
    """Talks to ``hierarchy cell``; finds it again after it was restarted."""

    Options = MujocoArmOptions
    options: MujocoArmOptions

    @classmethod
    def discover(cls) -> list[str]:
        """The cells that run on this machine."""
        return [f"cell '{cell.name}' (process {cell.pid})" for cell in running_cells()]

    def __init__(self, options: MujocoArmOptions) -> None:
        super().__init__(options)
        self._capabilities = load_arm().capabilities()
        self._lock = threading.Lock()
        self._states: zmq.Socket[bytes] | None = None
        self._commands: zmq.Socket[bytes] | None = None
        self._newest: ArmState | None = None

    @property
    def capabilities(self) -> ArmCapabilities:
        """Of the cell's controller box."""
        return self._capabilities

    def connect(self) -> None:
        """Reach the cell.

        Raises:
            DriverError: Nothing was heard of it within `connect_timeout`.
        """
        self.disconnect()
        name = self.options.cell
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        with self._lock:
            self._states = context.socket(zmq.SUB)
            self._states.setsockopt(zmq.CONFLATE, 1)
            self._states.setsockopt(zmq.SUBSCRIBE, b"")
            self._commands = context.socket(zmq.PUSH)
            # Nothing may queue up for a cell that is not there and move the arm later.
            self._commands.setsockopt(zmq.IMMEDIATE, 1)
            self._commands.setsockopt(zmq.SNDHWM, 4)
            for socket, channel in ((self._states, "state"), (self._commands, "arm")):
                socket.linger = 0
                socket.setsockopt(zmq.RECONNECT_IVL, 50)
                socket.connect(protocol.address(name, channel))
            wait = int(self.options.connect_timeout * 1000)
            # Both doors: a command right after connect must not find the other one shut.
            there = self._states.poll(wait) and self._commands.poll(wait, zmq.POLLOUT)
            if there:
                self._drain()
        if not there:
            self.disconnect()
            raise DriverError(
                f"Arm: cell '{name}' does not answer. Start it with: hierarchy cell --name {name}"
            )

    def disconnect(self) -> None:
        """Let go; the cell's watchdog holds the arm."""
        with self._lock:
            for socket in (self._states, self._commands):
                if socket is not None:
                    socket.close()
            self._states = self._commands = self._newest = None

    def _drain(self) -> None:
        """Take the newest reading, if one came."""
        assert self._states is not None
        # Asked for by its events, an empty socket costs no exception.
        events = self._states.get(zmq.EVENTS)
        if isinstance(events, int) and events & zmq.POLLIN:
            self._newest = protocol.unpack_state(self._states.recv(zmq.NOBLOCK))

    def _check(self) -> ArmState:
        """The newest reading of a cell that lives."""
        if self._states is None or self._newest is None:
            raise DriverError(f"Arm: not connected to cell '{self.options.cell}'.")
        self._drain()
        silent = time.time() - self._newest.stamp
        if silent > GONE:
            raise DriverError(
                f"Arm: cell '{self.options.cell}' is gone, silent for {silent:.1f} s."
            )
        return self._newest

    def read_state(self, max_age: float = 0.1) -> ArmState:
        """The newest reading.

        Raises:
            StaleReadError: It is older than `max_age` seconds.
            DriverError: Not connected, or the cell is gone.
        """
        with self._lock:
            state = self._check()
        age = time.time() - state.stamp
        if age > max_age:
            raise StaleReadError(f"Arm of cell '{self.options.cell}'", age, max_age)
        return state

    def command(self, command: JointCommand) -> JointCommand:
        """Send a setpoint; returns it as limited.

        Raises:
            DriverError: Not connected, the cell is gone, or the command is not finite.
        """
        sent = limited(command, self.capabilities)
        with self._lock:
            self._check()
            self._send(protocol.pack_command(sent, time.time()))
        return sent

    def stop(self) -> None:
        """Brake and hold.

        Raises:
            DriverError: Not connected, or the cell is gone.
        """
        message: dict[str, Any] = {"v": protocol.VERSION, "do": "stop", "t": time.time()}
        with self._lock:
            self._check()
            self._send(protocol.pack(message))

    def _send(self, data: bytes) -> None:
        assert self._commands is not None
        try:
            self._commands.send(data, zmq.NOBLOCK)
            return
        except zmq.Again:
            # A short burst may be faster than the wire.
            self._commands.poll(SEND_WAIT_MS, zmq.POLLOUT)
        try:
            self._commands.send(data, zmq.NOBLOCK)
        except zmq.Again:
            raise DriverError(f"Arm: cell '{self.options.cell}' takes no commands.") from None
