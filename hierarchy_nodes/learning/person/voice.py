"""A voice in a room, and the microphone that hears it: text -> blocks of sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.base import AudioBlock
from hierarchy_nodes.errors import UnknownNameError
from hierarchy_nodes.learning.person.wording import MEASURED, PARTS, TUNED
from hierarchy_nodes.learning.stop import corpus
from hierarchy_nodes.learning.stop.mixing import NOISES, coloured, loud, noise, room
from hierarchy_nodes.learning.stop.speaker import Speaker
from hierarchy_nodes.learning.stop.voices import measured, trained
from hierarchy_nodes.speech.audio import RATE, Samples

BLOCK = RATE // 50  # samples
# Of the words, relative to full scale, and over the noise: decibels.
_LEVEL, _RATIO = (-34.0, -14.0), (10.0, 30.0)
# Voices behind words are told from them by their loudness alone: decibels more.
_BABBLE, _TALKERS = 6.0, 4
# The noise comes again after so many seconds, and an echo dies away in so many.
_NOISE, _ECHO = 20.0, 0.5
_ROOM = 0.7  # of the places have echoes


@dataclass(frozen=True)
class Place:
    """Where somebody speaks.

    Attributes:
        level: Of the words at the microphone, decibels relative to full scale.
        ratio: Of words to noise, decibels.
        noise: One of `mixing.NOISES`.
        echoes: Seed of the room's echoes; None: there are none.
        colour: Seed of what the microphone makes louder and softer.
    """

    level: float = -20.0
    ratio: float = 40.0
    noise: str = "pink"
    echoes: int | None = None
    colour: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Place:
        """Somewhere."""
        kind = NOISES[int(rng.integers(len(NOISES)))]
        ratio = float(rng.uniform(*_RATIO)) + (_BABBLE if kind == "babble" else 0.0)
        echoes = int(rng.integers(2**31)) if rng.random() < _ROOM else None
        return cls(float(rng.uniform(*_LEVEL)), ratio, kind, echoes, int(rng.integers(2**31)))


@dataclass(frozen=True)
class Speech:
    """A sentence as it comes to the microphone.

    Attributes:
        samples: ``(N,)`` float32 at 16 kHz, with its echo, without the noise.
        seconds: From the beginning of the first word to the end of the last one.
    """

    samples: Samples
    seconds: float


class Voice:
    """One person's, at one place.

    Args:
        speaker: Who speaks.
        place: Where.
        rng: Draws speed and pitch anew for each sentence.
    """

    def __init__(self, speaker: Speaker, place: Place, rng: np.random.Generator) -> None:
        self.speaker, self.place, self._rng = speaker, place, rng

    @classmethod
    def draw(cls, rng: np.random.Generator, part: str = TUNED) -> Voice:
        """Somebody, somewhere; out of the voices to try things with, or of those to measure them.

        Raises:
            UnknownNameError: No such part.
        """
        speakers = voices(part)
        return cls(speakers[int(rng.integers(len(speakers)))], Place.draw(rng), rng)

    def speak(self, text: str) -> Speech:
        """Say `text`."""
        place = self.place
        words = self.speaker.speak(text, self._rng)
        seconds = len(words) / RATE
        gain = 10 ** (place.level / 20) / loud(words)
        if place.echoes is not None:
            # The same room for every sentence.
            words = room(
                np.pad(words, (0, round(_ECHO * RATE))), np.random.default_rng(place.echoes)
            )
        return Speech(coloured(words * gain, np.random.default_rng(place.colour)), seconds)


class Microphone:
    """A stream of blocks of 20 ms: noise all the time, and words from when they are said on.

    Args:
        place: Where it stands.
        rng: Of the noise.
        start: The time of its first sample, seconds.
        part: Whose voices babble behind the words.
    """

    def __init__(
        self,
        place: Place,
        rng: np.random.Generator,
        start: float = 0.0,
        part: str = TUNED,
    ) -> None:
        babble = _talk(rng, part) if place.noise == "babble" else None
        level = 10 ** ((place.level - place.ratio) / 20)
        self._noise = level * noise(place.noise, round(_NOISE * RATE), rng, babble)
        self._start, self._count = start, 0
        self._words: list[tuple[int, Samples]] = []

    @property
    def due(self) -> float:
        """When the next block will be complete, seconds."""
        return self._start + (self._count + 1) * BLOCK / RATE

    def say(self, speech: Speech, at: float) -> float:
        """Let it be heard from `at` on, or from now on if that is over; when the words end."""
        first = max(round((at - self._start) * RATE), self._count * BLOCK)
        self._words.append((first, speech.samples))
        return self._start + first / RATE + speech.seconds

    def read(self) -> AudioBlock:
        """The next block, stamped and numbered; whoever reads it waits until it is due."""
        first = self._count * BLOCK
        sound = np.take(self._noise, np.arange(first, first + BLOCK), mode="wrap")
        for begin, words in self._words:
            here = words[max(first - begin, 0) : max(first + BLOCK - begin, 0)]
            offset = max(begin - first, 0)
            sound[offset : offset + len(here)] += here
        self._words = [(b, w) for b, w in self._words if b + len(w) > first + BLOCK]
        samples = (np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16)
        block = AudioBlock(self._start + first / RATE, RATE, self._count, samples[:, None])
        self._count += 1
        return block


def voices(part: str) -> list[Speaker]:
    """Those that the recogniser was trained on, to try things with, or those kept to measure.

    Raises:
        UnknownNameError: No such part.
    """
    if part not in PARTS:
        raise UnknownNameError("part of the voices", part, PARTS)
    return measured() if part == MEASURED else trained()


def _talk(rng: np.random.Generator, part: str) -> list[Samples]:
    speakers = voices(part)
    texts = corpus.part(corpus.talk(), "measured" if part == MEASURED else "trained")
    return [
        speakers[int(rng.integers(len(speakers)))].speak(texts[int(rng.integers(len(texts)))], rng)
        for _ in range(_TALKERS)
    ]
