"""Lessons: images of the moments at which a plan was made, with the answer that was right."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.correction.ledger import Entry
from hierarchy_nodes.learning.lessons import tape as tapes
from hierarchy_nodes.learning.lessons.path import Run, drawn, finished, in_space, shifts
from hierarchy_nodes.learning.lessons.right import Right, rights
from hierarchy_nodes.learning.lessons.steps import story
from hierarchy_nodes.learning.lessons.tape import Tape
from hierarchy_nodes.learning.planner.answers import Wish
from hierarchy_nodes.planner.compact.inputs import INTERACTIONS
from hierarchy_nodes.planner.compact.text import split
from hierarchy_nodes.planner.compact.things import MOST
from hierarchy_nodes.segmenter.clusters import find_clusters
from hierarchy_nodes.types import (
    Array,
    Gripper,
    Interaction,
    Plan,
    RgbdFrame,
    RobotState,
    Role,
)

# Of a thing at least this share of the image has to be seen to be pointed at.
_SEEN = 25 / (320 * 240)
# Colours of a thing that differ by less, on average, are those of one that has not moved (of 255).
_ALIKE = 12.0
# A mask is a thing that is found in view if more than this share of the smaller one is both's.
_OVERLAP = 0.5
# How far a mark of the plan before reaches where its masks are not known, widths.
_MARK = 0.012
_FAMILIES = {Interaction.OPEN: "open_drawer", Interaction.CLOSE: "close_drawer"}


@dataclass(frozen=True)
class Lesson:
    """One image with what should have been answered.

    Attributes:
        recording: From which it is. step: Number of its step there; lessons of one step belong
            together. corrections: Numbers of those that teach it; none where a plan was let
            pass at once.
        frame: The image.
        things: ``(H, W)`` uint8: 0, or the place of a thing in `labels`, from 1.
        labels: What the things are: the target, the goal if there is one, then others.
        robot: The arm. holding: Whether it held something.
        wishes: What may be said, with the answer to each.
    """

    recording: Path
    step: int
    corrections: tuple[int, ...]
    frame: RgbdFrame
    things: NDArray[np.uint8]
    labels: tuple[str, ...]
    robot: RobotState
    holding: bool
    wishes: tuple[Wish, ...]


@dataclass(frozen=True)
class Verdict:
    """What came of a correction: a lesson, or `why` not."""

    entry: Entry
    why: str = ""


def lessons_of(recording: Path, known: Collection[str] = ()) -> tuple[list[Lesson], list[Verdict]]:
    """The lessons of a recording, and for each of its corrections whether it gave one.

    Args:
        recording: Which.
        known: Words that the planner knows. What a person let pass without a word is a lesson
            where the instruction has others; none is if nothing is known.

    Raises:
        RecordingError: There is no recording.
    """
    tape = tapes.read(recording)
    found, left = rights(story(tape))
    kept: list[tuple[Right, Run]] = []
    for right in found:
        if right.passed and not (known and set(split(right.plan.instruction)) - set(known)):
            continue
        why = _unseen(right, tape)
        if why:
            left |= dict.fromkeys(right.teaches, why)
            continue
        assert tape.camera is not None  # Else it would be unseen.
        masks = tape.segments[right.plan.plan_id]
        run = Run(right.plan, tape.camera, masks, right.since, right.until)
        late = {said for said in right.motions if said.at > finished(run, tape)}
        left |= {said.entry.number: "the work was done already" for said in late}
        right = right.without(late)
        if right.teaches or right.passed:
            kept.append((right, run))
    views = {run.segments.stamp: run.plan.camera_pose for _, run in kept}
    views |= {right.wrong.stamp: right.wrong.camera_pose for right, _ in kept if right.wrong}
    frames = tapes.frames(tape, views)
    lessons: list[Lesson] = []
    for right, run in kept:
        taught, why = _taught(tape, right, run, frames)
        lessons += taught
        if why:
            left |= dict.fromkeys(right.teaches, why)
    return lessons, [Verdict(said.entry, left.get(said.entry.number, "")) for said in tape.said]


def _unseen(right: Right, tape: Tape) -> str:
    """Why the plan cannot be shown; "" if it can."""
    plan, masks = right.plan, tape.segments.get(right.plan.plan_id)
    if tape.camera is None or tape.robot(right.since) is None:
        return "camera_info, joint_states or end_effector_pose was not recorded"
    if masks is None:
        return "no masks of the plan were recorded"
    if plan.interaction not in INTERACTIONS:
        return f"interaction '{plan.interaction}' is none that is learned"
    for role in (Role.TARGET, Role.GOAL):
        segment = masks.role(role)
        asked = any(prompt.role == role for prompt in plan.prompts)
        area = 0.0 if segment is None else float((masks.mask == segment.id).mean())
        if asked and (segment is None or segment.lost or area < _SEEN):
            return f"the {role} of the plan was hardly seen"
    return ""


def _taught(
    tape: Tape, right: Right, run: Run, frames: dict[float, RgbdFrame]
) -> tuple[list[Lesson], str]:
    """The lesson at the plan's own image, and at that of the wrong one if it looked the same.

    Returns:
        None of them, and why, where the image does not show what is meant.
    """
    stamp = run.segments.stamp
    frame, robot = frames.get(stamp), _robot(tape, stamp)
    if frame is None or frame.depth.shape != run.segments.mask.shape:
        return [], "colour and depth of the plan's image were not recorded"
    things, labels = _things(run)
    before = (-1, -1)
    if right.before is not None:
        things, labels, before = _marked(things, labels, right.before, tape)
    wish = _wish(right, run)
    points = in_space(run, tape) + shifts(run, tape, right.motions)
    lesson = Lesson(
        recording=tape.recording,
        step=right.step,
        corrections=right.teaches,
        frame=frame,
        things=things,
        labels=labels,
        robot=robot,
        holding=_holds(right.plan),
        wishes=_wishes(right, wish, before),
    )
    about = [things == number + 1 for number in (*wish.targets, wish.goal) if number >= 0]
    if not _told_apart(lesson, about):
        return [], "the depth image does not tell the thing from what is around it"
    found = [_with_path(lesson, run, points)]
    wrong = right.wrong
    earlier = frames.get(wrong.stamp) if wrong is not None else None
    if wrong is None or earlier is None or not right.alone:
        return found, ""
    if _same_view(right.plan, wrong) and _same_look(earlier, frame, about):
        robot = _robot(tape, wrong.stamp)
        then = replace(lesson, frame=earlier, robot=robot, wishes=(wish,))
        if _told_apart(then, about):
            found.append(_with_path(then, run, points))
    return found, ""


def _wish(right: Right, run: Run) -> Wish:
    """What the instruction alone is to mean; the path is still to come."""
    plan = right.plan
    goal = run.segments.role(Role.GOAL)
    family = _FAMILIES.get(plan.interaction, str(plan.interaction))
    if plan.interaction == Interaction.PUSH and goal is None:
        family = "push way"
    others = range(1 if goal is None else 2, len(run.segments.segments))
    return Wish(
        text=plan.instruction,
        status="plan",
        interaction=plan.interaction,
        family=family,
        how="lesson",
        targets=(0,),
        goal=-1 if goal is None else 1,
        avoid=tuple(others),
        more=right.more,
    )


def _wishes(right: Right, wish: Wish, before: tuple[int, int]) -> tuple[Wish, ...]:
    """With the corrections that led there, and without any if that is to be enough."""
    asked = (replace(wish, text=text) for text in dict.fromkeys(right.asked))
    alone = (*([wish] if right.alone else []), *asked)
    if not right.corrections:
        return alone
    told = tuple((c.role or str(Role.TARGET), c.phrase) for c in right.corrections)
    how = "corrected goal" if told[-1][0] == Role.GOAL else "corrected"
    return (replace(wish, corrections=told, before=before, how=how), *alone)


def _things(run: Run) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The plan's masks, its target first, then its goal."""
    order = {Role.TARGET: 0, Role.GOAL: 1, Role.AVOID: 2}
    segments = sorted(run.segments.segments, key=lambda s: order[s.role])
    things = np.zeros(run.segments.mask.shape, np.uint8)
    for number, segment in enumerate(segments, start=1):
        things[run.segments.mask == segment.id] = number
    return things, tuple(s.label or str(s.role) for s in segments)


def _marked(
    things: NDArray[np.uint8], labels: tuple[str, ...], before: Plan, tape: Tape
) -> tuple[NDArray[np.uint8], tuple[str, ...], tuple[int, int]]:
    """The things that the plan before was about, too, where they are not known already."""
    things, height, width = things.copy(), *things.shape
    found = []
    masks = tape.segments.get(before.plan_id)
    for role in (Role.TARGET, Role.GOAL):
        prompt = next((p for p in before.prompts if p.role == role), None)
        if prompt is None:
            found.append(-1)
            continue
        column, row = int(prompt.x * (width - 1)), int(prompt.y * (height - 1))
        if things[row, column]:
            found.append(int(things[row, column]) - 1)
            continue
        segment = masks.role(role) if masks is not None else None
        mark = np.zeros_like(things)
        cv2.circle(mark, (column, row), max(1, round(_MARK * width)), 1, -1)
        if masks is not None and segment is not None and masks.mask.shape == things.shape:
            mark = (masks.mask == segment.id).astype(np.uint8)
        labels = (*labels, prompt.label or str(role))
        things[(mark > 0) & (things == 0)] = len(labels)
        found.append(len(labels) - 1)
    return things, labels, (found[0], found[1])


def _with_path(lesson: Lesson, run: Run, points: Array) -> Lesson:
    path = drawn(run, points, lesson.robot.tool.position)
    return replace(lesson, wishes=tuple(replace(wish, path=path) for wish in lesson.wishes))


def _robot(tape: Tape, stamp: float) -> RobotState:
    robot = tape.robot(stamp)
    assert robot is not None  # _unseen has asked.
    return robot


def _holds(plan: Plan) -> bool:
    """A path that begins with nothing to do for the gripper is that of a thing in the hand."""
    return plan.interaction == Interaction.PLACE and plan.path[0].gripper == Gripper.KEEP


def _same_view(right: Plan, wrong: Plan) -> bool:
    """Whether both were drawn from the same place, with as much in the hand."""
    a, b = right.camera_pose, wrong.camera_pose
    near = np.allclose(a.position, b.position, atol=1e-3)
    turned = abs(float(a.quaternion @ b.quaternion)) < 1 - 1e-5
    return near and not turned and _holds(right) == _holds(wrong)


def _same_look(earlier: RgbdFrame, frame: RgbdFrame, about: list[NDArray[np.bool_]]) -> bool:
    """Whether the things of a plan, each an ``(H, W)`` mask, were seen there already."""
    if earlier.color.shape != frame.color.shape:
        return False
    away = np.abs(earlier.color.astype(np.float32) - frame.color).mean(axis=2)
    return all(float(away[mask].mean()) < _ALIKE for mask in about)


def _told_apart(lesson: Lesson, about: list[NDArray[np.bool_]]) -> bool:
    """Whether each ``(H, W)`` mask is one of the things that the planner will find in view."""
    seen = [cluster.mask for cluster in find_clusters(lesson.frame, lesson.robot)[:MOST]]

    def found(mask: NDArray[np.bool_]) -> bool:
        area = int(mask.sum())
        return any((mask & own).sum() > _OVERLAP * min(area, own.sum()) for own in seen)

    return all(map(found, about))
