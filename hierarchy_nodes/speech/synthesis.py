"""A voice: eSpeak NG (https://github.com/espeak-ng/espeak-ng), from the package espeakng-loader."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import Samples

# From espeak-ng/speak_lib.h.
_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_UTF8, _BY_CHARACTER = 1, 1
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Voice:
    """Who speaks, and how.

    Attributes:
        name: Of eSpeak, such as ``en-us``, ``en-gb-scotland`` or ``en-us+f3``.
        speed: Words a minute, 80 to 450.
        pitch: 0 to 99.
        range: How lively, 0 to 99.
    """

    name: str = "en-us"
    speed: int = 175
    pitch: int = 50
    range: int = 50


class Espeak:
    """Speaks into memory. The library has one state for the whole process, so calls take turns.

    Attributes:
        rate: Samples a second.

    Raises:
        ConfigError: The package is missing.
    """

    _lock = threading.Lock()

    def __init__(self) -> None:
        with self._lock:
            self._library, self.rate = _started()

    def speak(self, text: str, voice: Voice | None = None) -> Samples:
        """`text` as ``(N,)`` float32 in [-1, 1] at `rate`.

        Raises:
            ConfigError: There is no such voice.
        """
        voice = voice or Voice()
        pieces: list[np.ndarray] = []

        def take(wave: ctypes._Pointer[ctypes.c_short], count: int, _: int) -> int:
            if wave and count > 0:
                pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
            return 0

        callback = _CALLBACK(take)
        encoded = text.encode()
        with self._lock:
            library = self._library
            library.espeak_SetSynthCallback(callback)
            if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise ConfigError(f"eSpeak has no voice '{voice.name}'.")
            for number, value in (
                (_RATE, voice.speed),
                (_PITCH, voice.pitch),
                (_RANGE, voice.range),
                (_VOLUME, 100),
            ):
                library.espeak_SetParameter(number, value, 0)
            library.espeak_Synth(encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        whole = np.concatenate([np.zeros(0, np.int16), *pieces])
        return (whole / 32768).astype(np.float32)


@lru_cache(maxsize=1)
def _started() -> tuple[ctypes.CDLL, int]:
    """The library, and the rate at which it speaks."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ConfigError(
            "speaking needs the package espeakng-loader: pip install espeakng-loader"
        ) from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path()
    rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT))
    if rate <= 0:
        raise ConfigError(f"eSpeak does not start with its data in {data}.")
    return library, rate
