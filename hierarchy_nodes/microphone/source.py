"""Blocks of sound out of a driver that may fail at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hardware.base import AudioBlock, MicrophoneDriver
from hierarchy_nodes.errors import DriverError

# Seconds over which loudness is told.
_METER = 0.5
_SILENCE = -120.0


@dataclass(frozen=True)
class Health:
    """How the microphone is doing, and the same in words."""

    ok: bool
    message: str
    ended: bool = False


class MicrophoneSource:
    """Reads a driver, and reaches for it again when it fails. For one thread.

    :meth:`health` may be called from another thread. Blocks are numbered anew, so that numbers
    that are missing are blocks that were lost, whichever connection they came by.

    Args:
        driver: Not connected yet.
        timeout: A microphone that is silent for so long has stopped, seconds.
        reconnect_period: Between attempts to connect, seconds.
    """

    def __init__(self, driver: MicrophoneDriver, timeout: float, reconnect_period: float) -> None:
        self._driver, self._timeout, self._period = driver, timeout, reconnect_period
        self._connected = False
        self._retry_at = -math.inf
        self._attempts = 0
        # The driver's next number, and ours.
        self._expected, self._next = 0, 0
        self._lost = 0
        self._level = _SILENCE
        self._problem = "not connected yet"
        self._ended = False

    def poll(self, now: float) -> AudioBlock | None:
        """The next block; None where there is none. Never raises; blocks as the driver does."""
        if self._ended:
            return None
        try:
            if not self._connected:
                if now < self._retry_at:
                    return None
                self._retry_at = now + self._period
                self._attempts += 1
                self._driver.connect()
                self._connected, self._expected = True, 0
            block = self._driver.read(self._timeout)
        except Exception as error:  # noqa: BLE001 - drivers of others raise what they like
            known = isinstance(error, DriverError)
            self._problem = str(error) if known else f"{type(error).__name__}: {error}"
            self._connected = False
            return None
        if block is None:
            self._ended = True
            return None
        self._problem, self._attempts = "", 0
        return self._numbered(block)

    def health(self) -> Health:
        """Loudness and losses, or what is wrong."""
        lost = f", {self._lost} blocks lost" if self._lost else ""
        if self._ended:
            return Health(True, f"the recording has ended{lost}", ended=True)
        if self._problem:
            return Health(False, f"{self._problem} (attempt {self._attempts})")
        return Health(True, f"{self._level:.0f} dB{lost}")

    def close(self) -> None:
        """Let go of the device."""
        self._connected = False
        self._driver.disconnect()

    def _numbered(self, block: AudioBlock) -> AudioBlock:
        missing = max(0, block.sequence - self._expected)
        self._lost += missing
        self._expected = block.sequence + 1
        number = self._next + missing
        self._next = number + 1
        seconds = len(block.samples) / block.sample_rate
        share = min(1.0, seconds / _METER)
        self._level += share * (loudness(block.samples) - self._level)
        return replace(block, sequence=number)


def loudness(samples: np.ndarray) -> float:
    """Decibels relative to full scale, of 16-bit samples; -120 for silence."""
    if not samples.size:
        return _SILENCE
    rms = float(np.sqrt(np.mean(np.square(samples.astype(np.float64) / 32768))))
    return 20 * math.log10(max(rms, 1e-6))
