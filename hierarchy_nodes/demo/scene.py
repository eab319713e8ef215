"""Finds a scene of the cell in which an instruction makes sense, and can be judged."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.cell import tasks
from hardware.cell.scene import SceneSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.errors import PlanningError
from hierarchy_nodes.planner.language import Description, Instruction, parse
from hierarchy_nodes.types import Interaction

FAMILIES: dict[Interaction, tuple[str, ...]] = {
    Interaction.PLACE: ("place", "stack"),
    Interaction.PUSH: ("push",),
    Interaction.PRESS: ("press",),
    Interaction.OPEN: ("open_drawer",),
    Interaction.CLOSE: ("close_drawer",),
    Interaction.KNOCK: ("knock",),
}
AXES = ("basic", "object_goal", "novel_object")
TRIES = 800  # scenes drawn of each family and axis, a third of a second


@dataclass(frozen=True)
class Choice:
    """A scene for an instruction.

    Attributes:
        judged: The referee's task is what the instruction asks for.
        missing: Things that the instruction names and no scene that was tried has.
    """

    family: str
    seed: int
    axis: str
    scene: SceneSpec
    task: TaskSpec
    judged: bool
    missing: tuple[str, ...] = ()


def choose(instruction: str, family: str = "", seed: int = 1, tries: int = TRIES) -> Choice:
    """The first scene from `seed` on whose own task is the instruction.

    Where there is none, the one with the most of the things that are named, so that the person
    still gets the planner's answer.

    Raises:
        UnknownNameError: There is no such family.
    """
    try:
        steps = parse(instruction)
    except PlanningError:
        steps = ()
    families = (family,) if family else FAMILIES.get(steps[0].interaction, ()) if steps else ()
    if not steps or any(thing.noun for thing in _things(steps)):
        tries = min(tries, 50)  # nothing will fit
    best: tuple[int, Choice] | None = None
    for kind in families or ("place",):
        for axis in AXES:
            for number in range(seed, seed + tries):
                scene, task = tasks.sample(kind, number, axis)
                missing = tuple(str(t) for t in _things(steps) if not _fitting(t, scene))
                judged = len(steps) == 1 and not missing and _asks_for(steps[0], scene, task)
                choice = Choice(kind, number, axis, scene, task, judged, missing)
                if judged:
                    return choice
                if best is None or len(missing) < best[0]:
                    best = len(missing), choice
    assert best is not None  # at least one scene was drawn
    return best[1]


def _asks_for(step: Instruction, scene: SceneSpec, task: TaskSpec) -> bool:
    """Whether `step` means just what `task` means, in that scene."""
    for thing, name in ((step.target, task.target), (step.goal, task.goal)):
        if thing is None:
            if name:
                return False
        elif _is_vague(thing) or _fitting(thing, scene) != [name]:
            return False
    try:
        own = parse(task.instruction)
    except PlanningError:
        return False
    if len(own) != 1 or (own[0].goal is None) != (step.goal is None):
        return False
    return all(
        getattr(own[0], field) == getattr(step, field)
        for field in ("interaction", "direction", "relation", "distance")
    )


def _is_vague(thing: Description) -> bool:
    """Whether more than colour and shape is needed to tell what is meant."""
    return bool(thing.place or thing.size or thing.beside or thing.every or thing.other)


def _things(steps: tuple[Instruction, ...]) -> list[Description]:
    found = []
    for step in steps:
        found += [thing for thing in (step.target, step.goal) if thing is not None]
    return [thing for thing in found if not thing.pronoun]


def _fitting(thing: Description, scene: SceneSpec) -> list[str]:
    """Names of the objects that the description may mean."""
    if thing.noun:
        return []
    if thing.shape == "table":
        return ["table"]
    return [
        each.name
        for each in scene.objects
        if thing.color in ("", each.color) and thing.shape in ("", each.shape)
    ]
