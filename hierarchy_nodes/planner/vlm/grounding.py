"""From a model's reply to a plan: what it leaves out is derived by geometry or refused.

Nothing is made up: a reply from which target, goal or interaction cannot be told is refused with
a reason.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.geometry import project
from hierarchy_nodes.planner.base import PlanRequest, TaskDone
from hierarchy_nodes.planner.drawing import draw_path, held_prompt
from hierarchy_nodes.planner.language import Instruction
from hierarchy_nodes.planner.learned import check_reach, surface
from hierarchy_nodes.planner.routes import Way
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError, Status
from hierarchy_nodes.types import (
    TOUCHES,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Prompt,
    RgbdFrame,
    Role,
)

# The first point of a path nearer than this to the tool's place in the image is that place.
NEAR_TOOL = 0.06
# Areas nearer than this to a path point are at it.
NEAR_AREA = 0.06
# What is higher over the table than this is a thing, metres.
RAISED = 0.012


@dataclass(frozen=True)
class GroundingSettings:
    """See `VlmOptions`. Lengths in metres, times in seconds."""

    plan_lifetime: float = 60.0
    min_confidence: float = 0.3
    assumed_confidence: float = 0.7
    reach: float = 0.80
    reach_min: float = 0.20
    home: tuple[float, float, float] = (0.35, 0.0, 0.40)


def ground(
    reply: Reply,
    request: PlanRequest,
    step: Instruction | None,
    settings: GroundingSettings,
    source: str,
) -> Plan:
    """The plan that `reply` means.

    Args:
        reply: Of the model.
        request: Which it answers.
        step: The instruction as the grammar understands it, if it does.
        settings: Limits and lifetimes.
        source: Becomes the plan's.

    Raises:
        TaskDone: The model says that nothing is left to do.
        PlanningError: A question for the person: not there, ambiguous, unsure, out of reach.
        ReplyError: The reply is no plan; another attempt may help.
    """
    _check_status(reply, request, settings)
    interaction = _interaction(reply, step)
    frame = request.frame
    points = _without_tool(reply, request)
    prompts: dict[Role, Prompt] = {p.role: p for p in reply.prompts if p.role != Role.AVOID}
    target: Prompt | None
    if interaction in TOUCHES:
        points, target = _touch(interaction, points, prompts.get(Role.TARGET), frame, reply)
        goal = prompts.get(Role.GOAL)
    else:
        points, target, goal = _take(interaction, points, prompts, reply, request, step)
    first = Gripper.CLOSE if interaction in TOUCHES else Gripper.OPEN
    if request.holding:
        first = Gripper.KEEP
    # Home is out of the camera's way, so that the result can be seen.
    ends = draw_path(frame, request.robot.tool.position, first, [Way(np.array(settings.home))])
    keeps = interaction == Interaction.PLACE and points[-1].gripper == Gripper.CLOSE
    exact = all(math.isfinite(p.depth) for p in points)
    path = (ends[0], *points, *(() if keeps or not exact else ends[1:]))
    chosen = [p for p in (target, goal) if p is not None]
    check_reach(chosen, frame, settings.reach_min, settings.reach)
    plan = Plan(
        plan_id=uuid.uuid4().hex[:8],
        stamp=frame.stamp,
        frame_id=frame.frame_id,
        camera_pose=frame.camera_pose,
        instruction=request.instruction,
        subtask=reply.subtask or request.instruction,
        interaction=interaction,
        path=path,
        prompts=(*chosen, *(p for p in reply.prompts if p.role == Role.AVOID)),
        valid_until=frame.stamp + settings.plan_lifetime,
        source=source,
        confidence=_confidence(reply, settings),
    )
    try:
        validate_plan(plan, frame.stamp, frame)
    except PlanRejected as error:
        raise ReplyError(f"The reply makes no sound plan: {error}") from error
    return plan


def _confidence(reply: Reply, settings: GroundingSettings) -> float:
    return settings.assumed_confidence if reply.confidence is None else reply.confidence


def _check_status(reply: Reply, request: PlanRequest, settings: GroundingSettings) -> None:
    what = request.instruction.strip()
    if reply.status == Status.DONE:
        raise TaskDone(reply.question or f'Nothing is left to do for "{what}".')
    if reply.status == Status.NOT_FOUND:
        question = reply.question or f'I cannot see what is needed for "{what}".'
        raise PlanningError(ErrorCode.OBJECT_NOT_FOUND, question)
    if reply.status == Status.AMBIGUOUS:
        question = reply.question or f'Several things fit "{what}". Which one?'
        raise PlanningError(ErrorCode.OBJECT_AMBIGUOUS, question)
    confidence = _confidence(reply, settings)
    if confidence < settings.min_confidence:
        target = next((p.label for p in reply.prompts if p.role == Role.TARGET), "")
        thing = f" Do you mean the {target}?" if target else " Please say it in other words."
        raise PlanningError(
            ErrorCode.OBJECT_AMBIGUOUS,
            f'I am not sure what "{what}" means here (confidence {confidence:.2f}, at least '
            f"{settings.min_confidence:.2f} is needed).{thing}",
        )


def _interaction(reply: Reply, step: Instruction | None) -> Interaction:
    if reply.interaction is not None:
        return reply.interaction
    if step is not None:
        return step.interaction
    if any(p.gripper == Gripper.CLOSE for p in reply.path[1:]):
        return Interaction.PLACE
    raise ReplyError(
        "The reply does not tell what to do with the thing (place, push, press, ...): it has no "
        "interaction, its path does not close the gripper, and the instruction does not tell."
    )


def _without_tool(reply: Reply, request: PlanRequest) -> list[PathPoint]:
    """The path without its beginning where the tool is now; the plan's own takes its place."""
    points = list(reply.path)
    if not points or points[0].gripper == Gripper.CLOSE:
        return points
    frame = request.frame
    pixel, depth = project(request.robot.tool.position, frame.intrinsics, frame.camera_pose)
    tool = np.clip(pixel[0], 0.0, 1.0)
    away = math.hypot(points[0].x - tool[0], points[0].y - tool[1])
    return points[1:] if depth[0] > 0 and away < NEAR_TOOL and len(points) > 1 else points


# -- things that are taken in the hand --------------------------------------------------------


def _take(
    interaction: Interaction,
    points: list[PathPoint],
    prompts: dict[Role, Prompt],
    reply: Reply,
    request: PlanRequest,
    step: Instruction | None,
) -> tuple[list[PathPoint], Prompt | None, Prompt | None]:
    """Path, target and goal of `place` and of opening a drawer."""
    target, goal = prompts.get(Role.TARGET), prompts.get(Role.GOAL)
    picks = interaction == Interaction.PLACE and goal is None and step is not None and step.picks
    if not any(p.gripper != Gripper.KEEP for p in points):
        points = _with_events(points, target, goal, reply, request, picks)
    closes = [i for i, p in enumerate(points) if p.gripper == Gripper.CLOSE]
    if not closes and not request.holding:
        raise ReplyError("The path never closes the gripper, so nothing would be taken.")
    grasp = closes[0] if closes else -1
    # Opening the fingers before the grasp is done at once, where the tool is.
    points = [
        replace(p, gripper=Gripper.KEEP) if i < grasp and p.gripper == Gripper.OPEN else p
        for i, p in enumerate(points)
    ]
    releases = [i for i, p in enumerate(points) if p.gripper == Gripper.OPEN and i > grasp]
    if not releases and not picks:
        if reply.truncated or grasp == len(points) - 1:
            raise ReplyError("The path ends before the thing is put down.")
        points[-1] = replace(points[-1], gripper=Gripper.OPEN)
        releases = [len(points) - 1]
    if target is None:
        target = _in_hand(request) if request.holding else None
        if target is None and closes:
            label = str(step.target.name) if step is not None else "target"
            target = Prompt(Role.TARGET, label, points[grasp].x, points[grasp].y)
    if goal is None and releases and interaction == Interaction.PLACE:
        named = step.goal.name if step is not None and step.goal is not None else "goal"
        goal = Prompt(Role.GOAL, named, points[releases[0]].x, points[releases[0]].y)
    return points, target, goal


def _with_events(
    points: list[PathPoint],
    target: Prompt | None,
    goal: Prompt | None,
    reply: Reply,
    request: PlanRequest,
    picks: bool,
) -> list[PathPoint]:
    """A path without gripper events: closing at the target, opening at the goal or at the end."""
    points = list(points)
    if request.holding:
        if not points and goal is None:
            raise ReplyError("The reply has neither a path nor a goal.")
        if goal is not None:
            return [*points[:-1], PathPoint(goal.x, goal.y, gripper=Gripper.OPEN)]
        return [*points[:-1], replace(points[-1], gripper=Gripper.OPEN)]
    if target is not None:
        if not points:
            points = [PathPoint(target.x, target.y)]
            if goal is not None:
                points.append(PathPoint(goal.x, goal.y))
        grasp = min(
            range(len(points)),
            key=lambda i: math.hypot(points[i].x - target.x, points[i].y - target.y),
        )
        points[grasp] = PathPoint(target.x, target.y, points[grasp].depth)
    else:
        grasp = _at_area(points, reply, picks)
    points[grasp] = replace(points[grasp], gripper=Gripper.CLOSE)
    if goal is not None and grasp < len(points) - 1 and not reply.truncated:
        points[-1] = PathPoint(goal.x, goal.y, points[-1].depth, Gripper.OPEN)
    return points


def _at_area(points: Sequence[PathPoint], reply: Reply, picks: bool) -> int:
    """The first path point at which the model marked something, the end left out."""
    last = len(points) if picks else len(points) - 1
    for index in range(last):
        point = points[index]
        near = [math.hypot(point.x - x, point.y - y) for x, y in reply.areas]
        if near and min(near) < NEAR_AREA:
            return index
    raise ReplyError(
        "The path has no gripper event, and none of the marked points lies on it: where to take "
        "hold cannot be told."
    )


def _in_hand(request: PlanRequest) -> Prompt | None:
    """The held thing, by the name it had before."""
    prompts = request.previous.prompts if request.previous is not None else ()
    label = next((p.label for p in prompts if p.role == Role.TARGET), "held thing")
    return held_prompt(request, label)


# -- things that are touched ------------------------------------------------------------------


def _touch(
    interaction: Interaction,
    points: list[PathPoint],
    target: Prompt | None,
    frame: RgbdFrame,
    reply: Reply,
) -> tuple[list[PathPoint], Prompt]:
    """Path and target of `push`, `press`, `close` and `knock`: the fingers are closed all along."""
    event = next((p for p in points if p.gripper == Gripper.CLOSE), None)
    points = [replace(p, gripper=Gripper.KEEP) for p in points]
    if interaction == Interaction.PRESS:
        if target is None:
            at = event or (points[-1] if points and not reply.truncated else None)
            if at is None:
                raise ReplyError("The reply does not tell what to press.")
            target = Prompt(Role.TARGET, "button", at.x, at.y)
        if all(math.isfinite(p.depth) for p in points) and len(points) >= 2:
            return points, target
        return [PathPoint(target.x, target.y)], target
    if len(points) < 2 or reply.truncated:
        raise ReplyError(f"The path of a '{interaction}' needs a start and an end.")
    if target is None:
        found = _first_raised(points, frame)
        if found is None:
            raise ReplyError(f"The path of the '{interaction}' touches nothing on the table.")
        target = Prompt(Role.TARGET, "target", *found)
    return points, target


def _first_raised(points: Sequence[PathPoint], frame: RgbdFrame) -> tuple[float, float] | None:
    """Where a path first meets something that stands on the table (z = 0)."""
    for start, end in pairwise(points):
        for share in np.linspace(0.0, 1.0, 40):
            x = float(start.x + share * (end.x - start.x))
            y = float(start.y + share * (end.y - start.y))
            at = surface(x, y, frame)
            if at is not None and at[2] > RAISED:
                return x, y
    return None
