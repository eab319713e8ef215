"""What a model is asked: the instruction, what was corrected since, and what to keep in mind."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from hierarchy_nodes.errors import PlanningError
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.language import Instruction, describe
from hierarchy_nodes.planner.learned import retargets, understood
from hierarchy_nodes.planner.vlm.prompts import Task
from hierarchy_nodes.types import Role, Scope

# Role ("target" or "goal") and phrase of each, oldest first.
Corrections = Sequence[tuple[str, str]]


def task_of(
    instruction: str,
    corrections: Corrections = (),
    holding: bool = False,
    attempt: int = 1,
    earlier: Sequence[str] = (),
) -> Task:
    """What the prompts are filled from.

    Args:
        instruction: In the person's words.
        corrections: Of target and goal, since the task began or for ever.
        holding: Something is in the hand.
        attempt: 1 for the first plan of a task.
        earlier: What was corrected in other tasks, as of :class:`Memory`.
    """
    words = _told(instruction, corrections)
    step = corrected(instruction, corrections)
    if step is None:
        target = f"the thing that a robot has to take or touch first to do this: {words}"
        goal = f"the place where that thing has to end up, if this names one: {words}"
    else:
        target = str(step.target)
        goal = _goal_words(step)
    facts = []
    if holding:
        facts.append("The gripper is closed and holds something.")
    if attempt > 1:
        facts.append(f"This is attempt {attempt}: what was tried before did not succeed.")
    if earlier:
        facts.append("Earlier tasks were corrected by the person, so keep in mind what is meant:")
        facts += [f"{told}." for told in earlier]
    return Task(words, target, goal, " ".join(facts))


def corrected(instruction: str, corrections: Corrections = ()) -> Instruction | None:
    """The instruction after those corrections that the grammar understands; None if not even it."""
    step = understood(instruction)
    if step is None:
        return None
    for role, phrase in corrections:
        try:
            new = describe(phrase)
        except PlanningError:
            continue
        if role == Role.GOAL and step.goal is not None:
            step = replace(step, goal=step.goal.changed_by(new))
        else:
            step = replace(step, target=step.target.changed_by(new))
    return step


class Memory:
    """The latest instructions that had to be corrected, for the tasks that come after them.

    Args:
        most: So many are remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[tuple[str, str], ...]] = OrderedDict()

    def note(self, request: PlanRequest) -> None:
        """Remember what has been corrected in this task; forget what was taken back in it."""
        found = _own(request)
        goes_on = request.previous is not None and (
            request.previous.instruction == request.instruction
        )
        if found:
            self._known[request.instruction] = found
            self._known.move_to_end(request.instruction)
        elif goes_on:
            self._known.pop(request.instruction, None)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def earlier(self, request: PlanRequest) -> list[str]:
        """What to keep in mind, oldest first: not what the request itself tells."""
        now = request.instruction if _own(request) else ""
        return [_told(text, found) for text, found in self._known.items() if text != now]


def said(request: PlanRequest) -> tuple[tuple[str, str], ...]:
    """The corrections of target and goal that come with a request."""
    return tuple((c.role or str(Role.TARGET), c.phrase) for c in retargets(request))


def _own(request: PlanRequest) -> tuple[tuple[str, str], ...]:
    """Those of this task; what counts always comes with every request anyway."""
    now = tuple(c for c in request.corrections if c.scope != Scope.ALWAYS)
    return said(replace(request, corrections=now))


def _told(instruction: str, corrections: Corrections) -> str:
    words = instruction.strip().rstrip(".")
    for role, phrase in corrections:
        what = "goal" if role == Role.GOAL else "thing"
        words += f'. Then the person corrected the {what}: "{phrase.strip()}"'
    return words


def _goal_words(step: Instruction) -> str:
    if step.goal is None or step.goal.shape == "table":
        return ""
    if step.relation in ("on", "in", "to"):
        return str(step.goal)
    joint = {"left": "to the left of", "right": "to the right of", "front": "in front of"}
    relation = joint.get(step.relation, step.relation)
    return f"the free spot on the table directly {relation} {step.goal}"
