"""What a clause means, before it gets a stamp and an identity."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hierarchy_nodes.types import Array, CorrectionKind, Gripper


@dataclass(frozen=True)
class Draft:
    """One meaning found in a clause.

    Attributes:
        direction: ``(3,)`` unit vector in the base frame, or zeros; `distance` in metres.
        rotation: Radians about the tool's approach axis.
        words: The motion in plain words, or what was not understood.
        soft: Said in passing ("wait, ..."): dropped where the rest says what to do.
    """

    kind: CorrectionKind
    answer: str
    confidence: float = 0.95
    accepted: bool = True
    direction: Array = field(default_factory=lambda: np.zeros(3))
    distance: float = 0.0
    rotation: float = 0.0
    gripper: Gripper = Gripper.KEEP
    factor: float = 1.0
    role: str = ""
    phrase: str = ""
    words: str = ""
    soft: bool = False

    def same(self, other: Draft) -> bool:
        """Whether saying `other` after this says nothing new ("stop, stop")."""
        return (self.kind, self.answer, self.phrase) == (other.kind, other.answer, other.phrase)


def refused(kind: CorrectionKind, why: str) -> Draft:
    """Understood, but not done."""
    return Draft(kind, why, accepted=False, words=why)
