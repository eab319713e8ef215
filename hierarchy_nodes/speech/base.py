"""What a recogniser is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hierarchy_nodes.registry import Registry
from hierarchy_nodes.speech.audio import Sound


@dataclass(frozen=True)
class Heard:
    """Words, and how sure the recogniser is of them, in [0, 1]. No words: nobody said any."""

    text: str
    confidence: float


class Recogniser(ABC):
    """Turns an utterance into words. Free of ROS; may be slow; for one thread."""

    Options: ClassVar[type[Any]]

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def recognise(self, sound: Sound, names: Sequence[str] = ()) -> Heard:
        """What was said.

        Args:
            sound: From the beginning of the words to their end.
            names: Of things that may be talked about, such as those in view.
        """


RECOGNISERS = Registry(
    "recogniser",
    "hierarchy_nodes.speech.base:Recogniser",
    {
        "commands": "hierarchy_nodes.speech.commands.recogniser:CommandRecogniser",
        "whisper": "hierarchy_nodes.speech.whisper:WhisperRecogniser",
    },
    group="hierarchy.recognisers",
)
