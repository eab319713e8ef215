"""From blocks of sound to utterances, and to words that are meant for the robot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware.base import AudioBlock
from hierarchy_nodes.speech.attention import Attention
from hierarchy_nodes.speech.audio import Sound, Stream
from hierarchy_nodes.speech.base import Heard
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.endpointing import Endpointer

if TYPE_CHECKING:
    from hierarchy_nodes.speech.spotter.spotter import Spotted, StopSpotter


@dataclass(frozen=True)
class Caught:
    """What came to its end in a block of sound.

    Attributes:
        utterances: For the recogniser, in their order; too quiet ones are left out.
        stops: Each "stop" that the spotter heard, before its utterance ended.
    """

    utterances: tuple[Sound, ...] = ()
    stops: tuple[Spotted, ...] = ()


class Listener:
    """All of listening but the recognising, which is slow and left to the caller.

    Args:
        config: When an utterance ends, which are too quiet, and whom words are for.
        spotter: Hears "stop" while it is spoken; None: only whole utterances are heard.

    Attributes:
        attention: Tell it of the button.
    """

    def __init__(self, config: SpeechConfig, spotter: StopSpotter | None = None) -> None:
        self._config, self._spotter = config, spotter
        self._stream, self._endpointer = Stream(), Endpointer(config)
        self.attention = Attention(config)

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks now."""
        return self._endpointer.speaking

    @property
    def lost(self) -> int:
        """Blocks of sound that never came."""
        return self._stream.lost

    def push(self, block: AudioBlock) -> Caught:
        """What ended in `block`, the next one of the stream.

        Raises:
            AudioError: The block makes no sense; the next one may.
        """
        restarts = self._stream.restarts
        sound = self._stream.push(block)
        ended = self.flush() if self._stream.restarts != restarts else ()
        stops = self._spotter.push(sound) if self._spotter is not None else []
        ended += self._loud(self._endpointer.push(sound))
        return Caught(ended, tuple(stops))

    def flush(self) -> tuple[Sound, ...]:
        """What was being said when the sound broke off."""
        if self._spotter is not None:
            self._spotter.reset()
        return self._loud(self._endpointer.flush())

    def admit(self, sound: Sound, heard: Heard) -> str:
        """What of the words in `sound` is for the robot; "" for nothing."""
        return self.attention.admit(heard.text, sound.start, sound.end).strip()

    def _loud(self, utterances: list[Sound]) -> tuple[Sound, ...]:
        return tuple(s for s in utterances if s.loudness() >= self._config.least_loudness)
