"""What a person who stands beside the cell sees going wrong.

This is the only part of a stack with a person in it that looks at the simulator's truth: people
know which thing they mean, and see where the tool is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.scene import ObjectSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.learning.world import World
from hierarchy_nodes.types import Array, StrEnum

# Offsets that nobody notices, or that do not matter: of the tool from what it is to take or press,
# of what is stacked from what it is to stand on, and within a plate's or bowl's rim. Metres.
_BESIDE, _STACKED, _RIM = 0.015, 0.014, 0.025
# The tool is seen to go somewhere above these speeds, m/s; it is at rest below the last one.
_SINKING, _GOING, _REST = 0.03, 0.06, 0.01
# What it goes to is within so much of its straight way, and so near: metres.
_LANE, _WIDE_LANE, _NEAR = 0.035, 0.07, 0.15
# Sinking tells where to only below this height over a thing's top; to be on a thing is to be within
# this of its middle; what is lifted is so high above where it lay: metres.
_OVER, _ON, _LIFTED = 0.12, 0.05, 0.02
# A thing is about to be bumped into: room that is left, and room that a hand needs, metres.
_ROOM, _HAND = 0.05, 0.02
# The arm does nothing any more: seconds at rest.
_STANDSTILL = 2.0


class Fault(StrEnum):
    """What goes wrong."""

    WRONG_TARGET = "wrong target"
    WRONG_GOAL = "wrong goal"
    BESIDE_TARGET = "beside target"
    BESIDE_GOAL = "beside goal"
    COLLISION = "collision"
    IDLE = "idle"


@dataclass(frozen=True)
class Mistake:
    """One thing that goes wrong now.

    Attributes:
        fault: In which way.
        meant: Name of the thing that is to be taken, pressed or put upon.
        wrong: Name of the thing that is gone for instead, or bumped into; empty for none.
        offset: ``(2,)`` metres, base frame: by how much the tool should go elsewhere.
    """

    fault: Fault
    meant: str
    wrong: str = ""
    offset: Array = field(default_factory=lambda: np.zeros(2))

    def same(self, other: Mistake | None) -> bool:
        """Whether `other` is this mistake at another moment."""
        return other is not None and (self.fault, self.wrong) == (other.fault, other.wrong)


@dataclass(frozen=True)
class _Scene:
    """What is seen at one moment: positions ``(3,)`` metres, the velocity ``(3,)`` m/s."""

    tool: Array
    velocity: Array
    held: str

    @property
    def sinks(self) -> bool:
        return float(self.velocity[2]) < -_SINKING


class Onlooker:
    """Looks at one task in one cell; make it before the arm moves.

    Tasks of the families place, stack and press are judged in every way, those of others only by
    whether the arm does anything at all.
    """

    def __init__(self, cell: Cell, task: TaskSpec) -> None:
        self.world, self.task = World(cell, task), task
        self._referee = Referee(cell, task)
        goals = [] if self.world.goal is None else [self.world.goal]
        self._starts = {t.name: self.world.position(t.name) for t in cell.scene.objects}
        # What can be mistaken for the target, and for the goal.
        self._small = [t for t in cell.scene.objects if _is_like(t, [self.world.target])]
        self._large = [t for t in cell.scene.objects if _is_like(t, goals)]
        self._moved_at: float | None = None

    def look(self, now: float) -> Mistake | None:
        """What goes wrong at `now` (seconds); call it a few times a second."""
        world = self.world
        seen = _Scene(world.position("tool0"), world.tool_velocity(), self._held())
        if self._moved_at is None or float(np.linalg.norm(seen.velocity)) > _REST:
            self._moved_at = now
        if now - self._moved_at > _STANDSTILL:
            done = self._referee.verdict().success
            return None if done else Mistake(Fault.IDLE, self.task.target)
        if self.task.family not in ("place", "stack", "press"):
            return None
        bumped = self._bumps(seen)
        if bumped is not None:
            return bumped
        return self._carrying(seen) if seen.held else self._reaching(seen)

    def content(self) -> bool:
        """Whether things are as they were asked for."""
        return self._referee.verdict().success

    def _held(self) -> str:
        names = (t.name for t in self._small if self.world.between_fingers([t.name]))
        return next(names, "")

    def _reaching(self, seen: _Scene) -> Mistake | None:
        """The hand is empty: where does it go?"""
        target = self.world.target
        wrong = self._gone_for(seen, self._small, target)
        if wrong:
            return Mistake(Fault.WRONG_TARGET, target.name, wrong)
        offset = (self.world.position(target.name) - seen.tool)[:2]
        away = float(np.linalg.norm(offset))
        low = seen.tool[2] < self._top(target) and seen.velocity[2] < _SINKING
        if _BESIDE < away < 2 * _ON and (low or self._comes_down(seen, target)):
            return Mistake(Fault.BESIDE_TARGET, target.name, offset=offset)
        return None

    def _carrying(self, seen: _Scene) -> Mistake | None:
        """Something is in the hand: is it the right thing, and where does it go?"""
        target, goal = self.world.target, self.world.goal
        if seen.held != target.name:
            lifted = self.world.position(seen.held)[2] - self._starts[seen.held][2] > _LIFTED
            return Mistake(Fault.WRONG_TARGET, target.name, seen.held) if lifted else None
        if goal is None:
            return None
        others = [t for t in self._large if t.name != target.name]
        wrong = self._gone_for(seen, others, goal)
        if wrong:
            return Mistake(Fault.WRONG_GOAL, goal.name, wrong)
        offset = (self.world.position(goal.name) - self.world.position(target.name))[:2]
        away = float(np.linalg.norm(offset))
        enough = _STACKED if self.task.family == "stack" else goal.size[0] / 2 - _RIM
        if enough < away < goal.size[0] / 2 + _ON and self._comes_down(seen, goal):
            return Mistake(Fault.BESIDE_GOAL, goal.name, offset=offset)
        return None

    def _gone_for(self, seen: _Scene, things: list[ObjectSpec], meant: ObjectSpec) -> str:
        """Name of the thing out of `things` that the tool goes to or sinks onto; "" if it is right.

        It is right as long as the way may lead to `meant`, too.
        """
        here = self._starts[self.task.target][:2]
        if meant is self.world.goal and float(np.linalg.norm(seen.tool[:2] - here)) < _ON:
            return ""  # straight up from where it lay
        away = {t.name: (self.world.position(t.name) - seen.tool)[:2] for t in [meant, *things]}
        far = {name: float(np.linalg.norm(way)) for name, way in away.items()}
        if far[meant.name] < max(_ON, meant.size[0] / 2) + _BESIDE:
            return ""
        others = [t for t in things if t.name not in (meant.name, seen.held)]
        if seen.sinks:
            on = [t for t in others if far[t.name] < _ON and self._comes_down(seen, t)]
            return min(on, key=lambda t: far[t.name]).name if on else ""
        speed = float(np.linalg.norm(seen.velocity[:2]))
        if speed < _GOING or seen.velocity[2] > _SINKING:
            return ""
        heading = seen.velocity[:2] / speed
        if float(heading @ away[meant.name]) > 0 and _aside(heading, away[meant.name]) < _WIDE_LANE:
            return ""
        ahead = [
            t.name
            for t in others
            if far[t.name] < _NEAR
            and float(heading @ away[t.name]) > 0
            and _aside(heading, away[t.name]) < _LANE
        ]
        return min(ahead, key=lambda name: far[name], default="")

    def _bumps(self, seen: _Scene) -> Mistake | None:
        """Into something that stands in the way of the hand, or of what is in it."""
        speed = float(np.linalg.norm(seen.velocity[:2]))
        if speed < _GOING:
            return None
        heading, lowest = seen.velocity[:2] / speed, float(seen.tool[2])
        if seen.held:
            size = self.world.cell.scene.object(seen.held).size
            lowest = min(lowest, float(self.world.position(seen.held)[2]) - size[2] / 2)
        for thing in self.world.others():
            way = (self.world.position(thing.name) - seen.tool)[:2]
            wide = max(thing.size[:2]) / 2 + _HAND
            room = float(heading @ way) - wide
            if thing.name == seen.held or lowest > self._top(thing):
                continue
            if 0 < room < _ROOM and _aside(heading, way) < wide:
                return Mistake(Fault.COLLISION, self.task.target, thing.name)
        return None

    def _comes_down(self, seen: _Scene, thing: ObjectSpec) -> bool:
        return seen.sinks and float(seen.tool[2]) - self._top(thing) < _OVER

    def _top(self, thing: ObjectSpec) -> float:
        return float(self.world.position(thing.name)[2]) + thing.size[2] / 2


def _is_like(thing: ObjectSpec, models: list[ObjectSpec]) -> bool:
    """Whether a thing may be taken for one of `models`: it is about as large."""
    return any(
        thing.name == model.name or 0.5 < thing.size[0] / model.size[0] < 2.0 for model in models
    )


def _aside(heading: Array, way: Array) -> float:
    """How far ``(2,)`` `way` ends beside the line along the unit vector `heading`, metres."""
    return abs(float(heading[0] * way[1] - heading[1] * way[0]))
