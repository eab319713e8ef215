"""From the network's answer to a plan, or to a question for the person."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.geometry import ray
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.compact.answer import Answer, Drawn, Spot
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.planner.drawing import draw_path
from hierarchy_nodes.planner.finding import find_all, listing
from hierarchy_nodes.planner.language import Instruction, parse
from hierarchy_nodes.planner.learned import check_reach, surface
from hierarchy_nodes.planner.naming import see
from hierarchy_nodes.planner.routes import Way
from hierarchy_nodes.types import (
    TOUCHES,
    Array,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Prompt,
    RgbdFrame,
    Role,
)

_NUMBERS = {2: "two", 3: "three", 4: "four"}
# Heights of points are kept over the table by so much, metres.
_FLOOR = 0.008
# A path that takes something farther from the target misses it: share of the image's width.
_OFF_TARGET = 0.03
# A point that is as near to a thing is where it is touched: share of the image's width.
_AT_SPOT = 0.06
# What is put down first is carried and left this much higher, metres.
_UP = 0.15


@dataclass(frozen=True)
class Question:
    """What was asked.

    Attributes:
        request: Of the executive.
        step: Its instruction as the grammar reads it; None if it does not.
        options: Limits.
    """

    request: PlanRequest
    step: Instruction | None
    options: CompactOptions

    @property
    def words(self) -> str:
        return self.request.instruction.strip()


def draw(answer: Answer, question: Question, confidence: float) -> Plan:
    """The plan that `answer` means.

    Raises:
        PlanningError: A question for the person: not there, ambiguous, unsure, out of reach.
        PlanRejected: The path makes no sense; another look may help.
    """
    request, options = question.request, question.options
    frame = request.frame
    _ask_back(answer, question, confidence)
    target, goal = answer.targets[0], answer.goal
    prompts = [Prompt(Role.TARGET, _label(question, Role.TARGET), target.x, target.y)]
    if goal is not None:
        prompts.append(Prompt(Role.GOAL, _label(question, Role.GOAL), goal.x, goal.y))
    check_reach(prompts, frame, options.reach_min, options.reach)
    prompts += [Prompt(Role.AVOID, "thing near the way", s.x, s.y) for s in answer.avoid]
    plan = Plan(
        plan_id=uuid.uuid4().hex[:8],
        stamp=frame.stamp,
        frame_id=frame.frame_id,
        camera_pose=frame.camera_pose,
        instruction=request.instruction,
        subtask=request.instruction,
        interaction=answer.interaction,
        path=_path(answer, question),
        prompts=tuple(prompts),
        valid_until=frame.stamp + options.plan_lifetime,
        source="compact",
        confidence=confidence,
    )
    validate_plan(plan, frame.stamp, frame)
    return plan


def put_down(question: Question, at: Array) -> Plan:
    """Something else is meant than what is in the hand: that is put down first.

    Args:
        question: What was asked.
        at: ``(3,)`` base frame, metres: where the tool lets go.
    """
    request, frame = question.request, question.request.frame
    tool = request.robot.tool.position
    above = np.array([*at[:2], max(float(at[2]) + _UP, float(tool[2]))])
    ways = [Way(above), Way(at, Gripper.OPEN), Way(above)]
    plan = Plan(
        plan_id=uuid.uuid4().hex[:8],
        stamp=frame.stamp,
        frame_id=frame.frame_id,
        camera_pose=frame.camera_pose,
        instruction=request.instruction,
        subtask="put down what is in the hand",
        # All of the way is known: nothing needs to be kept in sight.
        interaction=Interaction.NONE,
        path=draw_path(frame, tool, Gripper.KEEP, ways),
        prompts=(),
        valid_until=frame.stamp + question.options.plan_lifetime,
        source="compact",
    )
    validate_plan(plan, frame.stamp, frame)
    return plan


def _path(answer: Answer, question: Question) -> tuple[PathPoint, ...]:
    """The tool's own place, then the drawn points, with events as the interaction allows."""
    request, touches = question.request, answer.interaction in TOUCHES
    first = Gripper.CLOSE if touches else Gripper.OPEN
    if request.holding:
        first = Gripper.KEEP
    start = draw_path(request.frame, request.robot.tool.position, first, [])
    rest = answer.path[1:]
    events = [Gripper.KEEP] * len(rest) if touches else _events(rest, answer, request.holding)
    if len(rest) < 2:
        raise _senseless(f"its path has {len(answer.path)} points", answer)
    if not request.holding and Gripper.CLOSE in events:
        rest = _to_target(rest, events.index(Gripper.CLOSE), answer.targets[0])
    points = (
        PathPoint(p.x, p.y, _depth(p, event, answer, question), event)
        for p, event in zip(rest, events, strict=True)
    )
    return (*start, *points)


def _events(path: tuple[Drawn, ...], answer: Answer, holding: bool) -> list[Gripper]:
    """What the gripper does at each point of a path that takes something and lets go of it.

    Where the network says nothing of that, though its path comes to target and goal, it is there.
    """
    events = [p.event for p in path]
    if not holding and Gripper.CLOSE not in events:
        last = events.index(Gripper.OPEN) if Gripper.OPEN in events else len(events)
        taken = _nearest(path[:last], answer.targets[0])
        if taken is None:
            raise _senseless("its path never closes the gripper", answer)
        events[taken] = Gripper.CLOSE
    held = 0 if holding else events.index(Gripper.CLOSE) + 1
    if Gripper.OPEN not in events[held:]:
        left = _nearest(path[held:], answer.goal) if answer.goal is not None else None
        if left is None:
            raise _senseless("its path never opens the gripper", answer)
        events[held + left] = Gripper.OPEN
    return events


def _nearest(path: tuple[Drawn, ...], spot: Spot) -> int | None:
    """Which point is at `spot`; None if none is."""
    away = [math.hypot(p.x - spot.x, p.y - spot.y) for p in path]
    return away.index(min(away)) if min(away, default=math.inf) < _AT_SPOT else None


def _to_target(path: tuple[Drawn, ...], taken: int, target: Spot) -> tuple[Drawn, ...]:
    """`path` with its way to where it takes something, at index `taken`, led to the target.

    Where several things are meant alike, such as "all blocks", the path that was learned may lie
    between two of them.
    """
    x, y = target.x - path[taken].x, target.y - path[taken].y
    if math.hypot(x, y) < _OFF_TARGET:
        return path
    moved = (
        replace(p, x=min(max(p.x + x, 0.0), 1.0), y=min(max(p.y + y, 0.0), 1.0))
        for p in path[: taken + 1]
    )
    return (*moved, *path[taken + 1 :])


def _depth(point: Drawn, event: Gripper, answer: Answer, question: Question) -> float:
    """Where the point's ray is at the height that was learned; NaN where masks tell it better.

    How high a thing is grasped, pressed and let go of is seen in the depth image: see
    ``controller/lifting.py``.
    """
    contact = answer.interaction == Interaction.PLACE and event != Gripper.KEEP and not point.exact
    if not question.options.depth or contact or answer.interaction == Interaction.PRESS:
        return math.nan
    frame = question.request.frame
    way = ray(point.x, point.y, frame.intrinsics, frame.camera_pose)
    down = max(point.height, _FLOOR) - float(frame.camera_pose.position[2])
    depth = down / float(way[2]) if way[2] < -1e-6 and down < 0 else math.nan
    return depth if 0.05 < depth < 5.0 else math.nan


def _senseless(why: str, answer: Answer) -> PlanRejected:
    return PlanRejected(
        ErrorCode.PLAN_REJECTED, f"The answer for '{answer.interaction}' makes no plan: {why}."
    )


# -- questions --------------------------------------------------------------------------------


def _ask_back(answer: Answer, question: Question, confidence: float) -> None:
    """Raise what the person is to be asked, if anything."""
    words = question.words
    if answer.status == "not there":
        raise _missing(question)
    if answer.status == "ambiguous":
        places = _places(answer.targets, question.request.frame)
        count = _NUMBERS.get(len(places), "several")
        kind = question.step.target.name if question.step is not None else "thing"
        listed = ", ".join(f"one {place}" for place in places)
        text = f"I see {count} {kind}s: {listed}." if len(places) > 1 else "Several things fit."
        raise PlanningError(ErrorCode.OBJECT_AMBIGUOUS, f"{text} Which one?")
    least = question.options.min_confidence
    if confidence < least:
        place = _places(answer.targets[:1], question.request.frame)[0]
        raise PlanningError(
            ErrorCode.OBJECT_AMBIGUOUS,
            f'I am not sure what "{words}" means here (confidence {confidence:.2f}, at least '
            f"{least:.2f} is needed). Do you mean the one {place}?",
        )


def _missing(question: Question) -> PlanningError:
    """What is not there, in the words of the grammar, which can say more about it."""
    try:
        step = parse(question.words)[0]
    except PlanningError as error:
        return error
    things = see(question.request.frame, question.request.robot)
    for description in filter(None, (step.target, step.goal)):
        try:
            find_all(description, things)
        except PlanningError as error:
            return error
    return PlanningError(
        ErrorCode.OBJECT_NOT_FOUND,
        f'I cannot see what is needed for "{question.words}". In view: {listing(things)}.',
    )


def _places(spots: tuple[Spot, ...], frame: RgbdFrame) -> list[str]:
    """Where things are, in the robot's words: left is +y, front is +x."""
    found = [surface(s.x, s.y, frame) for s in spots]
    at = np.array([p[:2] if p is not None else (0.45, 0.0) for p in found])
    if len(at) == 1:
        side = "on the left" if at[0, 1] > 0.05 else "on the right" if at[0, 1] < -0.05 else ""
        return [side or "in the middle"]
    axis = 1 if np.ptp(at[:, 1]) >= np.ptp(at[:, 0]) else 0
    ends = ("on the left", "on the right") if axis == 1 else ("at the front", "at the back")
    order = np.argsort(-at[:, axis])
    last = len(order) - 1
    return [
        ends[0] if r == 0 else ends[1] if r == last else "in the middle" for r in range(last + 1)
    ]


def _label(question: Question, role: Role) -> str:
    """What the person called it, before any correction."""
    step = question.step
    if question.request.corrections or step is None:
        return str(role)
    thing = step.target if role == Role.TARGET else step.goal
    return thing.name if thing is not None else str(role)
