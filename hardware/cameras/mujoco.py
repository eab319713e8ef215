"""A camera of the simulated cell, as a client of the cell's process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import zmq

from hardware.base import CameraDriver
from hardware.cell import protocol
from hardware.cell.running import running_cells
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.types import RgbdFrame

GONE = 2.0  # seconds without a frame after which the cell counts as gone


@dataclass(frozen=True)
class MujocoCameraOptions:
    """How to find the cell."""

    cell: str = param("cell", "name of the cell, or tcp://host:port")
    camera: str = param("front", "which of its cameras", choices=("front", "side"))
    connect_timeout: float = param(3.0, "wait for a frame", unit="s", low=0.0, high=60.0)


class MujocoCamera(CameraDriver):
    """Newest frame only; finds the cell again after it was restarted."""

    Options = MujocoCameraOptions
    options: MujocoCameraOptions

    @classmethod
    def discover(cls) -> list[str]:
        """The cells that run on this machine."""
        return [f"cell '{cell.name}' (process {cell.pid})" for cell in running_cells()]

    def __init__(self, options: MujocoCameraOptions) -> None:
        super().__init__(options)
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] | None = None
        self._newest: RgbdFrame | None = None

    def connect(self) -> None:
        """Reach the cell.

        Raises:
            DriverError: No frame came within `connect_timeout`.
        """
        self.disconnect()
        name = self.options.cell
        with self._lock:
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
            self._socket = context.socket(zmq.SUB)
            self._socket.linger = 0
            self._socket.setsockopt(zmq.CONFLATE, 1)
            self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
            self._socket.setsockopt(zmq.SUBSCRIBE, protocol.topic(self.options.camera))
            self._socket.connect(protocol.address(name, "camera"))
            there = self._receive(self.options.connect_timeout)
        if not there:
            self.disconnect()
            raise DriverError(
                f"Camera '{self.options.camera}': cell '{name}' does not answer. "
                f"Start it with: hierarchy cell --name {name}"
            )

    def disconnect(self) -> None:
        """Stop listening; the cell then stops rendering for us."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = self._newest = None

    def _receive(self, timeout: float) -> bool:
        """Take the newest frame, waiting for at most `timeout` seconds."""
        assert self._socket is not None
        if not self._socket.poll(max(0, int(timeout * 1000))):
            return False
        self._newest = protocol.unpack_frame(self._socket.recv())
        return True

    def read(self, max_age: float = 0.5) -> RgbdFrame:
        """The newest frame.

        Raises:
            StaleReadError: It is older than `max_age` seconds.
            DriverError: Not connected, or the cell is gone.
        """
        with self._lock:
            if self._socket is None:
                raise DriverError(f"Camera: not connected to cell '{self.options.cell}'.")
            self._receive(0.0 if self._newest is not None else max_age)
            frame = self._newest
        if frame is None:
            raise StaleReadError(f"Camera '{self.options.camera}'", max_age, max_age)
        age = time.time() - frame.stamp
        if age > max(GONE, max_age):
            raise DriverError(
                f"Camera '{self.options.camera}': cell '{self.options.cell}' is gone, "
                f"no frame for {age:.1f} s."
            )
        if age > max_age:
            raise StaleReadError(f"Camera '{self.options.camera}'", age, max_age)
        return frame
