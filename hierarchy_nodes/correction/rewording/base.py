"""What the grammar does not know, by meaning: other words for the same thing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.registry import Registry
from hierarchy_nodes.types import CorrectionKind

_LONGEST = 120
# To go on after a stop, somebody has to say so in words that leave no doubt.
_NEVER = (CorrectionKind.UNKNOWN, CorrectionKind.RESUME)


@dataclass(frozen=True)
class Reworded:
    """The same in words of the grammar, and how sure that is, in [0, 1]."""

    text: str
    confidence: float


class Rewording(ABC):
    """Rewords what people say freely. Free of ROS; may be slow; for one thread."""

    Options: ClassVar[type[Any]]

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def reword(self, text: str, names: Sequence[str] = ()) -> Reworded | None:
        """`text` in words that the grammar knows; None where it means nothing of that kind.

        Args:
            text: In which the grammar found nothing.
            names: Of things that may be talked about, such as those in view.

        Raises:
            HierarchyError: The model or its server cannot be asked.
        """


@dataclass(frozen=True)
class NoOptions:
    """None."""


class NoRewording(Rewording):
    """Only what the grammar knows counts."""

    Options = NoOptions

    def reword(self, text: str, names: Sequence[str] = ()) -> Reworded | None:
        return None


def understood(text: str) -> bool:
    """Whether the grammar understands all of `text`, and it may be acted on by meaning alone."""
    if not text or len(text) > _LONGEST or "\n" in text:
        return False
    return all(c.accepted and c.kind not in _NEVER for c in parse(text, 0.0))


REWORDINGS = Registry(
    "rewording",
    "hierarchy_nodes.correction.rewording.base:Rewording",
    {
        "none": "hierarchy_nodes.correction.rewording.base:NoRewording",
        "openai": "hierarchy_nodes.correction.rewording.server:ServerRewording",
        "embedding": "hierarchy_nodes.correction.rewording.embedding:EmbeddingRewording",
    },
    group="hierarchy.rewordings",
)
