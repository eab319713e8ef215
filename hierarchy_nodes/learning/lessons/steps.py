"""A recording as the steps of its tasks, each with its plans and what was said meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from hierarchy_nodes.learning.lessons.tape import End, Said, Tape
from hierarchy_nodes.types import Correction, CorrectionKind, Plan, Role, Scope


@dataclass
class Step:
    """One instruction, from its first plan to its end.

    Attributes:
        instruction: In the person's words.
        standing: Corrections from before that count "always".
        plans: With the time at which each came, oldest first.
        said: Corrections during this step.
        outcome: ``done``, ``failed``, or empty where the recording ends before.
        reason: Why it failed, for a person.
        until: When it ended; infinity where the recording does before.
    """

    instruction: str
    standing: tuple[Correction, ...]
    plans: list[tuple[float, Plan]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""
    until: float = float("inf")


@dataclass(frozen=True)
class Story:
    """The steps of a recording, and what was said while nothing was done.

    Attributes:
        steps: In the order of time.
        idle: Corrections outside of all steps.
        undone: Identities of the corrections that were taken back, and of what made up for them.
    """

    steps: tuple[Step, ...]
    idle: tuple[Said, ...]
    undone: frozenset[str]


def story(tape: Tape) -> Story:
    """Tell the recording as steps.

    A step ends with the task, or when the planner goes on to another instruction: it does so only
    after a success, unless a person told it to.
    """
    undone = _undone(tape)
    plans = [(at, plan) for at, plan in tape.plans if _points(plan)]
    events: list[tuple[float, Plan | Said | End]] = [
        *plans,
        *((said.at, said) for said in tape.said),
        *((end.at, end) for end in tape.ends),
    ]
    events.sort(key=lambda event: event[0])
    steps: list[Step] = []
    idle: list[Said] = []
    standing: list[Correction] = []
    now: Step | None = None
    for at, event in events:
        if isinstance(event, Plan):
            if now is not None and now.instruction != event.instruction:
                switched = any(_switches(said) for said in now.said)
                _end(now, at, "failed" if switched else "done", "another task was begun")
                now = None
            if now is None:
                now = Step(event.instruction, tuple(standing))
                steps.append(now)
            now.plans.append((at, event))
        elif isinstance(event, Said):
            (now.said if now is not None else idle).append(event)
            c = event.correction
            if is_retarget(c) and c.scope == Scope.ALWAYS and c.correction_id not in undone:
                standing.append(c)
        elif now is not None:
            _end(now, at, "done" if event.done else "failed", event.reason)
            now = None
    return Story(tuple(steps), tuple(idle), undone)


def is_retarget(correction: Correction) -> bool:
    """Whether the planner took it for another target or goal."""
    return (
        correction.kind == CorrectionKind.RETARGET
        and correction.accepted
        and bool(correction.phrase)
    )


def _undone(tape: Tape) -> frozenset[str]:
    found = set()
    for said in tape.said:
        c = said.correction
        if c.kind == CorrectionKind.UNDO and c.accepted and c.undoes:
            # The way back of a motion is a correction of its own.
            found |= {c.undoes, f"{c.correction_id}.1"}
    return frozenset(found)


def _points(plan: Plan) -> bool:
    """Whether the plan is about a thing; others clear the hand or the view."""
    return any(prompt.role == Role.TARGET for prompt in plan.prompts)


def _switches(said: Said) -> bool:
    return said.correction.kind == CorrectionKind.TASK and said.correction.accepted


def _end(step: Step, at: float, outcome: str, reason: str) -> None:
    step.until, step.outcome = at, outcome
    step.reason = reason if outcome == "failed" else ""
