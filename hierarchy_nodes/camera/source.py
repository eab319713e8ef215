"""Frames out of a driver that may fail at any time, with a word on how it is doing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hardware.base import CameraDriver
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.types import RgbdFrame

_WINDOW = 30


@dataclass(frozen=True)
class Health:
    """How the camera is doing, and the same in words."""

    ok: bool
    message: str


class CameraSource:
    """Reads a driver, and reaches for it again when it fails. Free of ROS; for one thread.

    :meth:`health` may be called from another thread.

    Args:
        driver: Not connected yet.
        max_age: A camera without a newer frame than this has stopped, seconds.
        reconnect_period: Between attempts to connect, seconds.
        started: Now.
    """

    def __init__(
        self, driver: CameraDriver, max_age: float, reconnect_period: float, started: float
    ) -> None:
        self._driver = driver
        self._max_age = max_age
        self._period = reconnect_period
        self._connected = False
        self._retry_at = started
        self._last_stamp = -np.inf
        self._last_arrival = started
        self._problem = ""
        self._attempts = 0
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=_WINDOW)

    def poll(self, now: float) -> RgbdFrame | None:
        """The next frame, or None where there is none yet. Never raises; may block as the
        driver does."""
        try:
            if not self._connected:
                if now < self._retry_at:
                    return None
                self._retry_at = now + self._period
                self._attempts += 1
                self._driver.connect()
                self._connected = True
            frame = self._driver.read(self._max_age)
            self._check(frame)
        except StaleReadError as error:
            self._problem = str(error)
            # A stalled stream often comes back only with a new connection.
            if now - self._last_arrival > self._max_age and now >= self._retry_at:
                self._let_go(now)
            return None
        except Exception as error:  # noqa: BLE001 - drivers of others raise what they like
            known = isinstance(error, DriverError)
            self._problem = str(error) if known else f"{type(error).__name__}: {error}"
            self._let_go(now)
            return None
        if frame.stamp == self._last_stamp:
            return None
        self._last_stamp, self._last_arrival = frame.stamp, now
        self._problem, self._attempts = "", 0
        self._arrivals.append((now, now - frame.stamp))
        return frame

    def health(self, now: float) -> Health:
        """Rate and latency, or for how long no frame has come and why."""
        silent = now - self._last_arrival
        arrivals = list(self._arrivals)
        if silent > self._max_age:
            why = f": {self._problem}" if self._problem else ""
            again = f" (reconnecting, attempt {self._attempts})" if self._attempts else ""
            return Health(False, f"no frame for {_rounded(silent)} s{why}{again}")
        if len(arrivals) < 2:
            return Health(True, "waiting for frames")
        rate = (len(arrivals) - 1) / max(1e-6, arrivals[-1][0] - arrivals[0][0])
        latency = float(np.median([late for _, late in arrivals]))
        return Health(True, f"{rate:.1f} Hz, {latency * 1e3:.0f} ms from capture to publication")

    def close(self) -> None:
        """Disconnect; harmless when done twice."""
        self._let_go(self._last_arrival)

    def _let_go(self, now: float) -> None:
        self._connected = False
        self._arrivals.clear()
        self._retry_at = max(self._retry_at, now + self._period)
        try:
            self._driver.disconnect()
        except Exception as error:  # noqa: BLE001 - drivers of others raise what they like
            self._problem = self._problem or f"disconnect failed: {error}"

    def _check(self, frame: RgbdFrame) -> None:
        camera = frame.intrinsics
        shape = (camera.height, camera.width)
        if frame.color.shape != (*shape, 3) or frame.depth.shape != shape:
            raise DriverError(
                f"camera: images of shape {frame.color.shape} and {frame.depth.shape} do not fit "
                f"intrinsics of {camera.width}x{camera.height}."
            )


def _rounded(seconds: float) -> int:
    """Whole seconds, coarser as they get many, so that the words do not change all the time."""
    if seconds < 10:
        return max(1, int(seconds))
    return int(seconds // 10) * 10
