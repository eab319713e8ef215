"""How many spoken corrections are understood: ``python -m benchmarks.speech.recognition``.

Each phrase goes the way that it goes in the speech node: spoken, mixed with noise, cut out of the
stream, recognised, understood. It counts if the corrections are those of the same words as text.
A stop is missed if neither the spotter nor the recogniser hears it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hierarchy_nodes.cli.arguments import key_values
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.correction.meaning import meanings
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.statistics import grouped, share
from hierarchy_nodes.learning.stop import voices
from hierarchy_nodes.learning.stop.measure import spotted
from hierarchy_nodes.learning.stop.mixing import loud, noise
from hierarchy_nodes.learning.words.phrases import MEASURED, NAMES, TUNED
from hierarchy_nodes.parameters import with_values
from hierarchy_nodes.speech.audio import RATE, Samples, Sound
from hierarchy_nodes.speech.base import RECOGNISERS, Heard, Recogniser
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.endpointing import Endpointer
from hierarchy_nodes.speech.spotter.spotter import StopSpotter
from hierarchy_nodes.types import CorrectionKind

SEED = 2_000_000
# Decibels of words over noise, and the kinds of noise that take turns in it.
SURROUNDINGS = {"clean": None, "20 dB": 20.0, "10 dB": 10.0}
_NOISES = ("motor", "pink", "hum", "white")
_LEVEL = 0.08
_PIECE = RATE // 50


@dataclass(frozen=True)
class Trial:
    """One phrase as it was said, and what came of it."""

    phrase: str
    voice: str
    surrounding: str
    heard: str
    right: bool
    spotted: bool
    seconds: float

    @property
    def stopped(self) -> bool:
        """Whether the spotter or the recogniser took it for a stop."""
        return self.spotted or stops(self.heard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("measured", "tuned"), default="measured")
    parser.add_argument("--voices", type=int, default=0, help="so many of them; default: all")
    parser.add_argument("--phrases", type=int, default=0, help="so many of them; default: all")
    parser.add_argument("--surroundings", nargs="+", choices=SURROUNDINGS, default=SURROUNDINGS)
    parser.add_argument(
        "--recogniser", default=SpeechConfig().recogniser, help="default: %(default)s"
    )
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/recognition.json"))
    a = parser.parse_args()
    phrases = (MEASURED if a.part == "measured" else TUNED)[: a.phrases or None]
    speakers = voices.measured() if a.part == "measured" else voices.trained()[::9]
    speakers = speakers[: a.voices or None]
    recogniser = make_recogniser(a.recogniser, key_values("--option", a.option))
    spotter = StopSpotter(SpeechConfig())
    trials = []
    said = tqdm([(s, p) for s in speakers for p in phrases], unit="phrase")
    for index, (speaker, phrase) in enumerate(said):
        words = speaker.speak(phrase, np.random.default_rng(SEED + index))
        for name in a.surroundings:
            rng = np.random.default_rng([SEED, index])
            sound = in_noise(words, SURROUNDINGS[name], rng)
            begin = time.perf_counter()
            heard = list(listen(sound, recogniser, NAMES))
            taken = time.perf_counter() - begin
            told = any(spotted(spotter, sound))
            right = understood(heard) == understood([Heard(phrase, 1.0)])
            text = " | ".join(h.text for h in heard)
            trials.append(Trial(phrase, speaker.name, name, text, right, told, taken))
    found = summary(trials)
    found["per_voice"] = grouped((t.voice, t.right) for t in trials)
    write_json(a.out, {**found, "trials": [vars(t) for t in trials]})
    for t in trials:
        if not t.right:
            print(f"{t.surrounding}, {t.voice}: {t.phrase!r} -> {t.heard!r}")
    print(json.dumps(found, indent=1))


def make_recogniser(name: str, options: dict[str, Any]) -> Recogniser:
    """By its name, as in the speech node's configuration."""
    kind = RECOGNISERS.get(name)
    found: Recogniser = kind(with_values(kind.Options(), options))
    return found


def in_noise(words: Samples, ratio: float | None, rng: np.random.Generator) -> Samples:
    """`words` with silence around them, as loud as people speak, in a room with noise."""
    line = np.concatenate(
        [
            np.zeros(RATE // 2, np.float32),
            words * (_LEVEL / loud(words)),
            np.zeros(RATE, np.float32),
        ]
    )
    kind = _NOISES[int(rng.integers(len(_NOISES)))]
    other = noise(kind, len(line), rng)
    if ratio is None:
        return line
    return np.clip(line + _LEVEL * 10 ** (-ratio / 20) * other, -1, 1).astype(np.float32)


def listen(sound: Samples, recogniser: Recogniser, names: tuple[str, ...]) -> Iterator[Heard]:
    """What is heard in `sound`, utterance by utterance."""
    endpointer = Endpointer(SpeechConfig())
    pieces = (Sound(i / RATE, sound[i : i + _PIECE]) for i in range(0, len(sound), _PIECE))
    for utterance in [u for piece in pieces for u in endpointer.push(piece)] + endpointer.flush():
        heard = recogniser.recognise(utterance, names)
        if heard.text:
            yield heard


def understood(heard: list[Heard]) -> list[tuple[Any, ...]]:
    """The corrections in what was said, as the correction node acts on them."""
    doubted = CorrectionConfig().min_confidence
    return meanings(
        correction
        for h in heard
        for correction in parse(h.text, 0.0)
        if h.confidence >= doubted or correction.kind == CorrectionKind.STOP
    )


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Shares in each surrounding, and how long it took."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(t.surrounding for t in trials):
        mine = [t for t in trials if t.surrounding == name]
        said = [t for t in mine if stops(t.phrase)]
        found[name] = {
            "understood": share(sum(t.right for t in mine), len(mine)),
            "stops heard": share(sum(t.stopped for t in said), len(said)),
            "stops heard by words alone": share(sum(stops(t.heard) for t in said), len(said)),
            "stops that were none": sum(t.stopped for t in mine if not stops(t.phrase)),
            "seconds": round(float(np.median([t.seconds for t in mine])), 3),
        }
    return found


def stops(text: str) -> bool:
    """Whether the arm stops at these words."""
    return any(m[0] == CorrectionKind.STOP for m in understood([Heard(text, 1.0)]))


if __name__ == "__main__":
    sys.exit(main())
