"""Going back to a task that was interrupted or failed: what people say, and what is kept of it."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.types import Correction

_TASK = (
    r"(?:the|your|that|my) (?:(?:old|previous|first|last|former|earlier|other|interrupted|original"
    r"|unfinished) (?:task|job|one|thing|work|order|instruction)"
    r"|(?:task|job|thing|work|order|instruction) (?:from )?before)"
)
_BEFORE = r"(?:before|earlier|previously|first|at first|before that)"
_RESUMES = re.compile(
    r"(?:(?:please|now|ok|okay|then|and|so|just|robot|you can|you may|could you|can you|lets) )*"
    r"(?:"
    r"(?:(?:go|get|come|switch|return|change|turn)(?: back)? to|continue(?: with)?|resume|finish"
    r"|complete|take up|carry on with|go on with|keep on with|do|finish off) "
    rf"(?:{_TASK}|what you (?:were doing|had started|did|started|were told) {_BEFORE}"
    r"|what you had (?:started|begun)|what you started)"
    r"|(?:go|get)(?: back)? to what you were doing|finish what you were doing"
    r")(?: (?:again|now|please|first|instead|then|after all))*"
)

# Whoever ends a task in one of these ways does not mean it any more.
_NO_FAILURE = (ErrorCode.NONE, ErrorCode.PREEMPTED, ErrorCode.CANCELLED)


@dataclass(frozen=True)
class Interrupted:
    """A task that another one took the place of, or that failed.

    Attributes:
        instruction: Its words.
        steps: Those that are left.
        corrections: Of the first of these.
    """

    instruction: str
    steps: tuple[str, ...]
    corrections: tuple[Correction, ...] = ()


class Interruptions:
    """Remembers the last few tasks that others took the place of."""

    def __init__(self, most: int = 8) -> None:
        self._tasks: deque[Interrupted] = deque(maxlen=most)

    def remember(self, left: Interrupted) -> None:
        """Keep what is left of a task, if anything is."""
        if left.steps:
            self._tasks.append(left)

    def recall(self, text: str) -> Interrupted | None:
        """The task to go back to, which is then forgotten; None if `text` asks for no such thing
        or there is none."""
        return self.last() if resumes(text) else None

    def last(self) -> Interrupted | None:
        """The task that was interrupted last, which is then forgotten; None if there is none."""
        return self._tasks.pop() if self._tasks else None


class SecondChance:
    """The task that failed last: it is tried again with what is said of it then.

    Args:
        patience: How long after it failed, seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._failed: Interrupted | None = None
        self._until = 0.0
        self._again: Interrupted | None = None

    def ended(self, code: ErrorCode, left: Interrupted, now: float) -> None:
        """If it failed, and had been understood, it is meant from now on; otherwise nothing is."""
        self._again = None
        self._failed = left if left.steps and code not in _NO_FAILURE else None
        self._until = now + self._patience

    def correct(self, now: float, *corrections: Correction) -> str:
        """The instruction to start anew, to which these belong as well; "" if none is meant."""
        if self._failed is None or now > self._until:
            return ""
        task = self._failed
        self._again = replace(task, corrections=(*task.corrections, *corrections))
        return task.instruction

    def take(self, instruction: str) -> Interrupted | None:
        """What that instruction begins with, if it was just corrected; all is forgotten then."""
        again, self._failed, self._again = self._again, None, None
        return again if again is not None and again.instruction == instruction else None


def resumes(text: str) -> bool:
    """Whether `text` asks to go back to the task that was interrupted last."""
    words = re.sub(r"[^a-z0-9 ]", " ", re.sub(r"['\u2019`]", "", text.casefold()))
    return _RESUMES.fullmatch(" ".join(words.split())) is not None
