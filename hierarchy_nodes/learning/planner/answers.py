"""What a planner should answer to what is asked for in an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hardware.cell.tasks import WAYS, TaskSpec
from hierarchy_nodes.controller.diffusion.features import shorten
from hierarchy_nodes.geometry import ray, segment_distance
from hierarchy_nodes.learning.planner.stage import Item, Picture, Setting, Stage
from hierarchy_nodes.learning.skills import SKILLS
from hierarchy_nodes.learning.true_plan import TruePlanOptions, true_path
from hierarchy_nodes.learning.world import World
from hierarchy_nodes.planner.compact.inputs import PATH_POINTS
from hierarchy_nodes.planner.drawing import AVOID_DISTANCE, AVOID_MOST
from hierarchy_nodes.types import Array, Interaction

# Less of a thing in view than this, in pixels, and nobody could point at it.
_SEEN = 25


@dataclass(frozen=True)
class Wish:
    """An instruction with its answer. Things are places in the setting's items.

    Attributes:
        text: The instruction.
        corrections: Role and phrase of each.
        before: Target and goal of the plan before, or -1.
        status: One of ``inputs.STATUSES``.
        interaction: Whatever the status is.
        targets: What may be meant: one, or several if that is ambiguous.
        goal: Or -1. avoid: What stands near the way.
        more: Something is left after this.
        path: ``(n, 4)``: x, y (normalised), height (metres), gripper event; empty without a plan.
        family: For statistics. how: How the things were called.
    """

    text: str
    status: str
    interaction: Interaction
    family: str
    how: str
    corrections: tuple[tuple[str, str], ...] = ()
    before: tuple[int, int] = (-1, -1)
    targets: tuple[int, ...] = ()
    goal: int = -1
    avoid: tuple[int, ...] = ()
    more: bool = False
    path: tuple[tuple[float, float, float, float], ...] = ()


class StagedWorld(World):
    """The truth of a stage: nothing touches anything but what is said to be held."""

    def __init__(self, stage: Stage, task: TaskSpec, held: str) -> None:
        super().__init__(stage.cell, task)
        self._held, self._time = held, 0.0

    @property
    def time(self) -> float:
        # Long enough between any two looks for a grip to be trusted.
        self._time += 1.0
        return self._time

    def touching(self, name: str) -> set[str]:
        return set()

    def between_fingers(self, names: object) -> bool:
        return bool(self._held) and self._held in tuple(names)  # type: ignore[arg-type]

    def pressed(self, name: str) -> float:
        return 0.0


class Truth:
    """Knows the answers for the setting that a stage shows at the moment.

    Attributes:
        seen: Names of the things that can be pointed at.
        numbers: The place of each thing among the setting's items, by name.
    """

    def __init__(self, stage: Stage, setting: Setting, picture: Picture) -> None:
        self._stage, self._setting, self._picture = stage, setting, picture
        areas = np.bincount(picture.things.ravel(), minlength=256)
        self.seen = {t.name for i, t in enumerate(setting.items) if areas[i + 1] >= _SEEN}
        self.numbers = {t.name: i for i, t in enumerate(setting.items)}

    def answer(
        self, text: str, family: str, target: Item, goal: Item | None, way: str, how: str
    ) -> Wish | None:
        """The wish `text` with its answer; None where no path can be shown.

        Args:
            text: What is said.
            family: One of ``wishes.FAMILIES``.
            target, goal: The things that are meant.
            way: Of a push, a key of `WAYS`; else empty.
            how: How the things were called.
        """
        done = self._done(family, target, goal)
        skill = family.removesuffix(" way")
        task = TaskSpec(
            skill,
            text,
            target.name,
            goal.name if goal else "",
            "",
            WAYS[way] if way else (0.0, 0.0),
        )
        held = self._setting.held
        expert = SKILLS[skill](StagedWorld(self._stage, task, held))
        wish = Wish(
            text=text,
            status="done" if done else "plan",
            interaction=expert.interaction,
            family=family,
            how=how,
            targets=(self.numbers[target.name],),
            goal=self.numbers[goal.name] if goal else -1,
        )
        if done:
            return wish
        holding = held == target.name
        frame, robot = self._picture.frame, self._picture.robot
        if holding:
            # The first look only notes that it is held.
            expert.decide(robot.tool, robot.gripper)
        path, points = true_path(expert, frame, robot, holding, TruePlanOptions.tolerance)
        if len(path) < 3:
            return None
        pose, camera = frame.camera_pose, frame.intrinsics
        drawn = tuple(
            (
                p.x,
                p.y,
                float((pose.position + p.depth * ray(p.x, p.y, camera, pose))[2]),
                float(p.gripper),
            )
            for p in shorten(path, PATH_POINTS)
        )
        return replace(wish, path=drawn, avoid=self._near(target, goal, points))

    def _done(self, family: str, target: Item, goal: Item | None) -> bool:
        if family in ("place", "stack", "push"):
            return goal is not None and target.on == goal.name
        if family == "open_drawer":
            return target.opening > 0.9
        if family == "close_drawer":
            return target.opening < 0.05
        return family == "knock" and target.lying

    def _near(self, target: Item, goal: Item | None, points: list[Array]) -> tuple[int, ...]:
        """What stands near the way, nearest first, as the true plan has it."""
        flat = [point[:2] for point in points[:-1]]
        near = []
        for i, thing in enumerate(self._setting.items):
            if thing is target or thing is goal or thing.name not in self.seen:
                continue
            here = np.array(thing.position[:2])
            away = min((segment_distance(here, a, b) for a, b in pairwise(flat)), default=1.0)
            away -= max(thing.size[:2]) / 2
            if away < AVOID_DISTANCE:
                near.append((away, i))
        return tuple(i for _, i in sorted(near)[:AVOID_MOST])


def interaction_of(family: str) -> Interaction:
    """What the arm does in a family, whatever the things are."""
    return SKILLS[family.removesuffix(" way")].interaction
