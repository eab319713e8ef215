"""Words to be said while the arm moves: ``--say "TEXT@SECONDS"``, ``--speak "TEXT@SECONDS"``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hierarchy_nodes.errors import ConfigError


@dataclass(frozen=True, order=True)
class Line:
    """What to say and how many seconds after the task began."""

    at: float
    text: str


def parse_line(text: str, option: str = "--say") -> Line:
    """Read ``left a bit@4.5``, given with `option`. Raises ConfigError."""
    words, separator, seconds = text.rpartition("@")
    try:
        at = float(seconds)
    except ValueError:
        at = -1.0
    if not separator or not words.strip() or not 0 <= at < 3600:
        raise ConfigError(f"{option} '{text}': expected TEXT@SECONDS, e.g. 'left a bit@4'.")
    return Line(at, words.strip())


class Script:
    """Says each line once when its time has come."""

    def __init__(self, lines: Iterable[Line], say: Callable[[str], object]) -> None:
        self._waiting = sorted(lines)
        self._say = say

    def run(self, elapsed: float) -> None:
        """Say what is due `elapsed` seconds into the task."""
        while self._waiting and self._waiting[0].at <= elapsed:
            self._say(self._waiting.pop(0).text)
