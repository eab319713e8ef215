"""A microphone of this computer, through PortAudio (https://python-sounddevice.readthedocs.io)."""

from __future__ import annotations

import contextlib
import queue
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.base import AudioBlock, MicrophoneDriver
from hierarchy_nodes.errors import ConfigError, DriverError, StaleReadError
from hierarchy_nodes.parameters import param

try:
    import sounddevice
except ImportError as error:
    raise ConfigError(
        "microphone 'sounddevice' needs the package sounddevice: pip install sounddevice"
    ) from error
except OSError as error:
    raise ConfigError(
        f"microphone 'sounddevice' needs the PortAudio library ({error}): "
        "sudo apt-get install libportaudio2"
    ) from error

# So many blocks are kept for a reader that is late.
_KEPT = 250
# Stamps count samples, because each block's own time jitters, until they are so far off: seconds.
_DRIFT = 0.25


@dataclass(frozen=True)
class SounddeviceOptions:
    """Which device, and how it is read."""

    device: str = param("", "Part of the device's name, or its number; empty: the system's default")
    sample_rate: int = param(16000, "Samples a second", unit="Hz", low=8000, high=192000)
    channels: int = param(1, "Channels", low=1, high=8)
    block: float = param(0.02, "Length of a block", unit="s", low=0.005, high=0.5)


class SounddeviceMicrophone(MicrophoneDriver):
    """Blocks as PortAudio hands them over; what nobody reads in five seconds is lost, and counted.

    A stamp is the time of a block's first sample as PortAudio tells it, on the clock of
    `time.time()`.
    """

    Options = SounddeviceOptions
    options: SounddeviceOptions

    @classmethod
    def discover(cls) -> list[str]:
        """The inputs of this computer."""
        return [
            f"{number}: {device['name']} ({device['max_input_channels']} channels)"
            for number, device in enumerate(sounddevice.query_devices())
            if device["max_input_channels"] > 0
        ]

    def __init__(self, options: SounddeviceOptions) -> None:
        super().__init__(options)
        self._stream: sounddevice.RawInputStream | None = None
        self._blocks: queue.Queue[AudioBlock] = queue.Queue(_KEPT)
        self._sequence = 0
        self._clock: float | None = None

    def connect(self) -> None:
        self.disconnect()
        o = self.options
        self._blocks, self._sequence, self._clock = queue.Queue(_KEPT), 0, None
        name: Any = int(o.device) if o.device.isdigit() else o.device or None
        try:
            stream = sounddevice.RawInputStream(
                samplerate=o.sample_rate,
                blocksize=round(o.block * o.sample_rate),
                device=name,
                channels=o.channels,
                dtype="int16",
                latency="low",
                callback=self._on_block,
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            found = "; ".join(self.discover()) or "none"
            raise DriverError(
                f"sounddevice microphone '{o.device or 'default'}': {error}. Inputs: {found}."
            ) from error
        self._stream = stream

    def disconnect(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def read(self, timeout: float = 1.0) -> AudioBlock | None:
        if self._stream is None:
            raise DriverError("sounddevice microphone: not connected.")
        try:
            return self._blocks.get(timeout=timeout)
        except queue.Empty:
            if not self._stream.active:
                raise DriverError("sounddevice microphone: the device is gone.") from None
            raise StaleReadError("sounddevice microphone", timeout, timeout) from None

    def _on_block(self, data: Any, _count: int, clock: Any, status: Any) -> None:
        """In PortAudio's thread."""
        if status.input_overflow:
            self._sequence += 1
        samples = np.frombuffer(data, dtype=np.int16).reshape(-1, self.options.channels).copy()
        rate = self.options.sample_rate
        told = time.time() - max(0.0, clock.currentTime - clock.inputBufferAdcTime)
        if self._clock is None or status.input_overflow or abs(told - self._clock) > _DRIFT:
            self._clock = told
        block = AudioBlock(self._clock, rate, self._sequence, samples)
        self._clock += len(samples) / rate
        self._sequence += 1
        # One that finds no room is missing in the numbers.
        with contextlib.suppress(queue.Full):
            self._blocks.put_nowait(block)
