"""A person and an in-process stack, and how words get from the one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.errors import UnknownNameError
from hierarchy_nodes.learning.exchanges import NONE, PEOPLE, TYPED, Exchange
from hierarchy_nodes.learning.hearing import Hearing, Words
from hierarchy_nodes.learning.person.person import Person, Utterance
from hierarchy_nodes.learning.person.voice import Microphone, Voice
from hierarchy_nodes.learning.person.watching import Onlooker
from hierarchy_nodes.learning.person.wording import MEASURED, TUNED, Wording
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.spotter.spotter import StopSpotter

if TYPE_CHECKING:
    from hierarchy_nodes.learning.stack import InProcessStack

# With nothing more to say for so long, the person is done, seconds.
_SILENCE = 5.0
# A sound belongs to the sentence that it overlaps, give or take so much, seconds.
_SLACK = 0.5
# Of the seeds in between, wordings and voices are those to measure with.
_TRIALS, _MEASURED_TO = 1000, 100_000
_RESERVED = 900_000


def part_of(seed: int) -> str:
    """Which wordings and voices an episode has: those for measuring only in evaluations."""
    measured = _TRIALS <= seed < _MEASURED_TO or seed >= _RESERVED
    return MEASURED if measured else TUNED


class Talk:
    """A watcher of an :class:`InProcessStack`: a person's words on their way into it.

    Args:
        person: Who speaks.
        hearing: How it is heard; None: word by word, as soon as a sentence is over.
    """

    def __init__(self, person: Person, hearing: Hearing | None = None) -> None:
        self.person, self.hearing = person, hearing
        self.exchanges: list[Exchange] = []
        self.noises: list[Words] = []
        self._new: list[Words] = []
        # What is done now is done because of what was told last.
        self._latest: Exchange | None = None
        self._quiet_since = 0.0
        if hearing is not None:
            hearing.told = self._new.append

    @classmethod
    def draw(cls, kind: str, cell: Cell, task: TaskSpec, seed: int) -> Talk | None:
        """The person of an episode, one of `PEOPLE`; who speaks and types says the same.

        Raises:
            UnknownNameError: No such kind of person.
        """
        if kind not in PEOPLE:
            raise UnknownNameError("person", kind, PEOPLE)
        if kind == NONE:
            return None
        part = part_of(seed)
        words, voice, reactions, noise = (np.random.default_rng([seed, 7, i]) for i in range(4))
        wording = Wording(cell, task, words, part, CorrectionConfig().frame)
        person = Person(Onlooker(cell, task), wording, Voice.draw(voice, part), reactions)
        if kind == TYPED:
            return cls(person)
        microphone = Microphone(person.voice.place, noise, cell.time, part)
        config = SpeechConfig()
        return cls(person, Hearing(microphone, config, spotter=StopSpotter(config)))

    def __call__(self, stack: InProcessStack) -> None:
        now = stack.time
        said = self.person.step(now, stack.executor.stop_reason is not None)
        if said is not None:
            self.exchanges.append(Exchange(said))
            if self.hearing is not None:
                self.hearing.microphone.say(said.speech, now)
            else:
                stack.after(said.ended - now, lambda: self._read(said, stack))
        if self.hearing is not None:
            self.hearing(stack)
        while self._new:
            self._assign(self._new.pop(0), stack)
        if self._latest is not None:
            self._latest.watch(stack)
        if stack.executive.task is not None or self.person.noticed or self._speaking(now):
            self._quiet_since = now

    def attend(self, stack: InProcessStack, until: float) -> None:
        """Go on as long as a task runs or the person has something to say, at most to `until`."""
        stack.run(until - stack.time, lambda: stack.time - self._quiet_since > _SILENCE)
        stack.executive.cancel(stack.time, "The person's time is up.")

    def report(self) -> dict[str, Any]:
        """What was said and heard, ready for JSON."""
        return {
            "voice": self.person.voice.speaker.name,
            "place": vars(self.person.voice.place),
            "gave_up": self.person.gave_up,
            "utterances": [exchange.report() for exchange in self.exchanges],
            "noises": [{"text": w.text, "at": round(w.at, 3)} for w in self.noises],
            "recognising": self.hearing.seconds if self.hearing is not None else [],
        }

    def _speaking(self, now: float) -> bool:
        heard = self.hearing is not None and self.hearing.busy(now)
        return heard or now < self.person.speaks_until

    def _read(self, said: Utterance, stack: InProcessStack) -> None:
        corrections = tuple(stack.say(said.text, said.begun))
        self._new.append(Words(said.text, said.begun, said.ended, stack.time, TYPED, corrections))

    def _assign(self, words: Words, stack: InProcessStack) -> None:
        """To the sentence that it was heard in, or to none."""
        for exchange in reversed(self.exchanges):
            said = exchange.said
            if words.end > said.begun - _SLACK and words.start < said.ended + _SLACK:
                exchange.tell(words, stack)
                self._latest = exchange
                return
        self.noises.append(words)
