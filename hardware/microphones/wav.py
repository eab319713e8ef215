"""A recording, played as if it were spoken now."""

from __future__ import annotations

import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hardware.base import AudioBlock, MicrophoneDriver
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.parameters import param


@dataclass(frozen=True)
class WavOptions:
    """What is played, and how."""

    path: str = param("", "A WAV file of 16-bit samples")
    block: float = param(0.02, "Length of a block", unit="s", low=0.001, high=1.0)
    loop: bool = param(False, "Begin again at the end")
    realtime: bool = param(True, "As fast as it was spoken; otherwise as fast as it is read")


class WavMicrophone(MicrophoneDriver):
    """Blocks come when their last sample would have been recorded; a late reader gets them all."""

    Options = WavOptions

    def __init__(
        self,
        options: WavOptions,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(options)
        self._clock, self._sleep = clock, sleep
        self._samples: NDArray[np.int16] | None = None
        self._rate = 0
        self._start = 0.0
        self._place = 0
        self._sequence = 0

    def connect(self) -> None:
        path = Path(self.options.path).expanduser()
        if not self.options.path:
            raise DriverError("wav microphone: option 'path' is empty.")
        try:
            with wave.open(str(path), "rb") as file:
                width, channels = file.getsampwidth(), file.getnchannels()
                self._rate = file.getframerate()
                data = file.readframes(file.getnframes())
        except (OSError, EOFError, wave.Error) as error:
            raise DriverError(f"wav microphone: {path} cannot be read: {error}.") from error
        if width != 2:
            raise DriverError(f"wav microphone: {path} has {8 * width}-bit samples, 16 are needed.")
        samples = np.frombuffer(data, dtype="<i2").astype(np.int16).reshape(-1, channels)
        if not len(samples):
            raise DriverError(f"wav microphone: {path} has no samples.")
        self._samples = samples
        self._start = self._clock()
        self._place = self._sequence = 0

    def disconnect(self) -> None:
        self._samples = None

    def read(self, timeout: float = 1.0) -> AudioBlock | None:
        if self._samples is None:
            raise DriverError("wav microphone: not connected.")
        total = len(self._samples)
        if self._place >= total and not self.options.loop:
            return None
        count = max(1, round(self.options.block * self._rate))
        first = self._place % total
        # The last block, also of a round of a loop, is as short as what is left.
        count = min(count, total - first)
        if self.options.realtime:
            wait = self._start + (self._place + count) / self._rate - self._clock()
            if wait > timeout:
                self._sleep(timeout)
                raise StaleReadError("wav microphone", timeout, timeout)
            if wait > 0:
                self._sleep(wait)
        block = AudioBlock(
            stamp=self._start + self._place / self._rate,
            sample_rate=self._rate,
            sequence=self._sequence,
            samples=self._samples[first : first + count],
        )
        self._place += count
        self._sequence += 1
        return block
