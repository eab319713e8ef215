"""The connection to the arm: kept, watched, and made again without blocking the loop."""

from __future__ import annotations

from collections.abc import Callable

from hardware.base import ArmDriver, ArmState, JointCommand
from hierarchy_nodes.errors import HierarchyError, StaleReadError
from hierarchy_nodes.worker import LatestWorker

RETRY_PERIOD = 1.0
# Readings that stay stale for so long mean that the device is gone, whatever the driver thinks.
_GIVE_UP = 1.0


class ArmLink:
    """Owns the driver. All methods are for the loop's thread; only connecting has another one.

    Attributes:
        connected: Whether the driver may be used.
        error: Why it may not, for a person; empty before the first try has ended.
        state: The newest good reading, perhaps an old one.
        connections: How often a connection was made.
    """

    def __init__(self, driver: ArmDriver, max_age: float) -> None:
        self.driver = driver
        self.connected = False
        self.error = ""
        self.state: ArmState | None = None
        self.connections = 0
        self._max_age = max_age
        self._connecting = False
        self._next_try = -float("inf")
        self._fresh_at: float | None = None
        self._result: str | None = None
        self._worker: LatestWorker[bool] = LatestWorker(self._connect, self._failed, "arm connect")

    def poll(self, now: float) -> bool:
        """Try to connect if it is time to. True once after each success; `now` is monotonic."""
        if self.connected:
            return False
        if self._connecting:
            if self._result is None:
                return False
            self._connecting = False
            if not self._result:
                self.connected, self.error, self._fresh_at = True, "", now
                self.state = None
                self.connections += 1
                return True
            self.error = self._result
        if now >= self._next_try:
            self._next_try = now + RETRY_PERIOD
            self._connecting, self._result = True, None
            self._worker.submit(True)
        return False

    def read(self, now: float) -> ArmState | None:
        """The newest reading, which may be stale; None if there is none."""
        if not self.connected:
            return self.state
        try:
            self.state = self.driver.read_state(self._max_age)
            self._fresh_at = now
        except StaleReadError as error:
            if self._fresh_at is not None and now - self._fresh_at > _GIVE_UP:
                self.lose(error)
        except HierarchyError as error:
            self.lose(error)
        return self.state

    def send(self, command: JointCommand) -> JointCommand | None:
        """Send a setpoint; what was really sent, or None if the device is gone."""
        sent: JointCommand | None = None

        def call() -> None:
            nonlocal sent
            sent = self.driver.command(command)

        self._use(call)
        return sent

    def stop(self) -> bool:
        """Bring the device to rest; whether it was told."""
        return self._use(self.driver.stop)

    def lose(self, error: Exception) -> None:
        """Treat the device as gone until it is connected again."""
        self.connected = False
        self.error = str(error)

    def close(self) -> None:
        """Let go of the device."""
        self._worker.close()
        self.driver.disconnect()

    def _use(self, call: Callable[[], None]) -> bool:
        if not self.connected:
            return False
        try:
            call()
        except HierarchyError as error:
            self.lose(error)
            return False
        return True

    def _connect(self, _: bool) -> None:
        self.driver.disconnect()
        self.driver.connect()
        self._result = ""

    def _failed(self, error: Exception) -> None:
        self._result = str(error) or type(error).__name__
