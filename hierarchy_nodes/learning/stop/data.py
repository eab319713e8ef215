"""Clips of synthetic voices, and the mixtures of them that the spotter learns from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole
from hierarchy_nodes.learning.made import same
from hierarchy_nodes.learning.stop import corpus
from hierarchy_nodes.learning.stop.mixing import NOISES, coloured, loud, noise, other_voice, room
from hierarchy_nodes.learning.stop.voices import measured, quick, trained
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import RATE, Samples
from hierarchy_nodes.speech.spotter.features import BANDS, FRAME, HOP, SILENT, log_mel

STOP, AROUND, NEAR, COMMAND, TALK = range(5)
KINDS = ("stop", "around", "near", "command", "talk")
LENGTH = 2.2  # seconds of a mixture
# Voices that are slow at it are spared so much of other talk, which is long.
_SPARED = 0.75
# So much of what is no stop is many voices at once, none of them in front.
_BABBLE = 0.35
# After the end of the word, it is to be told between these times; before, it may be: seconds.
_FROM, _TO = 0.05, 0.20
_UNTIL = 0.40


@dataclass(frozen=True)
class Clips:
    """What was said: samples one after the other, where each clip begins, its kind, its voice."""

    samples: NDArray[np.int16]
    starts: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    voices: NDArray[np.str_]

    @classmethod
    def joined(
        cls,
        pieces: Sequence[NDArray[np.int16]],
        kinds: NDArray[np.uint8],
        voices: NDArray[np.str_],
    ) -> Clips:
        """Of samples clip by clip."""
        lengths = np.array([0, *map(len, pieces)])
        samples = np.concatenate([np.zeros(0, np.int16), *pieces])
        return cls(samples, lengths.cumsum()[:-1], kinds, voices)

    def of(self, kind: int) -> list[Samples]:
        """All clips of a kind, ``(N,)`` float32."""
        return [(piece / 32768).astype(np.float32) for piece in self._pieces(self.kinds == kind)]

    def voices_of(self, kind: int) -> list[str]:
        """Who speaks each of them."""
        return [str(name) for name in self.voices[self.kinds == kind]]

    def spoken_by(self, voices: Collection[str]) -> Clips:
        """Those of them that these voices speak."""
        theirs = np.isin(self.voices, list(voices))
        return Clips.joined(self._pieces(theirs), self.kinds[theirs], self.voices[theirs])

    def _pieces(self, which: NDArray[np.bool_]) -> list[NDArray[np.int16]]:
        """The samples of some clips, without copying them."""
        pieces = np.split(self.samples, self.starts[1:])
        return [pieces[i] for i in np.flatnonzero(which)]


@dataclass(frozen=True)
class ClipOptions:
    """How many clips of each kind are spoken."""

    stops: int = param(3000, "Of the word alone", low=10, high=1_000_000)
    around: int = param(1500, "Of what is said beside it", low=10, high=1_000_000)
    near: int = param(3000, "Of what only sounds like it", low=10, high=1_000_000)
    commands: int = param(1500, "Of other corrections", low=10, high=1_000_000)
    talk: int = param(1500, "Of other talk", low=10, high=1_000_000)


def speak(path: Path, options: ClipOptions, seed: int, who: str, progress: bool) -> Clips:
    """Have all clips spoken, in all processes there are, and keep them in `path`.

    Args:
        who: ``trained`` or ``measured``: which voices and texts.

    Raises:
        ConfigError: Those in `path` are other ones, or broken.
    """
    same(path.with_suffix(".json"), asdict(options) | {"seed": seed, "voices": who})
    if path.exists():
        return load(path)
    texts = (
        corpus.STOPS,
        (*corpus.BEFORE, *corpus.AFTER),
        *(corpus.part(t, who) for t in (corpus.NEAR, corpus.COMMANDS, corpus.talk())),
    )
    counts = (options.stops, options.around, options.near, options.commands, options.talk)
    jobs = [
        (who, kind, texts[kind][i % len(texts[kind])], seed + 1000 * kind + 7919 * i)
        for kind, count in enumerate(counts)
        for i in range(count)
    ]
    with get_context("spawn").Pool() as pool:
        said = list(
            tqdm(
                pool.imap(_spoken, jobs, chunksize=16),
                total=len(jobs),
                unit="clip",
                disable=not progress,
            )
        )
    clips = Clips.joined(
        [clip for clip, _ in said],
        np.array([kind for _, kind, _, _ in jobs], np.uint8),
        np.array([voice for _, voice in said]),
    )
    with whole(path) as draft, draft.open("wb") as file:
        np.savez(file, **vars(clips))
    return clips


def load(path: Path) -> Clips:
    """Clips as :func:`speak` kept them. Raises ConfigError."""
    if not path.exists():
        raise ConfigError(
            f"{path}: no such clips. They are spoken by: hierarchy train stop --out {path.parent}"
        )
    try:
        with np.load(path) as file:
            return Clips(**{field.name: file[field.name] for field in fields(Clips)})
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ConfigError(
            f"{path}: no clips: {error}. Remove it to have them spoken anew."
        ) from error


def _spoken(job: tuple[str, int, str, int]) -> tuple[NDArray[np.int16], str]:
    who, kind, text, seed = job
    rng = np.random.default_rng(seed)
    speakers = trained() if who == "trained" else measured()
    speaker = speakers[int(rng.integers(len(speakers)))]
    if who == "trained" and kind == TALK and speaker.slow and rng.random() < _SPARED:
        others = quick()
        speaker = others[int(rng.integers(len(others)))]
    samples = speaker.speak(text, rng)
    peak = float(np.abs(samples).max()) if len(samples) else 1.0
    return (samples / max(peak, 1e-3) * 26000).astype(np.int16), speaker.name


class Mixer:
    """Draws mixtures: ``(T, BANDS)`` frames, ``(T,)`` targets, and ``(T,)`` which of them count."""

    def __init__(self, clips: Clips) -> None:
        self._clips = [clips.of(kind) for kind in range(len(KINDS))]

    def draw(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """One mixture as the spotter hears it, and where a stop is to be told."""
        sound, end = self.sound(rng, rng.random() < 0.5)
        return (_without_bands(log_mel(sound), rng), *targets(len(sound), end))

    def sound(self, rng: np.random.Generator, stop: bool) -> tuple[Samples, int | None]:
        """One mixture, `LENGTH` long, and where the stop ends in it, if there is to be one."""
        line = np.zeros(round(LENGTH * RATE), np.float32)
        end = None
        if stop:
            end = self._say_stop(line, rng)
        else:
            self._say_others(line, rng)
        return self._heard(room(line, rng) if rng.random() < 0.7 else line, rng), end

    def _say_stop(self, line: Samples, rng: np.random.Generator) -> int:
        """Somewhere, often with other words close to it; returns where the word ends."""
        stop = self._any(STOP, rng)
        latest = len(line) - len(stop) - round(0.25 * RATE)
        start = int(rng.integers(round(0.2 * RATE), max(latest, round(0.2 * RATE) + 1)))
        stop = stop[: len(line) - start]
        line[start : start + len(stop)] += stop
        if rng.random() < 0.5:
            before = self._any(
                rng.choice([AROUND, NEAR, COMMAND, TALK], p=[0.5, 0.1, 0.2, 0.2]), rng
            )
            gap = int(rng.uniform(0.02, 0.5) * RATE)
            place = start - gap
            piece = before[-place:] if place > 0 else before[:0]
            line[place - len(piece) : place] += piece
        if rng.random() < 0.4:
            after = self._any(AROUND, rng)
            # Often without a pause: "stop it".
            pause = rng.uniform(-0.03, 0.05) if rng.random() < 0.4 else rng.uniform(0.05, 0.6)
            place = start + len(stop) + int(pause * RATE)
            piece = after[: max(0, len(line) - place)]
            line[place : place + len(piece)] += piece
        return start + len(stop)

    def _say_others(self, line: Samples, rng: np.random.Generator) -> None:
        if rng.random() < _BABBLE:
            line += noise("babble", len(line), rng, self._clips[TALK])
            return
        at = -int(rng.uniform(0, 1.0) * RATE)
        while at < len(line) and rng.random() < 0.93:
            kind = rng.choice([AROUND, NEAR, COMMAND, TALK], p=[0.1, 0.45, 0.2, 0.25])
            clip = self._any(kind, rng)
            begin = max(at, 0)
            piece = clip[begin - at : begin - at + len(line) - begin]
            line[begin : begin + len(piece)] += piece
            at += len(clip) + int(rng.uniform(0.02, 0.5) * RATE)

    def _heard(self, sound: Samples, rng: np.random.Generator) -> Samples:
        """Mostly with noise, and as loud as a microphone has it."""
        level = loud(sound) if np.abs(sound).max() > 0 else 0.1
        mixed = sound
        # A microphone that subtracts the noise leaves silence.
        if rng.random() < 0.8:
            kind = NOISES[int(rng.integers(len(NOISES)))]
            ratio = rng.uniform(3.0, 40.0)
            other = noise(kind, len(sound), rng, self._clips[TALK])
            mixed = sound + level * 10 ** (-ratio / 20) * other
        mixed = coloured(mixed, rng) if rng.random() < 0.7 else mixed
        gain = 10 ** (rng.uniform(-34.0, -6.0) / 20) / level
        return np.clip(mixed * gain, -1.0, 1.0).astype(np.float32)

    def _any(self, kind: int, rng: np.random.Generator) -> Samples:
        clips = self._clips[kind]
        clip = clips[int(rng.integers(len(clips)))]
        return other_voice(clip, rng) if rng.random() < 0.7 else clip


def _without_bands(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Now and then a few neighbouring bands are silent (Park et al. 2019, SpecAugment)."""
    for _ in range(int(rng.integers(0, 3))):
        count = int(rng.integers(1, 7))
        first = int(rng.integers(BANDS - count))
        frames[:, first : first + count] = SILENT
    return frames


def targets(count: int, end: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``(T,)`` 1 where a stop that ended at sample `end` is to be told; ``(T,)`` what counts."""
    frames = 1 + (count - FRAME) // HOP
    wanted, counts = np.zeros(frames, np.float32), np.ones(frames, np.float32)
    if end is not None:
        # The time at which each frame has been heard.
        heard = (np.arange(frames) * HOP + FRAME - end) / RATE
        wanted[(heard >= _FROM) & (heard <= _TO)] = 1.0
        # Earlier is welcome if it is sure of it, and later does no harm.
        counts[(heard > -0.15) & (heard < _FROM)] = 0.0
        counts[(heard > _TO) & (heard < _UNTIL)] = 0.0
    return wanted, counts
