"""The planner without a model: words by a grammar, things by colour and shape, paths by geometry.

The degraded mode when a model server is down, and the baseline that learned planners must beat.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner import routes, spots
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.planner.checking import Memory, is_done, rests_in
from hierarchy_nodes.planner.drawing import draw_path, draw_prompts, held_prompt
from hierarchy_nodes.planner.finding import find, find_all, listing
from hierarchy_nodes.planner.language import Description, Instruction, describe, parse
from hierarchy_nodes.planner.motions import MotionNamer
from hierarchy_nodes.planner.naming import Thing, see
from hierarchy_nodes.planner.routes import RouteOptions, Way
from hierarchy_nodes.types import (
    Array,
    CorrectionKind,
    Gripper,
    Interaction,
    LanguageMotion,
    Observation,
    Plan,
    RgbdFrame,
    RobotState,
)

FIRST_GRIPPER = {
    Interaction.PLACE: Gripper.OPEN,
    Interaction.OPEN: Gripper.OPEN,
    Interaction.PUSH: Gripper.CLOSE,
    Interaction.PRESS: Gripper.CLOSE,
    Interaction.CLOSE: Gripper.CLOSE,
    Interaction.KNOCK: Gripper.CLOSE,
}
REMEMBERED = 16


@dataclass(frozen=True)
class View:
    """What a plan is made from."""

    request: PlanRequest
    step: Instruction
    things: list[Thing]
    held: Memory | None

    @property
    def tool(self) -> Array:
        return self.request.robot.tool.position


class ClassicalPlanner(PlannerBackend):
    """See the module. Remembers its last plans, to check them and to know what "it" is."""

    Options = RouteOptions

    def __init__(self, options: RouteOptions) -> None:
        super().__init__(options)
        self._memory: OrderedDict[str, Memory] = OrderedDict()
        self._last: Memory | None = None
        self._namer = MotionNamer(options.motion_share, options.motion_distance)

    def subtasks(self, instruction: str) -> tuple[str, ...]:
        # Runs beside `plan` in another thread, so it reads one attribute only.
        last = self._last
        it = last.step.target if last else None
        return tuple(str(step) for step in parse(instruction, it))

    def repeats(self, subtask: str) -> bool:
        return parse(subtask)[0].target.every

    def prepares(self, plan: Plan) -> bool:
        memory = self._memory.get(plan.plan_id)
        return memory is not None and memory.prepares

    def plan(self, request: PlanRequest) -> Plan:
        previous = self._memory.get(request.previous.plan_id) if request.previous else None
        step = _corrected(parse(request.instruction)[0], request)
        things = see(request.frame, request.robot)
        held = previous if request.holding else None
        if request.holding:
            things = [t for t in things if not _in_hand(t, request.robot)]
        view = View(request, step, things, held)
        target, goal = self._find(view, previous)
        if held is not None and target is not held.target:
            return self._put_back(view, held)
        ways, drawer = self._route(view, target, goal, previous)
        self._check_reach(ways, target)
        return self._finish(view, target, goal, ways, drawer)

    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        memory = self._memory.get(plan.plan_id)
        if memory is None:
            return None
        return is_done(memory, see(frame, robot), robot, self.options)

    def motion(self, observation: Observation) -> LanguageMotion | None:
        return self._namer.motion(observation)

    # -- what is meant ------------------------------------------------------------------------

    def _find(self, view: View, previous: Memory | None) -> tuple[Thing, Thing | None]:
        """Target and goal. The target is the held thing where that is what is meant."""
        step, things = view.step, view.things
        avoid = previous.target.position if previous else None
        held = view.held
        if step.by_color:
            return _next_to_sort(view)
        goal = None
        if step.goal is not None and step.goal.shape != "table":
            away = previous.goal.position if previous and previous.goal else None
            try:
                goal = find(step.goal, things, role="goal", avoid=away)
            except PlanningError as error:
                if error.code != ErrorCode.OBJECT_AMBIGUOUS:
                    raise
                # One of them may be the thing to be moved: "put the red block on the block".
                target = find(step.target, things)
                goal = find(step.goal, things, role="goal", avoid=away, exclude=[target])
        if step.relation == "back" and previous is not None:
            return (held or previous).target if held else _again(previous, things), None
        if held is not None and _means(step.target, held.target):
            return held.target, goal
        exclude = [goal] if goal else []
        found = find_all(step.target, things, avoid=avoid, exclude=exclude)
        if goal is not None and step.relation in ("on", "in"):
            left = [t for t in found if not rests_in(t, goal)]
            if not left:
                raise TaskDone(f"{_names(found)} is already {step.relation} the {goal.label}.")
            if len(left) == 1 or step.target.every:
                # Nearest to the robot first: nothing is reached over.
                return min(left, key=lambda t: float(np.linalg.norm(t.position[:2]))), goal
        if step.target.every and found:
            done = previous.handled if previous and previous.step == step else ()
            left = [t for t in found if not any(_near(t, at) for at in done)]
            if not left:
                raise TaskDone(f"Nothing is left to do for {step.target}.")
            return left[0], goal
        return find(step.target, things, avoid=avoid, exclude=exclude), goal

    # -- how ----------------------------------------------------------------------------------

    def _route(
        self, view: View, target: Thing, goal: Thing | None, previous: Memory | None
    ) -> tuple[list[Way], routes.Drawer | None]:
        step, options, things = view.step, self.options, view.things
        others = [t for t in things if t is not target and t is not goal]
        if step.interaction == Interaction.PLACE:
            return self._place(view, target, goal, previous), None
        travel = spots.travel_height([view.tool, target.position], others, 0.0, target.top + 0.03)
        if step.interaction == Interaction.PRESS:
            return routes.press(routes.top_middle(target), options), None
        if step.interaction == Interaction.PUSH:
            direction, distance = spots.push_way(step, target, goal, options)
            return routes.push(target, direction, distance, travel, options), None
        if step.interaction == Interaction.KNOCK:
            direction = routes.knock_direction(target, others, view.tool)
            return routes.knock(target, direction, travel, options), None
        drawer = routes.measure_drawer(target, options)
        if drawer is None:
            raise PlanningError(
                ErrorCode.OBJECT_NOT_FOUND,
                f"I cannot see how the {target.label} opens. In view: {listing(things)}.",
            )
        if step.interaction == Interaction.OPEN:
            if drawer.gap > options.pull - 0.02:
                raise TaskDone(f"The {target.label} is already open.")
            return routes.open_drawer(drawer, travel, options), drawer
        if drawer.gap < 0.01:
            raise TaskDone(f"The {target.label} is already closed.")
        return routes.close_drawer(drawer, travel, options), drawer

    def _place(
        self, view: View, target: Thing, goal: Thing | None, previous: Memory | None
    ) -> list[Way]:
        options, step, held = self.options, view.step, view.held
        underside = spots.underside(target, view.things)
        carried = held is not None and target is held.target
        if held is not None and carried:
            grasp = routes.Grasp(view.tool, held.offset)
        else:
            if target.cluster.size[1] > options.max_width:
                raise PlanningError(
                    ErrorCode.PLAN_REJECTED,
                    f"The {target.label} is {target.cluster.size[1] * 100:.0f} cm wide: too wide "
                    f"for the gripper ({options.max_width * 100:.0f} cm).",
                )
            grasp = routes.grasp_of(target, underside, options)
        others = [t for t in view.things if t is not target and t is not goal]
        last = held or previous
        origin = last.target.position if last else None
        start = view.tool if carried else target.position
        if step.picks:
            travel = spots.travel_height([start], others, grasp.offset, grasp.point[2] + 0.12)
            lift = [Way(np.array([*grasp.point[:2], travel]))]
            return lift if carried else routes.pick(grasp, travel, options)
        spot = spots.release_spot(step, target, goal, others, origin, options)
        release = spot + np.array([0.0, 0.0, grasp.offset + 0.004])
        least = max(grasp.point[2], release[2]) + (0.02 if carried else options.lift)
        travel = spots.travel_height([start, release], others, grasp.offset, least)
        if carried:
            return routes.place_held(view.tool, release, travel, options)
        return routes.place(grasp, release, travel, options)

    def _put_back(self, view: View, held: Memory) -> Plan:
        """Another thing is in the hand than is meant: back with it, to where it came from."""
        home = held.target.position[:2]
        down = np.array([*home, spots.underside(held.target, []) + held.offset + 0.004])
        away = spots.travel_height([view.tool, down], view.things, held.offset, down[2] + 0.12)
        ways = routes.place_held(view.tool, down, away, self.options)
        thing = Description(held.target.color, held.target.shape)
        step = Instruction(Interaction.PLACE, thing, relation="back")
        plan = self._finish(replace(view, step=step), held.target, None, ways, None)
        self._memory[plan.plan_id] = replace(self._memory[plan.plan_id], prepares=True)
        # All of the way is known: nothing needs to be kept in sight.
        return replace(plan, interaction=Interaction.NONE, prompts=())

    def _check_reach(self, ways: list[Way], target: Thing) -> None:
        options = self.options
        for way in ways:
            radius = float(np.linalg.norm(way.point[:2]))
            if radius > options.reach or radius < options.reach_min:
                x, y = way.point[:2]
                raise PlanningError(
                    ErrorCode.OUT_OF_REACH,
                    f"The {target.label} is out of reach: the tool would have to go to "
                    f"({x:.2f}, {y:.2f}) m, {radius:.2f} m from the base; the arm reaches "
                    f"{options.reach_min:.2f} to {options.reach:.2f} m.",
                )

    def _finish(
        self,
        view: View,
        target: Thing,
        goal: Thing | None,
        ways: list[Way],
        drawer: routes.Drawer | None,
    ) -> Plan:
        request, step, frame = view.request, view.step, view.request.frame
        first = Gripper.KEEP if view.held else FIRST_GRIPPER[step.interaction]
        others = [t for t in view.things if t is not target and t is not goal]
        exact = _fits_exactly(step.target, target) and (
            goal is None or step.goal is None or _fits_exactly(step.goal, goal)
        )
        prompts = draw_prompts(frame, target, goal, others, ways)
        if view.held is not None and target is view.held.target:
            held = held_prompt(request, target.label)
            prompts = (*([held] if held else []), *prompts[1:])
        plan = Plan(
            plan_id=uuid.uuid4().hex[:8],
            stamp=frame.stamp,
            frame_id=frame.frame_id,
            camera_pose=frame.camera_pose,
            instruction=request.instruction,
            subtask=str(step),
            interaction=step.interaction,
            path=draw_path(frame, view.tool, first, ways),
            prompts=prompts,
            valid_until=frame.stamp + self.options.plan_lifetime,
            source="classical",
            confidence=1.0 if exact else 0.6,
        )
        offset = spots.grasp_offset(ways, target, view.things, view.held)
        before = self._memory.get(request.previous.plan_id) if request.previous else None
        handled = before.handled if before and before.step == step else ()
        self._last = self._memory[plan.plan_id] = Memory(
            step, target, goal, tuple(ways), offset, drawer, (*handled, target.position)
        )
        while len(self._memory) > REMEMBERED:
            self._memory.popitem(last=False)
        return plan


def _corrected(step: Instruction, request: PlanRequest) -> Instruction:
    """`step` after all retargeting corrections, oldest first."""
    target, goal = step.target, step.goal
    for correction in request.corrections:
        if correction.kind != CorrectionKind.RETARGET or not correction.accepted:
            continue
        new = describe(correction.phrase)
        if correction.role == "goal" and goal is not None:
            goal = goal.changed_by(new)
        else:
            target = target.changed_by(new)
    return replace(step, target=target, goal=goal)


def _next_to_sort(view: View) -> tuple[Thing, Thing]:
    """The nearest thing that is not yet at the goal of its colour, and that goal."""
    step, things = view.step, view.things
    goals = find_all(step.goal or Description(), things, role="goal")
    found = [t for t in find_all(step.target, things) if not any(t is g for g in goals)]
    if view.held is not None and step.target.color in ("", view.held.target.color):
        found = [view.held.target]
    homes = [(t, g) for t in found for g in goals if t.color == g.color]
    if not homes:
        raise PlanningError(
            ErrorCode.OBJECT_NOT_FOUND,
            f"I see nowhere to sort to: no {step.goal.name if step.goal else 'goal'} has the "
            f"color of a {step.target.name}. In view: {listing(things)}.",
        )
    left = [(t, g) for t, g in homes if not rests_in(t, g)]
    if not left:
        raise TaskDone(f"{_names(found)}: everything is sorted.")
    return min(left, key=lambda pair: float(np.linalg.norm(pair[0].position[:2])))


def _in_hand(thing: Thing, robot: RobotState) -> bool:
    away = np.linalg.norm(thing.position[:2] - robot.tool.position[:2])
    return bool(away < 0.05 and abs(thing.position[2] - robot.tool.position[2]) < 0.08)


def _means(description: Description, thing: Thing) -> bool:
    if description.other or description.noun:
        return False
    return (not description.color or description.color in thing.colors) and (
        not description.shape or description.shape in thing.shapes
    )


def _fits_exactly(description: Description, thing: Thing) -> bool:
    return description.color in ("", thing.color) and description.shape in ("", thing.shape)


def _near(thing: Thing, at: Array) -> bool:
    return bool(np.linalg.norm(thing.position - at) < 0.03)


def _again(memory: Memory, things: list[Thing]) -> Thing:
    """The thing that `memory` is about, where it is now."""
    alike = [t for t in things if memory.is_target(t)]
    if not alike:
        raise PlanningError(
            ErrorCode.OBJECT_NOT_FOUND,
            f"I cannot see the {memory.target.label}. In view: {listing(things)}.",
        )
    at = memory.ends_at
    return min(alike, key=lambda t: float(np.linalg.norm(t.position[:2] - at[:2])))


def _names(things: list[Thing]) -> str:
    return "The " + listing(things)
