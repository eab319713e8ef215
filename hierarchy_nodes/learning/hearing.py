"""The ears of an in-process stack: a microphone's blocks -> words that the stack is told.

The same cores as the speech node's, on simulated time: an utterance ends when the end-pointer
says so, and its words come as much later as recognising them really took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from hierarchy_nodes.learning.person.voice import Microphone
from hierarchy_nodes.parameters import make
from hierarchy_nodes.speech.audio import Sound
from hierarchy_nodes.speech.base import RECOGNISERS, Heard, Recogniser
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.listening import Listener
from hierarchy_nodes.speech.spotter.spotter import Spotted, StopSpotter
from hierarchy_nodes.types import SPOTTER, Correction

if TYPE_CHECKING:
    from hierarchy_nodes.learning.stack import InProcessStack


@dataclass(frozen=True)
class Words:
    """What the stack was told.

    Attributes:
        text: In the recogniser's words.
        start, end: Of the sound that they were heard in, seconds.
        at: When they were told.
        engine: The recogniser's name, or `SPOTTER`.
        corrections: What the stack took them for.
    """

    text: str
    start: float
    end: float
    at: float
    engine: str
    corrections: tuple[Correction, ...]


class Hearing:
    """A watcher of an :class:`InProcessStack`.

    Args:
        microphone: Its time is the stack's.
        config: As of the speech node.
        recogniser: In place of the one that `config` names.
        spotter: Hears "stop" at once; None: there is none.

    Attributes:
        told: Called with what the stack was told.
        seconds: What recognising took, each time.
    """

    def __init__(
        self,
        microphone: Microphone,
        config: SpeechConfig | None = None,
        recogniser: Recogniser | None = None,
        spotter: StopSpotter | None = None,
    ) -> None:
        self.microphone = microphone
        self.config = config or SpeechConfig()
        self.told: Callable[[Words], None] = lambda words: None
        self.seconds: list[float] = []
        self._recogniser = recogniser or loaded(self.config.recogniser)
        self._listener = Listener(self.config, spotter)
        # Until when the recogniser, which takes one utterance after the other, is busy.
        self._busy = 0.0

    def __call__(self, stack: InProcessStack) -> None:
        while self.microphone.due <= stack.time:
            caught = self._listener.push(self.microphone.read())
            for stop in caught.stops:
                self._stop(stack, stop)
            for sound in caught.utterances:
                self._recognise(stack, sound)

    def busy(self, now: float) -> bool:
        """Whether somebody is heard speaking, or words are still being made out."""
        return self._listener.speaking or now < self._busy

    def _stop(self, stack: InProcessStack, stop: Spotted) -> None:
        corrections = stack.say("stop", stop.at, stop.probability)
        self.told(Words("stop", stop.at, stop.at, stack.time, SPOTTER, tuple(corrections)))

    def _recognise(self, stack: InProcessStack, sound: Sound) -> None:
        names = tuple(p.label for p in stack.plan.prompts) if stack.plan is not None else ()
        begin = time.perf_counter()
        heard = self._recogniser.recognise(sound, names)
        self.seconds.append(time.perf_counter() - begin)
        self._busy = max(self._busy, stack.time) + self.seconds[-1]
        stack.after(self._busy - stack.time, partial(self._tell, stack, sound, heard))

    def _tell(self, stack: InProcessStack, sound: Sound, heard: Heard) -> None:
        text = self._listener.admit(sound, heard) if heard.text else ""
        if not text:
            return
        corrections = stack.say(text, sound.start, heard.confidence)
        self.told(
            Words(
                text,
                sound.start,
                sound.end,
                stack.time,
                self.config.recogniser,
                tuple(corrections),
            )
        )


@lru_cache(maxsize=1)
def loaded(name: str) -> Recogniser:
    """A recogniser by its name, kept for the next episode."""
    found: Recogniser = make(RECOGNISERS, name)
    return found
