"""What a person might ask for in an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hardware.cell.tasks import WAYS
from hierarchy_nodes.learning.planner import sayings
from hierarchy_nodes.learning.planner.answers import Truth, Wish, interaction_of
from hierarchy_nodes.learning.planner.kinds import KINDS, palette
from hierarchy_nodes.learning.planner.naming import (
    PLACES,
    Unclear,
    Words,
    meant,
    noun_of,
    unheard,
)
from hierarchy_nodes.learning.planner.stage import Item, Picture, Setting, Stage
from hierarchy_nodes.types import Interaction

_HOLLOW = ("bowl",)
# How often what is in the hand is asked for; else it has to be put down first.
_CARRIED = 0.65
FAMILIES = ("place", "stack", "push", "push way", "press", "open_drawer", "close_drawer", "knock")
_SHARES = np.array([0.34, 0.10, 0.10, 0.10, 0.08, 0.10, 0.10, 0.08])


class Wisher:
    """Draws wishes for the setting that a stage shows at the moment."""

    def __init__(
        self, stage: Stage, setting: Setting, picture: Picture, rng: np.random.Generator
    ) -> None:
        self.items, self.held, self.rng = setting.items, setting.held, rng
        self.truth = Truth(stage, setting, picture)
        self.seen, self.numbers = self.truth.seen, self.truth.numbers

    def draw(self, count: int) -> list[Wish]:
        """Up to `count` different ones; fewer where little can be asked."""
        found: list[Wish] = []
        said = set()
        for _ in range(count * 12):
            family = FAMILIES[int(self.rng.choice(len(FAMILIES), p=_SHARES))]
            try:
                wish = self._wish(family)
            except Unclear:
                continue
            if wish is not None and (wish.text, wish.corrections) not in said:
                said.add((wish.text, wish.corrections))
                found.append(wish)
            if len(found) == count:
                break
        return found

    # -- one wish -----------------------------------------------------------------------------

    def _wish(self, family: str) -> Wish | None:
        rng = self.rng
        target_fits, goal_fits = self._fitting(family)
        held = self.held
        if held and family not in ("place", "stack"):
            return None
        kind = float(rng.random())
        if kind < 0.05:
            return self._absent(family, target_fits, goal_fits)
        if kind < 0.16 and not held:
            return self._ambiguous(family, target_fits, goal_fits)
        if kind < 0.29 and family == "place" and not held:
            return self._every(target_fits, goal_fits)
        pool = [t for t in self.items if target_fits(t) and t.name in self.seen]
        if held and rng.random() < _CARRIED:
            pool = [t for t in pool if t.name == held]
        if not pool:
            return None
        target = pool[rng.integers(len(pool))]
        goal = None
        if goal_fits is not None:
            goals = [t for t in self.items if goal_fits(t) and t is not target]
            goals = [t for t in goals if t.name in self.seen and t.on != target.name]
            goals = [t for t in goals if t.name != held]
            if not goals:
                return None
            # Is it there already, or only nearly?
            rests = [t for t in goals if t.name in (target.on, target.beside)]
            goal = rests[0] if rests and rng.random() < 0.4 else goals[rng.integers(len(goals))]
            carrying = any(t.on == goal.name and t is not target for t in self.items)
            if not goal.what.goal and carrying:
                return None
        if any(t.on == target.name for t in self.items):
            return None
        words, how = self._call(target, target_fits, goal)
        goal_words = None
        if goal is not None and goal_fits is not None:
            goal_words, _ = self._call(goal, goal_fits, target, plain=0.75)
        corrected = float(rng.random())
        if corrected < 0.12 and not held:
            return self._corrected(family, target, goal, words, goal_words, target_fits)
        if corrected < 0.18 and goal is not None and goal_words is not None:
            return self._goal_corrected(family, target, goal, words, goal_words)
        text, way = self._say(family, words, goal, goal_words)
        return self.truth.answer(text, family, target, goal, way, how)

    def _fitting(self, family: str) -> tuple[Callable[[Item], bool], Callable[[Item], bool] | None]:
        """What may be the target, and the goal, of a family; zones cannot be put anywhere."""
        if family in ("place", "push"):
            zone = family == "push"
            return (
                lambda t: t.what.taken and (not zone or not t.on),
                lambda t: t.what.goal and (not zone or t.what.base == "zone"),
            )
        if family == "stack":
            return lambda t: t.what.taken, lambda t: t.kind in ("block", "cylinder", "tile", "puck")
        base = {"press": "button", "knock": "bottle"}.get(family, "drawer")
        if family == "push way":
            return lambda t: t.what.taken and not t.on, None
        return lambda t: t.what.base == base, None

    def _call(
        self,
        thing: Item,
        fits: Callable[[Item], bool],
        other: Item | None,
        plain: float = 0.45,
    ) -> tuple[Words, str]:
        """Words that mean `thing` alone; raises Unclear where chance found none."""
        rng = self.rng
        noun = noun_of(thing.kind, rng, 0.6)
        color = thing.color
        if rng.random() < 0.15:
            near = np.clip(np.array(thing.rgb) + rng.normal(0, 0.04, 3), 0, 1) * 255
            color = "#" + "".join(f"{int(v):02x}" for v in near)
        options: list[tuple[float, str, Words]] = [
            (plain, "both", Words(color, thing.kind, noun)),
            (0.15, "shape", Words("", thing.kind, noun)),
            (0.15, "color", Words(color)),
        ]
        if not any(t.what.strange for t in self.items if fits(t)):
            # A word that nobody knows is no help, and no hindrance.
            options.append((0.2, "color", Words(color, "", unheard(rng))))
        place = tuple(PLACES)[rng.integers(len(PLACES))]
        bare = color if rng.random() < 0.5 else ""
        options.append((0.2, "place", Words(bare, thing.kind, noun, place=place)))
        size = "big" if rng.random() < 0.5 else "small"
        options.append((0.05, "size", Words(bare, thing.kind, noun, size=size)))
        near_ones = [t for t in self.items if t is not thing and t is not other]
        if near_ones:
            mate = min(near_ones, key=lambda t: math.dist(t.position[:2], thing.position[:2]))
            beside = Words(mate.color, mate.kind, noun_of(mate.kind, rng))
            options.append((0.08, "beside", Words(bare, thing.kind, noun, beside=beside)))
        shares = np.array([share for share, _, _ in options])
        _, how, words = options[int(rng.choice(len(options), p=shares / shares.sum()))]
        if meant(words, self.items, fits) != [thing]:
            raise Unclear
        return words, how

    def _say(
        self, family: str, target: Words, goal: Item | None, goal_words: Words | None,
        article: str = "the",
    ) -> tuple[str, str]:  # fmt: skip
        """The sentence, and the way of a push."""
        way = ""
        kind = family
        if family == "place" and goal is not None:
            kind = "place in" if goal.what.base in _HOLLOW else "place on"
        elif family == "push":
            kind = "push onto"
        elif family == "push way":
            kind, way = "push", tuple(WAYS)[self.rng.integers(len(WAYS))]
        there = goal_words.text(self.rng) if goal_words is not None else ""
        return sayings.say(kind, target.text(self.rng, article), there, way, self.rng), way

    # -- not there, ambiguous, several, corrected ------------------------------------------

    def _absent(
        self,
        family: str,
        target_fits: Callable[[Item], bool],
        goal_fits: Callable[[Item], bool] | None,
    ) -> Wish | None:
        """Something that is not there, but something like it may be."""
        rng = self.rng
        wrong_goal = goal_fits is not None and rng.random() < 0.3
        fits = goal_fits if wrong_goal and goal_fits is not None else target_fits
        kinds = [k for k in KINDS if fits(Item("", k, "", (0, 0, 0), (1, 1, 1), (0, 0, 0)))]
        there = [t for t in self.items if fits(t)]
        shown = [t.kind for t in there]
        kind = kinds[rng.integers(len(kinds))]
        if shown and rng.random() < 0.7:
            kind = shown[rng.integers(len(shown))]
        colors = [t.color for t in self.items] + list(palette())[:6]
        color = colors[rng.integers(len(colors))] if rng.random() < 0.85 else ""
        words = Words(color, kind, noun_of(kind, rng, 0.3))
        if KINDS[kind].strange and not any(t.what.strange for t in there):
            words = replace(words, kind="")
        if not color and rng.random() < 0.5:
            words = Words(colors[rng.integers(len(colors))])
        if meant(words, self.items, fits):
            return None
        # What has another name but looks much like it does not count as absent.
        goal_words, goal = None, None
        if goal_fits is not None:
            if wrong_goal:
                pool = [t for t in self.items if target_fits(t) and t.name in self.seen]
                if not pool:
                    return None
                goal = Item("", kind, "", (0, 0, 0), (1, 1, 1), (0, 0, 0))
                other, _ = self._call(pool[rng.integers(len(pool))], target_fits, None)
                words, goal_words = other, words
            else:
                pool = [t for t in self.items if goal_fits(t) and t.name in self.seen]
                if not pool:
                    return None
                goal = pool[rng.integers(len(pool))]
                goal_words, _ = self._call(goal, goal_fits, None)
        text, _ = self._say(family, words, goal, goal_words)
        return Wish(text, "not there", interaction_of(family), family, "absent")

    def _ambiguous(
        self,
        family: str,
        target_fits: Callable[[Item], bool],
        goal_fits: Callable[[Item], bool] | None,
    ) -> Wish | None:
        rng = self.rng
        pool = [t for t in self.items if target_fits(t) and t.name in self.seen]
        if len(pool) < 2:
            return None
        thing = pool[rng.integers(len(pool))]
        noun = noun_of(thing.kind, rng)
        options = (
            Words(thing.color, thing.kind, noun),
            Words("", thing.kind, noun),
            Words(thing.color),
        )
        words = options[rng.integers(len(options))]
        found = [t for t in meant(words, self.items, target_fits) if t.name in self.seen]
        if len(found) < 2:
            return None
        goal, goal_words = None, None
        if goal_fits is not None:
            goals = [t for t in self.items if goal_fits(t) and t not in found]
            if not goals:
                return None
            goal = goals[rng.integers(len(goals))]
            goal_words, _ = self._call(goal, goal_fits, None)
            if any(t.on == goal.name for t in found):
                return None
        text, _ = self._say(family, words, goal, goal_words)
        return Wish(
            text,
            "ambiguous",
            interaction_of(family),
            family,
            "ambiguous",
            targets=tuple(self.numbers[t.name] for t in found),
            goal=self.numbers[goal.name] if goal else -1,
        )

    def _every(
        self,
        target_fits: Callable[[Item], bool],
        goal_fits: Callable[[Item], bool] | None,
    ) -> Wish | None:
        """ "put all red things in the bowl": the nearest of what is left, or nothing is left."""
        rng = self.rng
        assert goal_fits is not None
        goals = [t for t in self.items if goal_fits(t) and t.name in self.seen]
        pool = [t for t in self.items if target_fits(t)]
        if not goals or not pool:
            return None
        goal = goals[rng.integers(len(goals))]
        thing = pool[rng.integers(len(pool))]
        color = thing.color if rng.random() < 0.75 else ""
        kind = thing.kind if not color or rng.random() < 0.5 else ""
        if not color and rng.random() < 0.3:
            kind = ""
        words = Words(color, kind, noun_of(thing.kind, rng) if kind else "thing")
        found = [t for t in meant(words, self.items, target_fits) if t.name != goal.name]
        left = [t for t in found if t.on != goal.name]
        if any(t.name not in self.seen for t in left) or not found:
            return None
        goal_words, _ = self._call(goal, goal_fits, None, plain=0.9)
        article = ("all", "all the", "all of the", "every", "each")[rng.integers(5)]
        if article.startswith("all"):
            words = replace(words, noun=_plural(words.noun))
        text, _ = self._say("place", words, goal, goal_words, article)
        if not left:
            number = self.numbers[found[0].name]
            return Wish(
                text, "done", Interaction.PLACE, "place", "every",
                targets=(number,), goal=self.numbers[goal.name],
            )  # fmt: skip
        target = min(left, key=lambda t: math.hypot(*t.position[:2]))
        if any(t.on == target.name for t in self.items):
            return None
        wish = self.truth.answer(text, "place", target, goal, "", "every")
        return replace(wish, more=len(left) > 1) if wish else None

    def _corrected(
        self,
        family: str,
        target: Item,
        goal: Item | None,
        words: Words,
        goal_words: Words | None,
        fits: Callable[[Item], bool],
    ) -> Wish | None:
        """The plan before was for another thing; the correction leads to `target`."""
        rng = self.rng
        pool = [t for t in self.items if fits(t) and t is not target and t is not goal]
        if not pool:
            return None
        before = pool[rng.integers(len(pool))]
        # What was said at first need not have been clear.
        noun = noun_of(before.kind, rng)
        color = before.color if rng.random() < 0.5 else ""
        first = Words(color, before.kind, noun) if rng.random() < 0.8 else Words(before.color)
        place = tuple(PLACES)[rng.integers(len(PLACES))]
        called = noun_of(target.kind, rng)
        options = [
            Words(target.color),
            Words(target.color, target.kind, called),
            Words("", target.kind, called),
            Words(other=True),
            Words("", target.kind, called, other=True),
            Words(place=place),
        ]
        new = options[rng.integers(len(options))]
        if meant(first.changed_by(new), self.items, fits, before) != [target]:
            raise Unclear
        said, way = self._say(family, first, goal, goal_words)
        phrase = sayings.correct(new.text(rng), rng)
        wish = self.truth.answer(said, family, target, goal, way, "corrected")
        numbers = self.numbers[before.name], self.numbers[goal.name] if goal else -1
        if wish is None:
            return None
        return replace(wish, corrections=(("target", phrase),), before=numbers)

    def _goal_corrected(
        self, family: str, target: Item, goal: Item, words: Words, goal_words: Words
    ) -> Wish | None:
        rng = self.rng
        _, fits = self._fitting(family)
        assert fits is not None
        pool = [t for t in self.items if fits(t) and t is not target and t is not goal]
        if not pool:
            return None
        before = pool[rng.integers(len(pool))]
        first = Words(before.color, before.kind, noun_of(before.kind, rng))
        called = noun_of(goal.kind, rng)
        options = [
            Words(goal.color),
            Words(goal.color, goal.kind, called),
            Words("", goal.kind, called),
            Words("", goal.kind, called, other=True),
        ]
        new = options[rng.integers(len(options))]
        others = [t for t in self.items if t is not target]
        if meant(first.changed_by(new), others, fits, before) != [goal]:
            raise Unclear
        said, way = self._say(family, words, before, first)
        wish = self.truth.answer(said, family, target, goal, way, "corrected goal")
        if wish is None:
            return None
        phrase = sayings.correct(new.text(rng), rng)
        numbers = self.numbers[target.name], self.numbers[before.name]
        return replace(wish, corrections=(("goal", phrase),), before=numbers)


def _plural(noun: str) -> str:
    if not noun:
        return "things"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
