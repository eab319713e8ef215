"""Words for things, and which things words may mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hardware.cell.scene import COLORS
from hierarchy_nodes.learning.planner.kinds import KINDS, palette
from hierarchy_nodes.learning.planner.stage import Item
from hierarchy_nodes.planner.compact.lexicon import color_of, lab

# CIE76: nearer than the first is that colour, farther than the second is not; between them nobody
# can say, and nobody asks, unless both have plain names.
_SAME, _OTHER = 26.0, 38.0
# By how much one thing must be the leftmost, nearest ..., metres.
_CLEAR = 0.035
GENERIC = ("thing", "object", "item", "one")
_STARTS, _VOWELS, _ENDS = "bdfgklmnprtvwz", "aeiou", "bdfgklmnprstxz"
PLACES: dict[str, tuple[str, ...]] = {
    "left": ("left {n}", "leftmost {n}", "{n} on the left", "{n} furthest to the left"),
    "right": ("right {n}", "rightmost {n}", "{n} on the right", "{n} furthest to the right"),
    "nearest": (
        "{n} nearest to the robot",
        "nearest {n}",
        "closest {n}",
        "{n} closest to you",
        "{n} next to the robot",
    ),
    "farthest": (
        "{n} farthest from the robot",
        "farthest {n}",
        "{n} furthest away",
        "most distant {n}",
    ),
}
SIZES: dict[str, tuple[str, ...]] = {
    "big": ("big", "large", "bigger", "larger", "biggest"),
    "small": ("small", "little", "smaller", "tiny", "smallest"),
}


# "darkgreen" is said as two words.
_SHADE = re.compile(r"^(dark|light|medium|pale|deep)(?=\w)")


@dataclass(frozen=True)
class Words:
    """A description, taken apart; empty parts are not said.

    Attributes:
        color: A colour word or ``#rrggbb``.
        kind: A key of `KINDS`; noun: how it is said.
        place: A key of `PLACES`. size: A key of `SIZES`.
        beside: What it is next to.
        other: Not the one before.
    """

    color: str = ""
    kind: str = ""
    noun: str = ""
    place: str = ""
    size: str = ""
    beside: Words | None = None
    other: bool = False

    def text(self, rng: np.random.Generator, article: str = "the") -> str:
        """In words, with an article."""

        def pick(options: Sequence[str]) -> str:
            return options[int(rng.integers(len(options)))]

        noun = self.noun or pick(GENERIC)
        size = pick(SIZES[self.size]) if self.size else ""
        color = self.color
        if rng.random() < 0.7:
            color = _SHADE.sub(r"\1 ", color)
        name = " ".join(filter(None, [size, color, noun]))
        if self.other:
            name = f"other {name}"
        if self.place:
            name = pick(PLACES[self.place]).format(n=name)
        if self.beside is not None:
            joint = pick(("next to", "beside", "near", "close to", "by"))
            name = f"{name} {joint} {self.beside.text(rng)}"
        return f"{article} {name}"

    def changed_by(self, new: Words) -> Words:
        """After a correction, which may leave out the noun."""
        if new.kind or new.color:
            kind, noun = (new.kind, new.noun) if new.kind else (self.kind, self.noun)
            color = new.color or (self.color if new.other else "")
            return replace(new, kind=kind, noun=noun, color=color)
        return replace(self, place=new.place, size=new.size, other=new.other, beside=new.beside)


def unheard(rng: np.random.Generator) -> str:
    """A noun that nobody has said before."""
    while True:
        parts = [str(rng.choice(list(letters))) for letters in (_STARTS, _VOWELS) * 3 + (_ENDS,)]
        word = "".join(parts)
        if color_of(word) is None:
            return word


def noun_of(kind: str, rng: np.random.Generator, plain: float = 1.0) -> str:
    """What a kind of thing is called, with this probability by its plainest word."""
    nouns = KINDS[kind].nouns
    if not nouns:
        return unheard(rng)
    return nouns[0] if rng.random() < plain else nouns[rng.integers(len(nouns))]


class Unclear(Exception):
    """Nobody can say what is meant: colours too near to each other, or places too alike."""


def meant(
    words: Words,
    items: Sequence[Item],
    fits: Callable[[Item], bool],
    before: Item | None = None,
) -> list[Item]:
    """The things that `words` may mean, of those that `fits` allows; raises Unclear."""
    pool = [t for t in items if fits(t)] if not words.kind else list(items)
    found = [
        t
        for t in pool
        if (not words.kind or _called(t, words.kind)) and (not words.color or is_color(t, words))
    ]
    if words.other and before is not None:
        found = [t for t in found if t is not before]
    if words.size and len(found) > 1:
        found = _extreme(found, [max(t.size) for t in found], words.size == "big", 0.15, True)
    if words.beside is not None and len(found) > 1:
        near = meant(words.beside, items, lambda t: True)
        if len(near) != 1:
            raise Unclear
        found = [t for t in found if t is not near[0]]
        away = [_away(t, near[0]) for t in found]
        found = _extreme(found, away, False, 0.05)
    if words.place and len(found) > 1:
        at = np.array([t.position[:2] for t in found])
        if words.place in ("left", "right"):
            found = _extreme(found, at[:, 1], words.place == "left", _CLEAR)
        else:
            far = words.place == "farthest"
            best = _extreme(found, np.linalg.norm(at, axis=1), far, _CLEAR)
            # Whoever thinks of the table's edge and whoever thinks of the foot must agree.
            if best != _extreme(found, at[:, 0], far, 0.0):
                raise Unclear
            found = best
    return found


def _called(item: Item, kind: str) -> bool:
    """Whether a thing may be called what things of a kind are called."""
    new = KINDS[kind].strange and item.what.strange
    return item.kind == kind or (new and item.what.goal == KINDS[kind].goal)


def is_color(item: Item, words: Words) -> bool:
    """Whether a thing has the colour said; raises Unclear where that is debatable."""
    if item.color == words.color:
        return True
    if item.color in COLORS and words.color in COLORS:
        return False
    rgb = palette().get(words.color) or color_of(words.color)
    assert rgb is not None
    away = float(np.linalg.norm(lab(rgb) - lab(item.rgb)))
    if _SAME < away < _OTHER:
        raise Unclear
    # It may be nearer to another name that the scene uses.
    return away <= _SAME


def _away(a: Item, b: Item) -> float:
    return float(np.hypot(a.position[0] - b.position[0], a.position[1] - b.position[1]))


def _extreme(
    found: list[Item], values: Sequence[float] | np.ndarray, most: bool, clear: float,
    relative: bool = False,
) -> list[Item]:  # fmt: skip
    """The one with the largest (or smallest) value; raises Unclear if it is not by `clear`."""
    if not found:
        return []
    order = np.argsort(-np.asarray(values) if most else np.asarray(values))
    if len(found) > 1:
        first, second = values[order[0]], values[order[1]]
        if abs(first - second) < clear * (abs(second) if relative else 1.0):
            raise Unclear
    return [found[order[0]]]
