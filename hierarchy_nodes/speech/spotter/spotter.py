"""Hears "stop" while somebody is still speaking: no end of the utterance is waited for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import RATE, Samples, Sound
from hierarchy_nodes.speech.spotter.features import BANDS, FRAME, HOP, SILENT, WINDOW, log_mel
from hierarchy_nodes.speech.spotter.options import SpotterOptions
from hierarchy_nodes.speech.weights import file_of, load

# What is known of the network.
_FACTS = {"context": int, "count": int, "threshold": float, "suspicion": float}
# After a stop was heard, the rest of the same word is not another one: frames.
_AGAIN = round(0.8 * RATE / HOP)
# What was suspected is heard again for so long, and so often: frames.
LATEST, EVERY = round(0.3 * RATE / HOP), round(0.06 * RATE / HOP)


@dataclass(frozen=True)
class Spotted:
    """When it was heard (of the newest sample that was needed), and how sure that is."""

    at: float
    probability: float


class StopSpotter:
    """Feed it a stream; it keeps what it needs of the past.

    Raises:
        ConfigError: No such file, or no spotter in it.
    """

    def __init__(self, options: SpotterOptions) -> None:
        self._session, known = load(options.stop_weights, "stop", _FACTS)
        memory = [i for i in self._session.get_inputs() if i.name.startswith("past_")]
        if not memory:
            raise ConfigError(
                f"network 'stop': {file_of(options.stop_weights, 'stop')} is not made "
                "for a stream; make it anew: hierarchy train stop"
            )
        self._count, self._threshold = known["count"], known["threshold"]
        self._confirmer, self._suspicion = None, known["suspicion"]
        if options.confirm_stop:
            # Needs Whisper's features, which nothing else here does.
            from hierarchy_nodes.speech.spotter.confirming import confirmer

            self._confirmer = confirmer(options.confirm_weights, options.confirm_words)
            self._threshold = self._confirmer.threshold
        self._threshold = options.stop_threshold or self._threshold
        self._past = {i.name: np.zeros(i.shape, np.float32) for i in memory}
        # Nothing was said before the first piece.
        self._hear(np.full((known["context"] - 1, BANDS), SILENT, np.float32))
        self._silence = self._past
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next piece begins a new stream."""
        # What no frame ends in yet, after as much as is heard again.
        self._line: Samples = np.zeros(WINDOW, np.float32)
        self._past = self._silence
        # Frames in a row above the threshold, since the last stop, since it was suspected last,
        # and since it was heard again.
        self._sure, self._since, self._suspected, self._looked = 0, _AGAIN, LATEST, EVERY

    def push(self, sound: Sound) -> list[Spotted]:
        """What was heard in this piece."""
        self._line = np.concatenate([self._line, sound.samples])
        fresh = log_mel(self._line[WINDOW:])
        found = []
        if len(fresh):
            for index, sure in enumerate(self._hear(fresh)):
                last = WINDOW + index * HOP + FRAME
                probability = self._judge(float(sure), last)
                if probability is not None:
                    self._since = 0
                    at = sound.end - (len(self._line) - last) / RATE
                    found.append(Spotted(at, probability))
            self._line = self._line[len(fresh) * HOP :]
        return found

    def suspicions(self, samples: Samples) -> NDArray[np.int64]:
        """Where in a stream of ``(N,)`` samples frames end in which a stop is suspected."""
        self.reset()
        suspected = self._hear(log_mel(samples)) >= self._suspicion
        return np.flatnonzero(suspected) * HOP + FRAME

    def _judge(self, probability: float, last: int) -> float | None:
        """How sure a stop is, None for none, where a frame ends at sample `last` of the line."""
        self._since += 1
        if self._confirmer is None:
            self._sure = self._sure + 1 if probability >= self._threshold else 0
            told = self._sure >= self._count and self._since > _AGAIN
            return probability if told else None
        self._looked += 1
        self._suspected = 0 if probability >= self._suspicion else self._suspected + 1
        if self._suspected >= LATEST or self._looked < EVERY or self._since <= _AGAIN:
            return None
        self._looked = 0
        confirmed = self._confirmer(self._line[last - WINDOW : last])
        return confirmed if confirmed >= self._threshold else None

    def _hear(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(T,)`` how sure it is of a stop in each of ``(T, BANDS)`` new frames."""
        logits, *now = self._session.run(None, {"frames": frames[None], **self._past})
        self._past = dict(zip(self._past, now, strict=True))
        answers: NDArray[np.float32] = 1 / (1 + np.exp(-logits[0]))
        return answers
