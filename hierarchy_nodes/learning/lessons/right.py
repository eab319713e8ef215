"""Which plan was right in the end, and which corrections led to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from hierarchy_nodes.learning.lessons.meaning import answered, determined
from hierarchy_nodes.learning.lessons.path import tells_where
from hierarchy_nodes.learning.lessons.steps import Step, Story, is_retarget
from hierarchy_nodes.learning.lessons.tape import Said
from hierarchy_nodes.planner.learned import understood
from hierarchy_nodes.types import Correction, CorrectionKind, Plan


@dataclass(frozen=True)
class Right:
    """A plan that a person's corrections led to, and that was then let pass.

    Attributes:
        step: Number of the step in its recording.
        plan: What is right, but for `motions`.
        since, until: The time of its execution.
        corrections: Of target and goal that were in force, oldest first.
        alone: Whether the instruction without these is to mean the same next time.
        motions: By which its path had to be corrected.
        wrong: The plan that was corrected first; None where only the path was.
        before: The plan just before it in the same step.
        more: Something was left to do after it.
        teaches: Numbers of the corrections in the recording.
        asked: Other instructions that it is the answer to.
        passed: Nobody said anything about it.
    """

    step: int
    plan: Plan
    since: float
    until: float
    corrections: tuple[Correction, ...]
    alone: bool
    motions: tuple[Said, ...]
    wrong: Plan | None
    before: Plan | None
    more: bool
    teaches: tuple[int, ...]
    asked: tuple[str, ...] = ()
    passed: bool = False

    def without(self, motions: Collection[Said]) -> Right:
        """The same but for some motions, which teach nothing."""
        numbers = {said.entry.number for said in motions}
        kept = tuple(said for said in self.motions if said not in motions)
        teaches = tuple(number for number in self.teaches if number not in numbers)
        return replace(self, motions=kept, teaches=teaches)


def rights(story: Story) -> tuple[list[Right], dict[int, str]]:
    """The right plans of a recording, and why other corrections, by number, lead to none."""
    found: list[Right] = []
    left = {said.entry.number: "nothing was being done" for said in story.idle}
    for number, step in enumerate(story.steps):
        useful = []
        for said in step.said:
            why = _useless(said, step, story.undone)
            if why:
                left[said.entry.number] = why
            else:
                useful.append(said)
        right = _of_step(number, step, useful, left)
        if right is not None:
            found.append(right)
    return found, left


def _of_step(number: int, step: Step, useful: list[Said], left: dict[int, str]) -> Right | None:
    retargets = [said for said in useful if is_retarget(said.correction)]
    motions = [said for said in useful if not is_retarget(said.correction)]
    asked, answers = _answers(step, bool(retargets), left)
    place = len(step.plans) - 1
    if retargets:
        later = (i for i, (at, _) in enumerate(step.plans) if at > retargets[-1].at)
        place = next(later, len(step.plans))
    if place == len(step.plans):
        left |= {said.entry.number: "no new plan came" for said in useful}
        return None
    since, plan = step.plans[place]
    last = place == len(step.plans) - 1
    until = step.until if last else step.plans[place + 1][0]
    # Whoever plans anew looks anew: what was wrong with the path before may be no more.
    kept = [said for said in motions if last and said.at > since]
    for said in motions:
        if said not in kept:
            left[said.entry.number] = "the plan was made anew afterwards"
    passed = step.outcome == "done" and len(step.plans) == 1 and not (step.said or step.answers)
    if not (retargets or kept or answers or passed):
        return None
    told = [said.correction for said in retargets]
    before = step.plans[place - 1][1] if retargets and place else None
    wrong = None
    if retargets:
        earlier = [p for at, p in step.plans if at < retargets[0].at]
        wrong = earlier[-1] if earlier else None
    parsed = understood(step.instruction)
    always = [c for c in step.standing if c not in told]
    return Right(
        step=number,
        plan=plan,
        since=since,
        until=until,
        corrections=(*always, *told),
        alone=not always and all(determined(step.instruction, c) for c in told),
        motions=tuple(kept),
        wrong=wrong,
        before=before,
        more=not last and parsed is not None and parsed.target.every,
        teaches=tuple(said.entry.number for said in (*answers, *retargets, *kept)),
        asked=asked,
        passed=passed,
    )


def _answers(
    step: Step, corrected: bool, left: dict[int, str]
) -> tuple[tuple[str, ...], tuple[Said, ...]]:
    """What the step is the answer to, and the corrections that it was answered with."""
    asked = tuple(text for text in step.asked if answered(text, step.instruction))
    why = ""
    if step.outcome != "done":
        why = f"the task failed: {step.reason}"
    elif corrected:
        why = "it was corrected itself"
    elif not asked:
        why = "it tells more than what was asked about"
    if why:
        left |= {said.entry.number: why for said in step.answers}
        return (), ()
    return asked, step.answers


def _useless(said: Said, step: Step, undone: frozenset[str]) -> str:
    """Why nothing is to be learned from a correction; "" if something may be."""
    c = said.correction
    if not c.accepted:
        return f"it was not acted on: {c.answer}"
    if c.correction_id in undone:
        return "it was taken back"
    if c.kind == CorrectionKind.UNDO:
        return "it only takes back"
    if c.kind == CorrectionKind.TASK:
        return "it began another task"
    if not is_retarget(c) and not tells_where(said):
        return "it says nothing about where"
    if step.outcome == "failed":
        return f"the task failed: {step.reason}"
    return ""
