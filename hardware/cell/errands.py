"""Seeded errands of several steps: a scene, what a person wants in it, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.cell.draft import TableDraft
from hardware.cell.phrases import errand, plain
from hardware.cell.scene import CONTAINERS, ObjectSpec, SceneSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.errors import ConfigError, UnknownNameError

# "put all the red things in the bowl"; "sort the blocks by color into the bowls"; "..., then ...".
ERRANDS = ("gather", "sort", "list")
# Two tasks that have nothing to do with each other, of which the instruction names the first.
PAIR = "pair"
STEPS = (3, 5)
_SMALL = ("block", "cylinder")
# Deep enough for several things.
_DEEP = ("bowl", "tray")
# More than this do not fit beside each other in one of these.
_FULL = 3


@dataclass(frozen=True)
class Errand:
    """What a person wants.

    Attributes:
        kind: One of `ERRANDS`, or `PAIR`.
        instruction: In words.
        aims: All must hold in the end; the instructions of a "list" are its parts.
        untouched: Names of things that must not end up in any goal.
        seed: What it was drawn with.
    """

    kind: str
    instruction: str
    aims: tuple[TaskSpec, ...]
    untouched: tuple[str, ...] = ()
    seed: int = 0


def sample_errand(kind: str, seed: int) -> tuple[SceneSpec, Errand]:
    """Draw scene and errand; the same arguments give the same ones.

    Raises:
        UnknownNameError: No such kind.
    """
    kinds = (*ERRANDS, PAIR)
    if kind not in kinds:
        raise UnknownNameError("errand", kind, kinds)
    rng = np.random.default_rng([seed, kinds.index(kind), 77])
    for _ in range(500):
        draft = _ErrandDraft(rng)
        make = {"gather": draft.gather, "sort": draft.sort, "list": draft.in_turn}
        found = make.get(kind, draft.pair)()
        if found is not None:
            words, aims, untouched = found
            scene = SceneSpec(tuple(draft.things), seed)
            return scene, Errand(kind, words, tuple(aims), tuple(untouched), seed)
    raise ConfigError(f"Errand {kind} with seed {seed}: no scene without overlaps found.")


Found = tuple[str, list[TaskSpec], list[str]]


class _ErrandDraft(TableDraft):
    """Each kind returns words, aims and what is to stay, or None where it ran out of room."""

    def gather(self) -> Found | None:
        """Everything of one colour in one container, what has other colours left alone."""
        kind = str(self.pick(_DEEP))
        goal = self.add(kind, self.color(kind))
        if goal is None:
            return None
        color = self.color("", avoid=(goal.color,))
        count = int(self.rng.integers(STEPS[0], STEPS[1] + 1))
        targets = self._all([(str(self.pick(_SMALL)), color) for _ in range(count)])
        apart = [(str(self.pick(_SMALL)), self.color("", (color, goal.color))) for _ in range(2)]
        others = self._all(apart)
        if targets is None or others is None:
            return None
        words = errand("gather", f"{color} things", f"{goal.color} {goal.shape}", self.rng)
        return words, [_into(t, goal) for t in targets], [t.name for t in others]

    def sort(self) -> Found | None:
        """Everything of one shape, each in the container of its own colour."""
        colors = [str(c) for c in self.rng.permutation(self.colors)[:2]]
        kind, shape = str(self.pick(_DEEP)), str(self.pick(_SMALL))
        goals = self._all([(kind, color) for color in colors])
        count = int(self.rng.integers(STEPS[0], STEPS[1] + 1))
        first = int(self.rng.integers(max(1, count - _FULL), min(_FULL, count - 1) + 1))
        shares = [colors[0]] * first + [colors[1]] * (count - first)
        targets = self._all([(shape, color) for color in shares])
        other = "cylinder" if shape == "block" else "block"
        others = self._all([(other, self.color(other, colors))])
        if goals is None or targets is None or others is None:
            return None
        homes = {goal.color: goal for goal in goals}
        words = errand("sort", f"{shape}s", f"{kind}s", self.rng)
        return words, [_into(t, homes[t.color]) for t in targets], [t.name for t in others]

    def in_turn(self) -> Found | None:
        """One thing after the other; in half of them a button is pressed in the end."""
        count = int(self.rng.integers(STEPS[0], STEPS[1] + 1))
        presses = bool(self.rng.random() < 0.5)
        goals = self._all([(shape, self.color(shape)) for shape in ("plate", "bowl")])
        if goals is None:
            return None
        plate, bowl = goals
        homes = [plate] + [bowl] * (count - presses - 1)
        aims: list[TaskSpec] = []
        for goal in (homes[i] for i in self.rng.permutation(len(homes))):
            shape = str(self.pick(_SMALL))
            there = [t.color for t in self.things if t.shape == shape]
            thing = self.add(shape, self.color(shape, [plate.color, bowl.color, *there]))
            if thing is None:
                return None
            aims.append(_into(thing, goal))
        if presses:
            button = self.add("button", self.color("button"))
            if button is None:
                return None
            aims.append(TaskSpec("press", plain("press", f"{button.color} button"), button.name))
        return ", then ".join(aim.instruction for aim in aims), aims, []

    def pair(self) -> Found | None:
        """Two things, two goals, and something else."""
        goals = self._all([(shape, self.color(shape)) for shape in ("plate", "bowl")])
        if goals is None:
            return None
        aims = []
        for goal in (goals[i] for i in self.rng.permutation(2)):
            shape = str(self.pick(_SMALL))
            used = [t.color for t in self.things]
            thing = self.add(shape, self.color(shape, used))
            if thing is None:
                return None
            aims.append(_into(thing, goal))
        shape = str(self.pick(_SMALL))
        other = self.add(shape, self.color(shape, [t.color for t in self.things]))
        return None if other is None else (aims[0].instruction, aims, [other.name])

    def _all(self, wanted: list[tuple[str, str]]) -> list[ObjectSpec] | None:
        """Things of these shapes and colours, or None if there is no room."""
        found = []
        for shape, color in wanted:
            thing = self.add(shape, color)
            if thing is None:
                return None
            found.append(thing)
        return found


def _into(target: ObjectSpec, goal: ObjectSpec) -> TaskSpec:
    relation = "in" if goal.shape in CONTAINERS else "on"
    words = plain(
        f"place {relation}", f"{target.color} {target.shape}", f"{goal.color} {goal.shape}"
    )
    return TaskSpec("place", words, target.name, goal.name, relation)
