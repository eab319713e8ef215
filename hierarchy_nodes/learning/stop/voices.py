"""Who speaks in training, and who only in measurements: synthetic voices of several programs.

eSpeak comes as a package. Flite, Festival and those of `neural_voices` are used where they are
installed: see ``tools/voices``.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.stop import neural_voices
from hierarchy_nodes.learning.stop.speaker import Speaker, tidy
from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.synthesis import Espeak, Voice

_LANGUAGES = (
    "en-us",
    "en",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-029",
    "en-us-nyc",
)
# Variants of eSpeak's voices; those for measuring are never trained on. "shelby" is neither: what
# it says nobody understands (Whisper hears "Let's go" where it says "stop").
_TRAINED = (
    "", "f1", "f2", "f4", "m1", "m2", "m3", "m5", "m7", "m8", "klatt", "klatt3", "klatt5", "Andy",
    "Annie", "Gene", "Lee", "Mario", "Mr serious", "Denis", "adam", "antonio", "belinda", "boris",
    "caleb", "david", "ed", "edward", "grandma", "grandpa", "ian", "john", "linda", "marcelo",
    "michel", "mike2", "pablo", "paul", "quincy", "rob", "robert", "sandro", "steph", "travis",
    "whisper", "zac",
)  # fmt: skip
_MEASURED = ("f3", "f5", "m4", "m6", "klatt2", "Michael", "Alicia", "benjamin", "victor")


@dataclass(frozen=True)
class EspeakSpeaker(Speaker):
    """A variant of an eSpeak voice; it flutters, so that no two clips are quite the same."""

    name: str

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        voice = Voice(
            self.name,
            speed=int(rng.integers(120, 290)),
            pitch=int(rng.integers(20, 80)),
            range=int(rng.integers(20, 80)),
        )
        speaker = Espeak()
        return tidy(speaker.speak(text, voice), speaker.rate)


@dataclass(frozen=True)
class FliteSpeaker(Speaker):
    """A voice of Flite (http://cmuflite.org)."""

    name: str

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        stretch, pitch = rng.uniform(0.65, 1.3), rng.uniform(80, 240)
        return _spoken(
            ["flite", "-voice", self.name.removeprefix("flite-"), "-t", text, "-o", "{file}",
             "--setf", f"duration_stretch={stretch:.2f}",
             "--setf", f"int_f0_target_mean={pitch:.0f}"]
        )  # fmt: skip


@dataclass(frozen=True)
class FestivalSpeaker(Speaker):
    """A voice of Festival (http://www.cstr.ed.ac.uk/projects/festival)."""

    name: str

    def speak(self, text: str, rng: np.random.Generator) -> Samples:
        stretch = rng.uniform(0.7, 1.25)
        voice = self.name.removeprefix("festival-")
        return _spoken(
            ["text2wave", "-o", "{file}", "-eval", f"(voice_{voice})",
             "-eval", f"(Parameter.set 'Duration_Stretch {stretch:.2f})"],
            text,
        )  # fmt: skip


def trained() -> list[Speaker]:
    """Those that are trained on, of the programs that are installed."""
    found: list[Speaker] = [
        EspeakSpeaker(f"{_LANGUAGES[i % len(_LANGUAGES)]}{'+' if v else ''}{v}")
        for i, v in enumerate((*_TRAINED, *_TRAINED[::-1]))
    ]
    if shutil.which("flite"):
        # Half as often as all of eSpeak's together, which are one way of speaking.
        found += [FliteSpeaker(f"flite-{name}") for name in ("kal", "rms", "rms", "kal16")] * 10
    if shutil.which("text2wave"):
        found += [FestivalSpeaker(f"festival-{n}_diphone") for n in ("kal", "ked")] * 6
    return found + neural_voices.trained()


def quick() -> list[Speaker]:
    """Of those that are trained on the ones that are quick at it."""
    return [speaker for speaker in trained() if not speaker.slow]


def measured() -> list[Speaker]:
    """Those that nothing was trained on."""
    found: list[Speaker] = [
        EspeakSpeaker(f"{_LANGUAGES[i % 4]}+{v}") for i, v in enumerate(_MEASURED)
    ]
    if shutil.which("flite"):
        found += [FliteSpeaker("flite-slt"), FliteSpeaker("flite-awb")]
    if shutil.which("text2wave"):
        found += [FestivalSpeaker("festival-cmu_us_slt_arctic_hts")]
    return found + neural_voices.measured()


def _spoken(command: list[str], text: str = "") -> Samples:
    with tempfile.TemporaryDirectory(prefix="voice-") as folder:
        file = Path(folder) / "said.wav"
        filled = [part.replace("{file}", str(file)) for part in command]
        done = subprocess.run(filled, input=text, text=True, capture_output=True, check=False)
        if done.returncode or not file.is_file():
            raise ConfigError(f"{command[0]} does not speak: {done.stderr.strip()[-200:]}")
        with wave.open(str(file), "rb") as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
            rate = sound.getframerate()
    return tidy((samples / 32768).astype(np.float32), rate)
