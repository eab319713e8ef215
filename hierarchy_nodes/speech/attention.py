"""Whether words are meant for the robot. A stop always is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.types import CorrectionKind

ALWAYS, WAKE_WORD, PUSH_TO_TALK = "always", "wake_word", "push_to_talk"


@dataclass(frozen=True)
class AttentionOptions:
    """When the robot listens."""

    attention: str = param(
        ALWAYS,
        "always; wake_word: after its name; push_to_talk: while microphone/talk is true",
        choices=(ALWAYS, WAKE_WORD, PUSH_TO_TALK),
    )
    wake_word: str = param("robot", "Its name")
    attention_time: float = param(
        8.0, "It listens for so long after its name and after words that it took",
        unit="s", low=0.0, high=120.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.attention == WAKE_WORD and not re.search(r"\w", self.wake_word):
            raise ConfigError("wake_word: is empty, but attention is 'wake_word'.")


class Attention:
    """Lets through what is said to the robot."""

    def __init__(self, options: AttentionOptions) -> None:
        self._options = options
        name = r"\W+".join(re.findall(r"\w+", options.wake_word))
        self._name = re.compile(rf"\s*(?:(?:hey|ok|okay|hello)\W+)?{name}\b\W*", re.IGNORECASE)
        self._until = -float("inf")
        self._pressed_since: float | None = None
        self._released_at = -float("inf")

    def press(self, pressed: bool, now: float) -> None:
        """The person holds the button, or lets go of it."""
        if pressed and self._pressed_since is None:
            self._pressed_since = now
        elif not pressed and self._pressed_since is not None:
            self._pressed_since, self._released_at = None, now

    def admit(self, text: str, start: float, end: float) -> str:
        """What of `text`, spoken from `start` to `end`, is for the robot; "" for nothing."""
        options = self._options
        if options.attention == ALWAYS or _stops(text):
            return text
        if options.attention == PUSH_TO_TALK:
            held = self._pressed_since is not None or self._released_at >= start
            return text if held else ""
        called = self._name.match(text)
        if called is None and start > self._until:
            return ""
        self._until = end + options.attention_time
        return text[called.end() :] if called is not None else text


def _stops(text: str) -> bool:
    found = parse(text, 0.0, CorrectionConfig())
    return any(c.kind == CorrectionKind.STOP for c in found)
