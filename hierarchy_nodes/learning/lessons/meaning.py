"""Whether an instruction alone tells what a correction had to tell once more."""

from __future__ import annotations

from hierarchy_nodes.errors import PlanningError
from hierarchy_nodes.planner.language import Description, Instruction, describe
from hierarchy_nodes.planner.learned import understood
from hierarchy_nodes.types import Correction, Role, Scope

# What a description may say of a thing.
_PARTS = ("color", "shape", "noun", "place", "size")


def determined(instruction: str, correction: Correction) -> bool:
    """Whether next time the instruction is to be enough to mean what the correction led to.

    It is if the person said nothing else than before ("the red block" - "no, the red one"), if the
    thing has a name that only has to be learned ("the giraffe" - "no, the yellow one"), or if the
    correction counts always. It is not if the two contradict each other, or if the correction told
    more than the instruction: another time another thing may be meant.

    Args:
        instruction: Of the step.
        correction: Of its target or goal.
    """
    step = understood(instruction)
    try:
        new = describe(correction.phrase)
    except PlanningError:
        return False
    said = _said(step, correction.role) if step is not None else None
    return _enough(said, new, correction.scope == Scope.ALWAYS)


def answered(asked: str, answer: str) -> bool:
    """Whether next time an instruction is to mean what another one did that was said instead of it.

    As :func:`determined`, of target and goal at once.
    """
    before, now = understood(asked), understood(answer)
    if before is None or now is None:
        return False
    if (before.interaction, before.direction) != (now.interaction, now.direction):
        return False
    pairs = [(before.target, now.target), (before.goal, now.goal)]
    return all(_enough(said, new) for said, new in pairs if said is not None or new is not None)


def _enough(said: Description | None, new: Description | None, always: bool = False) -> bool:
    if said is None or new is None or _contradict(said, new):
        return False
    if always or said.noun:
        return True
    parts = [part for part in _PARTS if getattr(new, part)]
    same = all(getattr(new, part) == getattr(said, part) for part in parts)
    return bool(parts) and same and not new.other


def _said(step: Instruction, role: str) -> Description | None:
    return step.goal if role == Role.GOAL else step.target


def _contradict(said: Description, new: Description) -> bool:
    """Whether nothing can be both. A name goes with any colour and shape."""
    parts = ("color",) if said.noun or new.noun else ("color", "shape")
    pairs = [(getattr(said, part), getattr(new, part)) for part in (*parts, "noun")]
    return any(a and b and a != b for a, b in pairs)
