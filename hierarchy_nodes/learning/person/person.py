"""Somebody who watches, notices after a while, and says a sentence at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.learning.person.voice import Speech, Voice
from hierarchy_nodes.learning.person.watching import Fault, Mistake, Onlooker
from hierarchy_nodes.learning.person.wording import Wording
from hierarchy_nodes.parameters import param

# Seconds between two looks, and of the quickest and the slowest reaction.
_LOOK, _QUICKEST, _SLOWEST = 0.05, 0.25, 2.0


@dataclass(frozen=True)
class PersonOptions:
    """How quick and how patient a person is."""

    reaction: float = param(
        0.6, "Median time from a mistake to the first word", unit="s", low=0.1, high=5.0
    )
    spread: float = param(0.3, "Standard deviation of its logarithm", low=0.0, high=1.0)
    patience: float = param(
        1.0, "Wait after the last word before saying something else", unit="s", low=0.0, high=30.0
    )
    repeat: float = param(3.5, "... and before saying the same again", unit="s", low=0.0, high=30.0)
    most: int = param(6, "Sentences before the person gives up", low=1, high=100)


@dataclass(frozen=True)
class Utterance:
    """One sentence.

    Attributes:
        fault: What it is about; empty for "go on" after a stop.
        text: The words.
        speech: How it sounds.
        seen: When the mistake could first be seen, seconds.
        begun: When the sentence began.
    """

    fault: str
    text: str
    speech: Speech
    seen: float
    begun: float

    @property
    def ended(self) -> float:
        """When its last word was over."""
        return self.begun + self.speech.seconds


class Person:
    """See the module. Call :meth:`step` often; time is an argument.

    Args:
        onlooker, wording, voice: What is seen, how it is put, and how it sounds.
        rng: Of the reaction times.

    Attributes:
        said: Everything so far.
    """

    def __init__(
        self,
        onlooker: Onlooker,
        wording: Wording,
        voice: Voice,
        rng: np.random.Generator,
        options: PersonOptions | None = None,
    ) -> None:
        self.onlooker, self.voice = onlooker, voice
        self.options = options or PersonOptions()
        self.said: list[Utterance] = []
        self._wording, self._rng = wording, rng
        self._looked = -np.inf
        self._noticed: Mistake | None = None
        self._seen = self._due = 0.0
        self._about: Mistake | None = None

    @property
    def gave_up(self) -> bool:
        """Whether the person says nothing more, whatever happens."""
        return len(self.said) >= self.options.most

    @property
    def speaks_until(self) -> float:
        """When the last sentence is or was over; minus infinity before the first."""
        return self.said[-1].ended if self.said else -np.inf

    @property
    def noticed(self) -> bool:
        """Whether something is wrong that the person is about to remark on."""
        return self._noticed is not None and not self.gave_up

    def step(self, now: float, stopped: bool = False) -> Utterance | None:
        """What the person begins to say at `now`, if anything.

        Args:
            stopped: Whether the arm shows that it is stopped, and waits to be told to go on.
        """
        if now < self._looked + _LOOK or now < self.speaks_until or self.gave_up:
            return None
        self._looked = now
        mistake = self._remarkable(self.onlooker.look(now), now)
        if mistake is None:
            self._noticed = None
        elif not mistake.same(self._noticed):
            self._noticed, self._seen, self._due = mistake, now, now + self._reaction()
        elif now >= self._due:
            # Put as it looks now, not as it did at first.
            return self._say(mistake, now, stopped)
        return None

    def _remarkable(self, mistake: Mistake | None, now: float) -> Mistake | None:
        """The mistake, if it is time to say something about it."""
        if mistake is None or not self.said:
            return mistake
        again = mistake.same(self._about)
        wait = self.options.repeat if again else self.options.patience
        return mistake if now > self.speaks_until + wait else None

    def _say(self, mistake: Mistake, now: float, stopped: bool) -> Utterance:
        # Whoever sees that it does nothing because it was stopped does not explain the task.
        released = mistake.fault == Fault.IDLE and stopped
        text = self._wording.go_on() if released else self._wording.of(mistake)
        fault = "" if released else str(mistake.fault)
        said = Utterance(fault, text, self.voice.speak(text), self._seen, now)
        self.said.append(said)
        self._noticed, self._about = None, mistake
        return said

    def _reaction(self) -> float:
        drawn = self.options.reaction * np.exp(self._rng.normal(0.0, self.options.spread))
        return float(np.clip(drawn, _QUICKEST, _SLOWEST))
