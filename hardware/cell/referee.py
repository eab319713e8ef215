"""The truth about a task. Nothing of the stack may look here; evaluation does."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from hardware.cell.build import TABLE_HALF, TABLE_MIDDLE
from hardware.cell.cell import Cell
from hardware.cell.errands import Errand
from hardware.cell.scene import DRAWER_TRAVEL
from hardware.cell.tasks import TaskSpec
from hardware.cell.truth import Truth
from hierarchy_nodes.errors import UnknownNameError

PUSH_DISTANCE = 0.08  # metres
# m/s, and rad/s: as fast as what rolls at that speed on a radius of 2 cm turns.
REST_SPEED, REST_TURN = 0.02, 1.0
OPENED, CLOSED, PRESSED = 0.70, 0.15, 0.70  # of the travel
KNOCKED, UPRIGHT = math.radians(60), math.radians(20)


@dataclass(frozen=True)
class Verdict:
    """Done or not, and why."""

    success: bool
    reason: str


class Referee:
    """Judges one task in one cell; make it before the arm moves, as it notes where things are.

    Args:
        company: Names of things that may be at the goal, too; the target may rest on them.

    Raises:
        UnknownNameError: The task names an object that the scene lacks.
    """

    def __init__(self, cell: Cell, task: TaskSpec, company: Collection[str] = ()) -> None:
        self._truth, self._scene, self.task = Truth(cell), cell.scene, task
        self._company = set(company)
        self._target = cell.scene.object(task.target)
        self._goal = cell.scene.object(task.goal) if task.goal else None
        self._start = self._truth.position(task.target)
        judges = {
            "place": self._placed,
            "stack": self._stacked,
            "push": self._pushed,
            "press": self._pressed,
            "open_drawer": self._opened,
            "close_drawer": self._closed,
            "knock": self._knocked,
        }
        if task.family not in judges:
            raise UnknownNameError("task family", task.family, judges)
        self._judge = judges[task.family]

    def verdict(self) -> Verdict:
        """As things stand now."""
        problem = self._judge()
        return Verdict(not problem, problem or f"done: {self.task.instruction}")

    # -- facts --------------------------------------------------------------------------------

    def _unsettled(self) -> str:
        """Why the target is not yet let go of and at rest, or an empty string."""
        name = self.task.target
        off = np.abs(self._truth.position(name)[:2] - TABLE_MIDDLE) - TABLE_HALF
        if (off > 0).any():
            return f"{name} fell off the table"
        held = self._truth.touching(name) & {"finger_left", "finger_right", "hand"}
        if held:
            return f"{name} still touches the gripper ({', '.join(sorted(held))})"
        speed, turn = self._truth.velocity(name)
        if np.linalg.norm(speed) > REST_SPEED or np.linalg.norm(turn) > REST_TURN:
            return f"{name} is still moving"
        return ""

    # -- judges: each says what is missing, or nothing ------------------------------------------

    def _placed(self) -> str:
        target, goal = self._target, self._goal
        if goal is None:
            return "the task has no goal"
        here, there = self._truth.position(target.name), self._truth.position(goal.name)
        away = float(np.hypot(*(here - there)[:2]))
        if away > goal.size[0] / 2:
            return f"{target.name} is {away * 100:.0f} cm from the middle of {goal.name}"
        floor = there[2] - goal.size[2] / 2
        highest = floor + goal.size[2] + max(target.size) * (2 if self._company else 1)
        if here[2] > highest:
            return f"{target.name} is above {goal.name}, not {self.task.relation} it"
        if self._truth.tilt(goal.name) > UPRIGHT:
            return f"{goal.name} is tipped over"
        below = self._truth.touching(target.name) & ({goal.name} | self._company)
        if goal.shape != "zone" and not below:
            return f"{target.name} does not rest {self.task.relation} {goal.name}"
        return self._unsettled()

    def _stacked(self) -> str:
        target, goal = self._target, self._goal
        if goal is None:
            return "the task has no goal"
        here, there = self._truth.position(target.name), self._truth.position(goal.name)
        away = float(np.hypot(*(here - there)[:2]))
        if away > goal.size[0] / 2 or here[2] - there[2] < goal.size[2] / 2:
            return f"{target.name} is not on top of {goal.name}"
        if goal.name not in self._truth.touching(target.name):
            return f"{target.name} does not rest on {goal.name}"
        if "world" in self._truth.touching(target.name) or here[2] < goal.size[2]:
            return f"{target.name} leans on {goal.name}"
        return self._unsettled()

    def _pushed(self) -> str:
        name = self.task.target
        here = self._truth.position(name)
        if self._goal is not None:
            away = float(np.hypot(*(here - self._truth.position(self._goal.name))[:2]))
            if away > self._goal.size[0] / 2:
                return f"{name} is {away * 100:.0f} cm from the middle of {self._goal.name}"
            return self._unsettled()
        moved = (here - self._start)[:2]
        along = float(moved @ np.array(self.task.direction))
        aside = float(np.linalg.norm(moved - along * np.array(self.task.direction)))
        if along < PUSH_DISTANCE:
            return f"{name} moved {along * 100:.1f} cm, {PUSH_DISTANCE * 100:.0f} wanted"
        if aside > along:
            return f"{name} went {aside * 100:.1f} cm aside"
        return self._unsettled()

    def _pressed(self) -> str:
        depth = {
            thing.name: self._truth.pressed(thing.name)
            for thing in self._scene.objects
            if thing.shape == "button"
        }
        wrong = [n for n, d in depth.items() if n != self.task.target and d > PRESSED]
        if wrong:
            return f"{', '.join(wrong)} was pressed, not {self.task.target}"
        if depth[self.task.target] < PRESSED:
            return f"{self.task.target} was pressed {depth[self.task.target]:.0%} of the way"
        return ""

    def _opening(self, name: str) -> float:
        return self._truth.opening(name) / DRAWER_TRAVEL

    def _disturbed(self) -> str:
        """Another drawer that was moved, which is what a wrong pick looks like."""
        for thing in self._scene.objects:
            if thing.shape == "drawer" and thing.name != self.task.target:
                moved = abs(self._opening(thing.name) - thing.opening)
                if moved > 0.3:
                    return f"{thing.name} was moved, not {self.task.target}"
        return ""

    def _opened(self) -> str:
        opening = self._opening(self.task.target)
        if opening < OPENED:
            return f"{self.task.target} is open {opening:.0%}"
        return self._disturbed()

    def _closed(self) -> str:
        opening = self._opening(self.task.target)
        if opening > CLOSED:
            return f"{self.task.target} is still open {opening:.0%}"
        return self._disturbed()

    def _knocked(self) -> str:
        name = self.task.target
        others = [
            t.name
            for t in self._scene.objects
            if t.shape == "bottle" and t.name != name and self._truth.tilt(t.name) > KNOCKED
        ]
        if others:
            return f"{', '.join(others)} was knocked over, not {name}"
        tilt = self._truth.tilt(name)
        if tilt < KNOCKED:
            return f"{name} is tilted by {math.degrees(tilt):.0f} degrees"
        return ""


class ErrandReferee:
    """Judges an errand: every aim holds, and what was not asked for is in none of the goals."""

    def __init__(self, cell: Cell, errand: Errand) -> None:
        self.errand = errand
        at: dict[str, set[str]] = {}
        for aim in errand.aims:
            at.setdefault(aim.goal, set()).add(aim.target)
        at.pop("", None)
        self._aims = [
            Referee(cell, aim, at.get(aim.goal, set()) - {aim.target}) for aim in errand.aims
        ]
        self._wrong = [
            Referee(cell, TaskSpec("place", "", name, goal), targets)
            for name in errand.untouched
            for goal, targets in at.items()
        ]

    def verdict(self) -> Verdict:
        """As things stand now; the reason says how many aims hold."""
        missing = [v.reason for v in (aim.verdict() for aim in self._aims) if not v.success]
        taken = [r.task for r in self._wrong if r.verdict().success]
        missing += [f"{task.target} is in {task.goal}, unasked" for task in taken]
        done = sum(aim.verdict().success for aim in self._aims)
        count = f"{done} of {len(self._aims)} steps"
        return Verdict(not missing, f"{count}: {'; '.join(missing)}" if missing else count)
