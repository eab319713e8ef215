"""What a vision-language model answered, in the project's own units, whatever its dialect."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.errors import ErrorCode, HierarchyError
from hierarchy_nodes.types import Interaction, PathPoint, Prompt, StrEnum


class ReplyError(HierarchyError):
    """A reply that cannot be used; the message says why, and quotes the place."""

    code = ErrorCode.BACKEND_FAILED


class Status(StrEnum):
    """What the model says about the task."""

    PLAN = "plan"
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    DONE = "done"


@dataclass(frozen=True)
class Reply:
    """A reply that was understood. Everything may be missing but `status`.

    Attributes:
        path: As drawn by the model; `gripper` is an event, not a state.
        prompts: Points with roles.
        areas: Normalised points ``(x, y)`` that matter, of which the model told no role.
        interaction: None where the dialect has none.
        question: For the person, with NOT_FOUND and AMBIGUOUS.
        motion: Language motion that comes first.
        more: Steps remain after this subtask.
        confidence: In [0, 1]; None where the dialect has none.
        truncated: The reply broke off; what was whole has been kept.
        notes: What was mended, for the log.
    """

    status: Status = Status.PLAN
    path: tuple[PathPoint, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    areas: tuple[tuple[float, float], ...] = ()
    interaction: Interaction | None = None
    question: str = ""
    motion: str = ""
    subtask: str = ""
    more: bool = False
    confidence: float | None = None
    truncated: bool = False
    notes: tuple[str, ...] = ()


def quoted(text: str, most: int = 60) -> str:
    """`text` for a message: on one line, printable, and not longer than `most` characters."""
    cut = text[: most + 1]
    line = "".join(c if c.isprintable() else " " for c in cut)
    return f"'{line[:most]}...'" if len(cut) > most else f"'{line}'"
