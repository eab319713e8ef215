"""The planner backend ``compact``: one small network for words, things in view, path, and what to
ask."""

from __future__ import annotations

import logging
import math
import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError, ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.planner import naming
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.planner.checking import holds_something
from hierarchy_nodes.planner.compact.answer import Answer, read_answer
from hierarchy_nodes.planner.compact.drawing import Question, draw, put_down
from hierarchy_nodes.planner.compact.inputs import before_of, state_of
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.planner.compact.room import led_to_room
from hierarchy_nodes.planner.compact.second_opinion import the_one, what_is_left
from hierarchy_nodes.planner.compact.text import Reader
from hierarchy_nodes.planner.compact.things import Things, padded, see
from hierarchy_nodes.planner.compact.versions import PACKAGE
from hierarchy_nodes.planner.compact.weights import chosen, load_weights
from hierarchy_nodes.planner.language import Description, Instruction, parse
from hierarchy_nodes.planner.learned import retargets, surface, understood
from hierarchy_nodes.planner.motions import MotionNamer, path_points
from hierarchy_nodes.planner.naming import Thing
from hierarchy_nodes.planner.phrases import normalise
from hierarchy_nodes.planner.words import COLORS as COLOR_WORDS
from hierarchy_nodes.types import (
    Array,
    Gripper,
    Interaction,
    LanguageMotion,
    Observation,
    Plan,
    RgbdFrame,
    RobotState,
    Role,
)

LOG = logging.getLogger(__name__)
REMEMBERED = 16
# That things are sorted by.
COLORS = tuple(sorted(set(COLOR_WORDS.values())))
# Of these an image does not tell whether they are done.
_UNSEEN = (Interaction.PRESS,)
# What is pointed at is in the hand if it is seen this near to the tool, metres.
_IN_HAND = 0.09
# Share of the image's width.
_SAME_PLACE = 0.01
_TAKE = re.compile(r"(please )?(pick( up)?|take|grab|grasp|lift|hold)\b")
# Where a thing is put that is put neither on nor in another.
_BESIDE = ("beside", "left", "right", "front", "behind", "back")
_BACK = re.compile(r"\b(it|that|this|them) back\b")


class Model(Protocol):
    """What answers: the network, or a script in its place.

    Attributes:
        confidence: Makes what the network thinks of an answer a probability.
    """

    @property
    def confidence(self) -> Callable[[float], float]: ...

    def ask(self, text: str, corrections: tuple[tuple[str, str], ...], look: Look) -> Answer: ...


@dataclass(frozen=True)
class Look:
    """What the network sees beside words: the things in view, state, the plan before."""

    things: Things
    state: NDArray[np.float32]
    before: NDArray[np.float32]


class NetworkModel:
    """The network with its weights.

    Args:
        path: Of the weights.
        threads: Of torch, for all in this process.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self._network, config = load_weights(path)
        self._read = Reader(config.vocabulary, config.network.words)
        self._calibration = config.calibration

    @property
    def confidence(self) -> Callable[[float], float]:
        return self._calibration

    @torch.inference_mode()
    def ask(self, text: str, corrections: tuple[tuple[str, str], ...], look: Look) -> Answer:
        """One look."""
        words = self._read(text, corrections)
        # Where nothing is in view, one thing that is none is looked at.
        seen = padded(look.things, max(1, len(look.things.crops)))
        crops, *rest = (torch.from_numpy(part)[None] for part in seen)
        known = self._network.see(crops.float() / 255, *rest)
        rows = (words.ids, words.colors, words.segments, look.state, look.before)
        tensors = (torch.from_numpy(row)[None] for row in rows)
        return read_answer(self._network(known, *tensors), known.points[0])


@dataclass(frozen=True)
class _Asked:
    """What a plan was made from."""

    text: str
    corrections: tuple[tuple[str, str], ...]
    before: NDArray[np.float32]


class CompactPlanner(PlannerBackend):
    """See the module.

    Args:
        options: See `CompactOptions`.
        model: In place of the network.
    """

    Options = CompactOptions
    options: CompactOptions

    def __init__(self, options: CompactOptions, model: Model | None = None) -> None:
        super().__init__(options)
        self._model: Model = model or _network(options)
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._more: OrderedDict[str, float] = OrderedDict()
        self._namer = MotionNamer()
        self._seen: tuple[RgbdFrame, Things] | None = None
        self._named: tuple[RgbdFrame, list[Thing]] | None = None
        self._preparing: deque[str] = deque(maxlen=REMEMBERED)
        # Where the tool was when it last took something, or was to take it.
        self._taken: Array | None = None

    # -- the executive's questions, to be answered at once --------------------------------------

    def subtasks(self, instruction: str) -> tuple[str, ...]:
        if not instruction.strip():
            raise PlanningError(ErrorCode.INSTRUCTION_EMPTY, "The instruction is empty.")
        try:
            steps = parse(instruction)
        except PlanningError:
            # The network may understand what the grammar does not.
            return (instruction,)
        # "take it, then put it there" is one movement.
        if len(steps) == 1 or any(step.picks for step in steps):
            return (instruction,)
        return tuple(str(step) for step in steps)

    def repeats(self, subtask: str) -> bool:
        step = understood(subtask)
        every = step is not None and step.target.every
        return every or self._more.get(subtask, 0.0) > 0.5

    # -- a look ---------------------------------------------------------------------------------

    def plan(self, request: PlanRequest) -> Plan:
        step = understood(request.instruction)
        if step is not None and step.by_color:
            return self._sort(request, step)
        _refuse_unlearned(request.instruction)
        asked = self._question(request)
        answer = self._ask(asked, request.frame, request.robot, request.holding)
        question = Question(request, step, self.options)
        held = answer.status == "plan" and _in_hand(answer, request)
        if request.holding and not held and answer.status in ("plan", "done"):
            if self._taken is None:
                raise PlanRejected(
                    ErrorCode.PLAN_REJECTED, "Where to put down what is in the hand is not known."
                )
            plan = put_down(question, self._taken)
            self._preparing.append(plan.plan_id)
            self._asked[plan.plan_id] = asked
            return plan
        answer = self._named_answer(answer, question)
        if answer.status == "done":
            raise TaskDone(f'Nothing is left to do for "{question.words}".')
        plan = draw(answer, question, self._model.confidence(answer.raw))
        self._remember(plan, asked, answer)
        self._follow(plan, answer, request.frame)
        return plan

    def prepares(self, plan: Plan) -> bool:
        return plan.plan_id in self._preparing

    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        if self.prepares(plan):
            return not holds_something(robot)
        asked = self._asked.get(plan.plan_id)
        goal = any(p.role == Role.GOAL for p in plan.prompts)
        unseen = plan.interaction in _UNSEEN or (plan.interaction == Interaction.PUSH and not goal)
        if asked is None or unseen:
            return None
        answer = self._ask(asked, frame, robot, False)
        if answer.statuses["done"] >= self.options.verify:
            return True
        if self.repeats(plan.subtask):
            # Something else may be left, which is no failure of this plan.
            return False if answer.status == "plan" and _still_there(answer, plan) else None
        return False if answer.statuses["plan"] >= self.options.verify else None

    def motion(self, observation: Observation) -> LanguageMotion | None:
        return self._namer.motion(observation)

    def _sort(self, request: PlanRequest, step: Instruction) -> Plan:
        """Color by color, because the network knows "put every red block in the red bowl"."""
        sorted_already = False
        unsure: PlanningError | None = None
        seen = {thing.color for thing in self._names(request)}
        for color in (c for c in COLORS if c in seen and step.target.color in ("", c)):
            target, goal = (
                replace(t, color=color) for t in (step.target, step.goal or Description())
            )
            one = replace(step, target=target, goal=goal, by_color=False)
            try:
                return self.plan(replace(request, instruction=str(one)))
            except TaskDone:
                sorted_already = True
            except PlanningError as error:
                if error.code != ErrorCode.OBJECT_NOT_FOUND:
                    unsure = error
        words = request.instruction.strip()
        if unsure is not None:
            raise unsure
        if sorted_already:
            raise TaskDone(f'Nothing is left to do for "{words}".')
        raise PlanningError(
            ErrorCode.OBJECT_NOT_FOUND, f'I see nothing that has a goal of its color for "{words}".'
        )

    def _named_answer(self, answer: Answer, question: Question) -> Answer:
        """The network's answer in the light of what is in view by name."""
        request = question.request
        # What was corrected since is not in the step's own words.
        step = None if retargets(request) else question.step
        if answer.status == "ambiguous" and step is not None:
            answer = the_one(answer, step.target, self._names(request))
        if answer.status != "plan" or answer.interaction != Interaction.PLACE:
            return answer
        things = self._names(request)
        if step is not None and step.target.every and not request.holding:
            answer = what_is_left(answer, step.target, things)
        return led_to_room(answer, request.frame, things, self.repeats(request.instruction))

    # -- parts ----------------------------------------------------------------------------------

    def _question(self, request: PlanRequest) -> _Asked:
        corrections = tuple((c.role or "target", c.phrase) for c in retargets(request))
        last = self._asked.get(request.previous.plan_id) if request.previous else None
        if last is not None and last.corrections == corrections:
            # Nothing was corrected since: "the other one" is still other than the same thing.
            return _Asked(request.instruction, corrections, last.before)
        before = before_of(request.previous if corrections else None)
        return _Asked(request.instruction, corrections, before)

    def _ask(self, asked: _Asked, frame: RgbdFrame, robot: RobotState, holding: bool) -> Answer:
        if self._seen is None or self._seen[0] is not frame:
            self._seen = frame, see(frame, robot)
        state = state_of(robot, frame.intrinsics, frame.camera_pose, holding)
        look = Look(self._seen[1], state, asked.before)
        return self._model.ask(asked.text, asked.corrections, look)

    def _names(self, request: PlanRequest) -> list[Thing]:
        """What is in view, by plain names of colour and shape."""
        frame = request.frame
        if self._named is None or self._named[0] is not frame:
            self._named = frame, naming.see(frame, request.robot)
        return self._named[1]

    def _remember(self, plan: Plan, asked: _Asked, answer: Answer) -> None:
        self._asked[plan.plan_id] = asked
        self._more[asked.text] = answer.more
        for memory in (self._asked, self._more):
            while len(memory) > REMEMBERED:
                memory.popitem(last=False)

    def _follow(self, plan: Plan, answer: Answer, frame: RgbdFrame) -> None:
        """Lift the path: where masks will tell a depth, the height that was learned must do."""
        lens, known = frame.intrinsics, path_points(plan, frame.intrinsics)
        first = len(plan.path) - len(answer.path)  # What the network did not draw has depths.
        points = np.zeros((len(plan.path), 3))
        for i, (point, exact) in enumerate(zip(plan.path, known, strict=True)):
            height = answer.path[max(i - first, 0)].height
            drawn = on_plane(point.x, point.y, lens, plan.camera_pose, height)
            points[i] = drawn if exact is None else exact
            if point.gripper == Gripper.CLOSE and plan.interaction == Interaction.PLACE:
                self._taken = points[i]
        self._namer.follow(plan, list(points))


def _network(options: CompactOptions) -> NetworkModel:
    found = chosen(options.weights)
    LOG.info("The compact planner uses %s.", found.description)
    try:
        return NetworkModel(found.path, options.threads)
    except ConfigError as error:
        if found.version == PACKAGE:
            raise
        raise ConfigError(
            f"{error} 'hierarchy learn --rollback {PACKAGE}' goes back to the package's weights."
        ) from error


def _in_hand(answer: Answer, request: PlanRequest) -> bool:
    """Whether the target is what the gripper holds."""
    target = answer.targets[0]
    at = surface(target.x, target.y, request.frame)
    # Between the fingers depth has holes.
    return at is None or bool(np.linalg.norm(at - request.robot.tool.position) < _IN_HAND)


def _still_there(answer: Answer, plan: Plan) -> bool:
    """Whether the next target is where that of `plan` was, which was not moved then."""
    target, was = answer.targets[0], plan.prompts[0]
    return math.hypot(target.x - was.x, target.y - was.y) < _SAME_PLACE


def _refuse_unlearned(instruction: str) -> None:
    """What the network would take for something else, without a doubt of its own."""
    step, normal = understood(instruction), normalise(instruction)
    picks = step is not None and step.picks and _TAKE.match(normal) is not None
    measured = step is not None and (step.relation in _BESIDE or step.distance > 0)
    if (picks and len(parse(instruction)) == 1) or measured or _BACK.search(normal):
        raise PlanningError(
            ErrorCode.INSTRUCTION_NOT_UNDERSTOOD,
            f'I have learned to put things on or in others, not "{instruction.strip()}". Say what '
            "is to be put where.",
        )
