"""What was said to a stack, and what came of it: one sentence at a time, and in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.correction.meaning import meanings
from hierarchy_nodes.learning.statistics import latency, share
from hierarchy_nodes.types import SPOTTER, Correction, CorrectionKind

if TYPE_CHECKING:
    from hierarchy_nodes.learning.evaluation import EpisodeResult
    from hierarchy_nodes.learning.hearing import Words
    from hierarchy_nodes.learning.person.person import Utterance
    from hierarchy_nodes.learning.stack import InProcessStack

# Nobody says anything; somebody speaks; what is said is understood word by word when it is over.
NONE, SPOKEN, TYPED = "none", "spoken", "typed"
PEOPLE = (NONE, SPOKEN, TYPED)
# What goes through the controller, and what through the planner; the rest is the arm's own.
_MOVES = (CorrectionKind.MOTION, CorrectionKind.GRIPPER)
_PLANS = (CorrectionKind.RETARGET, CorrectionKind.TASK, CorrectionKind.UNDO)


@dataclass
class Exchange:
    """A sentence, and what came of it.

    Attributes:
        said: What, and when.
        heard: What the stack was told.
        acted: When the arm was first sent something else because of it.
    """

    said: Utterance
    heard: list[Words] = field(default_factory=list)
    acted: float | None = None
    _plan_id: str = ""

    @property
    def understood(self) -> bool:
        """Whether it was taken for what the same words mean in writing.

        A stop that was heard early is the same stop once more.
        """
        found = [c for words in self.heard if words.engine != SPOTTER for c in words.corrections]
        return meanings(found) == meanings(parse(self.said.text, 0.0, CorrectionConfig()))

    def tell(self, words: Words, stack: InProcessStack) -> None:
        """The stack was told something of it."""
        self.heard.append(words)
        self._plan_id = stack.chunk.plan_id if stack.chunk is not None else ""

    def watch(self, stack: InProcessStack) -> None:
        """Note when the arm acts on it."""
        accepted = [c for words in self.heard for c in words.corrections if c.accepted]
        if self.acted is None and any(self._shows(c, stack) for c in accepted):
            self.acted = stack.time

    def _shows(self, correction: Correction, stack: InProcessStack) -> bool:
        told, chunk = self.heard[-1].at, stack.chunk
        if correction.kind in _PLANS:
            ended = chunk is not None and chunk.plan_id not in ("", self._plan_id)
            return ended and stack.plan is not None
        if correction.kind in _MOVES:
            return chunk is not None and chunk.stamp >= told
        return stack.time > told

    def report(self) -> dict[str, Any]:
        """As plain values; times are seconds of the episode."""
        first = self.heard[0].at if self.heard else None
        return {
            "about": self.said.fault,
            "text": self.said.text,
            "seen": round(self.said.seen, 3),
            "begun": round(self.said.begun, 3),
            "ended": round(self.said.ended, 3),
            "heard": [words.text for words in self.heard],
            "kinds": [str(c.kind) for words in self.heard for c in words.corrections],
            "told": None if first is None else round(first, 3),
            "acted": None if self.acted is None else round(self.acted, 3),
            "understood": self.understood,
        }


def summarise(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """Of all episodes with a person in them: how much was said and understood, how quickly."""
    reports = [r.person for r in results if r.person]
    said = [u for report in reports for u in report["utterances"]]
    told = [u for u in said if u["told"] is not None]
    acted = [u for u in said if u["acted"] is not None]
    faults = [u["about"] or "go on" for u in said]
    return {
        "utterances": len(said),
        "per_episode": round(len(said) / len(reports), 2),
        "understood": share(sum(u["understood"] for u in said), len(said)),
        "acted_on": len(acted),
        "noises_taken_for_words": sum(len(report["noises"]) for report in reports),
        "gave_up": sum(report["gave_up"] for report in reports),
        "about": {fault: faults.count(fault) for fault in sorted(set(faults))},
        "delay_ms": {
            "mistake to first word": latency([u["begun"] - u["seen"] for u in said]),
            "last word to transcript": latency([u["told"] - u["ended"] for u in told]),
            "last word to action": latency([u["acted"] - u["ended"] for u in acted]),
            "mistake to action": latency([u["acted"] - u["seen"] for u in acted]),
            "recognising": latency([s for report in reports for s in report["recognising"]]),
        },
    }
