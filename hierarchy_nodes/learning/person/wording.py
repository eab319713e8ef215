"""How people put it when they see something go wrong.

What is said to measure corrections and what to try them with are kept apart: no wording is in both.
All of it was written down as people talk; none of it was fitted to what is understood.
"""

from __future__ import annotations

import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.phrases import SYNONYMS, TEMPLATES
from hardware.cell.scene import COLORS, ObjectSpec
from hardware.cell.tasks import TaskSpec
from hardware.cell.truth import Truth
from hierarchy_nodes.errors import UnknownNameError
from hierarchy_nodes.learning.person.watching import Fault, Mistake
from hierarchy_nodes.types import Array

TUNED, MEASURED = "tuned", "measured"
PARTS = (TUNED, MEASURED)
# {t}: the thing that is meant, {s}: what kind of thing that is, {w}: the wrong thing, {g}: "on the
# blue plate", {n}: a distance, {d}: a direction, {far}: how much too far the other way.
PHRASES: dict[Fault, dict[str, tuple[str, ...]]] = {
    Fault.WRONG_TARGET: {
        TUNED: (
            "no, the {t}",
            "not that one, the {t}",
            "I meant the {t}",
            "no no, the {t}",
            "take the {t}",
            "wrong one. the {t}",
            "not the {w}",
        ),
        MEASURED: (
            "no, I said the {t}",
            "not the {w}, the {t}",
            "that's the wrong one, take the {t}",
            "no, take the {t} instead",
            "the {t}, please",
            "not that {s}",
            "hey, the {t}",
        ),
    },
    Fault.WRONG_GOAL: {
        TUNED: ("no, {g}", "not there, {g}", "I meant {g}", "{g}, please", "the other {s}"),
        MEASURED: (
            "put it {g}",
            "no, it goes {g}",
            "not {w}, {g}",
            "wrong {s}, {g}",
            "over there, {g}",
        ),
    },
    Fault.BESIDE_TARGET: {
        TUNED: ("{n} {d}", "{d} {n}", "a bit {d}", "{d} a bit", "further {d}", "{d}, {n} or so"),
        MEASURED: (
            "go {n} {d}",
            "move {d} by {n}",
            "a little more {d}",
            "you are too far {far}",
            "about {n} {d}",
            "you missed it, {n} {d}",
        ),
    },
    Fault.COLLISION: {
        TUNED: ("stop", "stop, stop", "higher", "careful, higher"),
        MEASURED: ("stop!", "watch out, stop", "go up", "lift it up"),
    },
}  # fmt: skip
PHRASES[Fault.BESIDE_GOAL] = PHRASES[Fault.BESIDE_TARGET]
GO_ON = {TUNED: ("go on", "continue"), MEASURED: ("okay, carry on", "keep going")}

_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
# Along +x, -x, +y, -y, to somebody who looks the way that the robot does, and to one who faces it.
_WAYS = {
    "robot": ("forward", "back", "to the left", "to the right"),
    "viewer": ("back", "forward", "to the right", "to the left"),
}
# The smaller part of an offset is named, too, above this share of the larger one.
_BOTH = 0.6
# People see distances to within about so much of them.
_GUESS = 0.15
# Nobody calls more than this "a bit": centimetres.
_BIT = 2.5
_VAGUE = ("a bit", "a little")
# To be told apart by where they are, things must be so far apart, metres; those whose colours (RGB
# in [0, 1]) are so near to each other may be mistaken for each other.
_APART, _ALIKE = 0.06, 0.7


class Wording:
    """What one person says about one task.

    Args:
        part: Which phrases, one of `PARTS`.
        frame: Whose left and right the person means, as in the configuration of corrections.

    Raises:
        UnknownNameError: No such part or frame.
    """

    def __init__(
        self,
        cell: Cell,
        task: TaskSpec,
        rng: np.random.Generator,
        part: str = TUNED,
        frame: str = "robot",
    ) -> None:
        if part not in PARTS:
            raise UnknownNameError("part of the wordings", part, PARTS)
        if frame not in _WAYS:
            raise UnknownNameError("frame of left and right", frame, _WAYS)
        self._scene, self._truth, self._task = cell.scene, Truth(cell), task
        self._rng, self._part, self._ways = rng, part, _WAYS[frame]

    def of(self, mistake: Mistake) -> str:
        """What the person says about `mistake`."""
        if mistake.fault == Fault.IDLE:
            return self._again()
        meant = self._scene.object(mistake.meant)
        wrong = self._scene.object(mistake.wrong) if mistake.wrong else None
        relation = self._task.relation or "on"
        words = {"t": self._short(meant, wrong), "s": self._shape(meant)}
        words["g"] = f"{relation} the {words['t']}"
        words["w"] = "other one" if wrong is None else self._name(wrong)
        if mistake.fault == Fault.WRONG_GOAL:
            words["w"] = f"{relation} the {words['w']}"
        phrases: tuple[str, ...] = PHRASES[mistake.fault][self._part]
        if mistake.fault in (Fault.BESIDE_TARGET, Fault.BESIDE_GOAL):
            words |= self._way(mistake.offset)
            if float(np.abs(mistake.offset).max()) * 100 > _BIT:
                phrases = tuple(p for p in phrases if not any(vague in p for vague in _VAGUE))
        return self._pick(phrases).format(**words)

    def go_on(self) -> str:
        """After a stop, when all is well."""
        return self._pick(GO_ON[self._part])

    def _again(self) -> str:
        """The whole task anew, without the names that the robot did not know."""
        task = self._task
        kind = f"place {task.relation}" if task.family == "place" else task.family
        if task.family == "push" and task.goal:
            kind = "push onto"
        plain, *others = TEMPLATES[kind]
        names = {"t": self._name(self._scene.object(task.target)), "g": "", "way": ""}
        if task.goal:
            names["g"] = self._name(self._scene.object(task.goal))
        if task.direction != (0.0, 0.0):
            names["way"] = self._side(np.array(task.direction))
        return (plain if self._part == TUNED else self._pick(others)).format(**names)

    def _name(self, thing: ObjectSpec) -> str:
        """A thing by its colour; where another one looks like it, perhaps by where it is, too."""
        shape = self._shape(thing)
        names = [f"{thing.color} {shape}"]
        twins = [t for t in self._others(thing) if _difference(t.color, thing.color) < _ALIKE]
        place = self._place(thing, twins)
        if place:
            names += [f"{thing.color} {shape} on the {place}", f"{place} {thing.color} {shape}"]
        return self._pick(names)

    def _short(self, thing: ObjectSpec, wrong: ObjectSpec | None) -> str:
        """The same where everybody sees what it is about: "blue one", "block on the left"."""
        shape, others = self._shape(thing), self._others(thing)
        names = [self._name(thing), f"{thing.color} one"]
        place = self._place(thing, others)
        if place:
            names += [f"{shape} on the {place}", f"{place} {shape}"]
        if wrong is not None and wrong.shape == thing.shape and len(others) == 1:
            names += ["other one", f"other {shape}"]
        return self._pick(names)

    def _others(self, thing: ObjectSpec) -> list[ObjectSpec]:
        """Of its kind."""
        return [t for t in self._scene.objects if t.shape == thing.shape and t is not thing]

    def _place(self, thing: ObjectSpec, others: list[ObjectSpec]) -> str:
        """Left or right, if `thing` is farther that way than all of `others`."""
        if not others:
            return ""
        here = float(self._truth.position(thing.name)[1])
        there = [float(self._truth.position(t.name)[1]) for t in others]
        left, right = (w.removeprefix("to the ") for w in self._ways[2:])
        if here > max(there) + _APART:
            return left
        return right if here < min(there) - _APART else ""

    def _shape(self, thing: ObjectSpec) -> str:
        return self._pick((thing.shape, thing.shape, *SYNONYMS.get(thing.shape, ())))

    def _way(self, offset: Array) -> dict[str, str]:
        """Words for an offset ``(2,)``, metres: how far, where to, and which way it went wrong."""
        guess = np.abs(offset) * 100 * np.exp(self._rng.normal(0.0, _GUESS, 2))
        large = int(np.argmax(guess))
        aims = [self._side(np.eye(2)[i] * np.sign(offset[i])) for i in range(2)]
        wrong = self._side(-np.eye(2)[large] * np.sign(offset[large]))
        way = aims[large]
        if guess[1 - large] > _BOTH * guess[large]:
            way = f"{way} and {aims[1 - large]}"
        count = min(max(round(float(guess[large])), 1), len(_NUMBERS))
        unit = "centimetre" if count == 1 else "centimetres"
        return {"n": f"{_NUMBERS[count - 1]} {unit}", "d": way, "far": wrong}

    def _side(self, way: Array) -> str:
        """The word for a direction ``(2,)`` along one of the axes."""
        forward, back, left, right = self._ways
        if abs(way[0]) > abs(way[1]):
            return forward if way[0] > 0 else back
        return left if way[1] > 0 else right

    def _pick(self, options: list[str] | tuple[str, ...]) -> str:
        return options[int(self._rng.integers(len(options)))]


def _difference(color: str, other: str) -> float:
    return float(np.linalg.norm(np.subtract(COLORS[color], COLORS[other])))
