"""Whether an image shows that a step is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.planner.language import Instruction
from hierarchy_nodes.planner.naming import Thing
from hierarchy_nodes.planner.routes import Drawer, RouteOptions, Way, measure_drawer
from hierarchy_nodes.types import Array, Gripper, Interaction, RobotState

HOLLOW = ("bowl", "cup", "tray", "drawer")
# Between these openings something is between the fingers.
HELD = (0.03, 0.93)


@dataclass(frozen=True)
class Memory:
    """What a plan was made from.

    Attributes:
        step: What was asked. target, goal: As seen then.
        ways: The route. offset: Height of the tool over the underside of what it holds.
        drawer: As measured then.
        prepares: What is in the hand is put down, for something else to be done.
        handled: Where things were that this step has taken up so far ("all the red ones").
    """

    step: Instruction
    target: Thing
    goal: Thing | None
    ways: tuple[Way, ...]
    offset: float
    drawer: Drawer | None
    handled: tuple[Array, ...] = ()
    prepares: bool = False

    @property
    def ends_at(self) -> Array:
        """``(3,)`` where the target was meant to end up; for a push and the like, where it was."""
        opened = [w.point for w in self.ways if w.gripper == Gripper.OPEN]
        if self.step.interaction == Interaction.PLACE and opened:
            return opened[-1]
        if self.step.interaction == Interaction.PUSH:
            return self.target.position + self.ways[2].point - self.ways[1].point
        return self.target.position

    def is_target(self, thing: Thing) -> bool:
        """Whether `thing` may be the target, seen again."""
        alike = thing.color in self.target.colors or self.target.color in thing.colors
        size = float(np.max(thing.cluster.size)) / max(
            float(np.max(self.target.cluster.size)), 0.01
        )
        return alike and 0.4 < size < 1.7


def holds_something(robot: RobotState) -> bool:
    """Whether the gripper's opening says that there is something between the fingers."""
    return HELD[0] < robot.gripper < HELD[1]


def rests_in(thing: Thing, goal: Thing) -> bool:
    """Whether `thing` is on or in `goal`, as far as one image tells."""
    away = float(np.linalg.norm(thing.position[:2] - goal.position[:2]))
    inside = away < 0.5 * float(goal.cluster.size[1])
    if goal.shape in HOLLOW:
        return inside
    return inside and thing.position[2] > goal.top


def is_done(
    memory: Memory, things: Sequence[Thing], robot: RobotState, options: RouteOptions
) -> bool | None:
    """True, False, or None where it cannot be seen."""
    step = memory.step
    if step.interaction == Interaction.PRESS:
        return None
    if step.interaction in (Interaction.OPEN, Interaction.CLOSE):
        return _drawer_moved(memory, things, options)
    if step.interaction == Interaction.PLACE and step.picks:
        return holds_something(robot)
    alike = [t for t in things if memory.is_target(t)]
    if step.interaction == Interaction.KNOCK:
        return _fell(memory, things)
    if memory.goal is not None and step.relation in ("on", "in", "to"):
        return _at_goal(memory, alike, things)
    if not alike:
        return False
    start, end = memory.target.position[:2], memory.ends_at[:2]
    if step.interaction == Interaction.PUSH:
        way = end - start
        length = float(np.linalg.norm(way))
        moved = max(float((t.position[:2] - start) @ way) / max(length, 1e-6) for t in alike)
        return moved > 0.65 * length
    return min(float(np.linalg.norm(t.position[:2] - end)) for t in alike) < 0.05


def _at_goal(memory: Memory, alike: list[Thing], things: Sequence[Thing]) -> bool | None:
    goal = memory.goal
    if goal is None:
        return None
    alike = [t for t in alike if not _same_goal(t, goal)]
    seen = [t for t in things if _same_goal(t, goal)]
    now = min(
        seen,
        key=lambda t: float(np.linalg.norm(t.position - goal.position)),
        default=goal,
    )
    # A thing on a mark hides part of it: then the mark is where it was.
    moved = float(np.linalg.norm(now.position[:2] - goal.position[:2]))
    middle = goal.position if moved < 0.04 else now.position
    reach = max(float(goal.cluster.size[1]) / 2, 0.02)
    for thing in alike:
        if np.linalg.norm(thing.position[:2] - middle[:2]) < reach:
            return True
    if not alike and (goal.shape in HOLLOW or goal.color in memory.target.colors):
        return None
    return False


def _same_goal(thing: Thing, goal: Thing) -> bool:
    alike = thing.color in goal.colors or goal.color in thing.colors
    size = float(thing.cluster.size[0]) / max(float(goal.cluster.size[0]), 0.01)
    near = np.linalg.norm(thing.position[:2] - goal.position[:2]) < 0.15
    return bool(alike and near and size > 0.6)


def _fell(memory: Memory, things: Sequence[Thing]) -> bool | None:
    before = memory.target
    alike = [
        t
        for t in things
        if (t.color in before.colors or before.color in t.colors)
        and np.linalg.norm(t.position[:2] - before.position[:2]) < 0.35
    ]
    if any(t.top > 0.75 * before.top and t.shape == before.shape for t in alike):
        return False
    if any(t.cluster.size[0] > 0.6 * before.top for t in alike):
        return True
    return None


def _drawer_moved(memory: Memory, things: Sequence[Thing], options: RouteOptions) -> bool | None:
    fronts = [t for t in things if t.shape == "drawer" and memory.target.color in t.colors]
    if not fronts or memory.drawer is None:
        return None
    near = min(fronts, key=lambda t: float(np.linalg.norm(t.position - memory.target.position)))
    drawer = measure_drawer(near, options)
    if drawer is None:
        return None
    if memory.step.interaction == Interaction.OPEN:
        return drawer.gap > 0.75 * options.pull
    return drawer.gap < 0.02
