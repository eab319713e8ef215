"""A recording as the steps of its tasks, each with its plans and what was said meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from hierarchy_nodes.learning.lessons.tape import End, Said, Tape
from hierarchy_nodes.types import Correction, CorrectionKind, Plan, Role, Scope

# Who is asked back answers within so many seconds.
_ANSWERED = 60.0


@dataclass
class Step:
    """One instruction, from its first plan to its end.

    Attributes:
        instruction: In the person's words.
        standing: Corrections from before that count "always".
        plans: With the time at which each came, oldest first.
        said: Corrections during this step, or of it after it had failed before.
        asked: Instructions that the stack asked back about, and that this one was said instead of.
        answers: The corrections with which that was said.
        outcome: ``done``, ``failed``, or empty where the recording ends before.
        reason: Why it failed, for a person.
        until: When it ended; infinity where the recording does before.
    """

    instruction: str
    standing: tuple[Correction, ...]
    plans: list[tuple[float, Plan]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    asked: tuple[str, ...] = ()
    answers: tuple[Said, ...] = ()
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
    question, again = _Question(idle), _Again(idle)
    for at, event in events:
        if isinstance(event, Plan):
            if now is not None and now.instruction != event.instruction:
                switched = any(_switches(said) for said in now.said)
                _end(now, at, "failed" if switched else "done", "another task was begun")
                now = None
            if now is None:
                now = Step(event.instruction, tuple(standing), said=again.taken(event.instruction))
                now.asked, now.answers = question.taken()
                steps.append(now)
            now.plans.append((at, event))
        elif isinstance(event, Said):
            if now is not None:
                now.said.append(event)
            elif not (question.answered(event) or again.corrected(event)):
                idle.append(event)
            c = event.correction
            if is_retarget(c) and c.scope == Scope.ALWAYS and c.correction_id not in undone:
                standing.append(c)
        else:
            question.ended(event)
            again.ended(event, now.instruction if now is not None else event.instruction)
            if now is not None:
                _end(now, at, "done" if event.done else "failed", event.reason)
                now = None
    question.forget()
    again.forget()
    return Story(tuple(steps), tuple(idle), undone)


class _Question:
    """What the stack asked back about, until a person has answered it with another instruction."""

    def __init__(self, idle: list[Said]) -> None:
        self._idle = idle
        self._asked: list[str] = []
        self._answers: list[Said] = []
        self._at = -float("inf")

    def ended(self, end: End) -> None:
        """A task has; it may be with a question."""
        if end.at - self._at > _ANSWERED:
            self.forget()
        if end.instruction and end.reason.rstrip().endswith("?"):
            self._asked.append(end.instruction)
            self._at = end.at

    def answered(self, said: Said) -> bool:
        """Whether this is an answer."""
        c = said.correction
        answer = c.kind == CorrectionKind.TASK and c.accepted and bool(self._asked)
        if answer and said.at - self._at <= _ANSWERED:
            self._answers.append(said)
            return True
        return False

    def forget(self) -> None:
        """Nobody asks any more: what seemed to be answers were none."""
        self._idle += self._answers
        self._asked, self._answers = [], []

    def taken(self) -> tuple[tuple[str, ...], tuple[Said, ...]]:
        """All that was asked and answered so far, nothing of which is remembered."""
        found = (tuple(self._asked), tuple(self._answers)) if self._answers else ((), ())
        self._asked, self._answers = [], []
        return found


class _Again:
    """What is said of a task that failed, which is then tried again with it."""

    def __init__(self, idle: list[Said]) -> None:
        self._idle = idle
        self._failed = ""
        self._said: list[Said] = []

    def ended(self, end: End, instruction: str) -> None:
        """A task has; "" where the same is told once more."""
        if instruction or end.done:
            self.forget()
            self._failed = "" if end.done else instruction

    def corrected(self, said: Said) -> bool:
        """Whether this may be of the task that failed."""
        of_it = bool(self._failed) and is_retarget(said.correction)
        if of_it:
            self._said.append(said)
        return of_it

    def forget(self) -> None:
        """Nothing was tried again."""
        self._idle += self._said
        self._failed, self._said = "", []

    def taken(self, instruction: str) -> list[Said]:
        """What was said of this one; of another one, nothing was."""
        found: list[Said] = []
        if instruction == self._failed:
            found, self._said = self._said, []
        self.forget()
        return found


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
