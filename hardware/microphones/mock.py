"""A made-up microphone: a tone, the same every time, and faults on demand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hardware.base import AudioBlock, MicrophoneDriver
from hierarchy_nodes.errors import ConfigError, DriverError, StaleReadError
from hierarchy_nodes.parameters import param

FAULTS = ("none", "stop", "raise")


@dataclass(frozen=True)
class MockMicrophoneOptions:
    """Settings of the mock microphone."""

    sample_rate: int = param(16000, "Samples a second", unit="Hz", low=1000, high=192000)
    channels: int = param(1, "Channels, all alike", low=1, high=8)
    block: float = param(0.02, "Length of a block", unit="s", low=0.001, high=1.0)
    tone: float = param(440.0, "Frequency of the tone", unit="Hz", low=0.0, high=20000.0)
    level: float = param(0.1, "Amplitude, 1 is full scale", low=0.0, high=1.0)
    fault: str = param("none", "stop (no more blocks) or raise (device gone)", choices=FAULTS)
    fault_after: float = param(2.0, "When, counted from connect", unit="s", low=0.0)


class MockMicrophone(MicrophoneDriver):
    """An endless sine."""

    Options = MockMicrophoneOptions

    def __init__(
        self,
        options: MockMicrophoneOptions,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(options)
        self._clock, self._sleep = clock, sleep
        self._start: float | None = None
        self._sequence = 0
        self._injected: str | None = None

    def inject(self, fault: str) -> None:
        """Let something go wrong from now on, or ``none`` to repair it."""
        if fault not in FAULTS:
            raise ConfigError(f"Unknown fault '{fault}'. Valid: {', '.join(FAULTS)}.")
        self._injected = fault

    def connect(self) -> None:
        if self._injected == "raise":
            raise DriverError("mock microphone: the device is gone.")
        self._start = self._clock()
        self._sequence = 0

    def disconnect(self) -> None:
        self._start = None

    def read(self, timeout: float = 1.0) -> AudioBlock | None:
        if self._start is None:
            raise DriverError("mock microphone: not connected.")
        fault = self._injected
        if fault is None:
            begun = self._clock() - self._start >= self.options.fault_after
            fault = self.options.fault if begun else "none"
        if fault == "raise":
            self._start = None
            raise DriverError("mock microphone: the device is gone.")
        rate = self.options.sample_rate
        count = max(1, round(self.options.block * rate))
        first = self._sequence * count
        wait = self._start + (first + count) / rate - self._clock()
        if fault == "stop" or wait > timeout:
            self._sleep(timeout)
            raise StaleReadError("mock microphone", timeout, timeout)
        if wait > 0:
            self._sleep(wait)
        phase = 2 * np.pi * self.options.tone * np.arange(first, first + count) / rate
        wave = (self.options.level * 32767 * np.sin(phase)).astype(np.int16)
        block = AudioBlock(
            stamp=self._start + first / rate,
            sample_rate=rate,
            sequence=self._sequence,
            samples=np.repeat(wave[:, None], self.options.channels, axis=1),
        )
        self._sequence += 1
        return block
