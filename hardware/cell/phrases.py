"""How people put tasks into words."""

from __future__ import annotations

import numpy as np

# First the plain one, then other ways to say it. {t}: target, {g}: goal.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "place on": (
        "put the {t} on the {g}",
        "place the {t} onto the {g}",
        "could you move the {t} onto the {g} please",
        "take the {t} and set it down on the {g}",
        "the {t} belongs on the {g}",
        "I want the {t} to end up on the {g}",
    ),
    "place in": (
        "put the {t} in the {g}",
        "drop the {t} into the {g}",
        "could you put the {t} inside the {g} please",
        "pick up the {t} and let it go in the {g}",
        "the {t} belongs in the {g}",
        "I want the {t} to end up in the {g}",
    ),
    "stack": (
        "stack the {t} on the {g}",
        "put the {t} on top of the {g}",
        "build a tower with the {t} on the {g}",
        "set the {t} down on top of the {g} please",
    ),
    "push": (
        "push the {t} {way}",
        "slide the {t} {way}",
        "shove the {t} {way} a good bit",
        "please move the {t} {way} without lifting it",
    ),
    "push onto": (
        "push the {t} onto the {g}",
        "slide the {t} over to the {g}",
        "shove the {t} onto the {g}",
        "please push the {t} until it is on the {g}",
    ),
    "press": (
        "press the {t}",
        "push the {t} down",
        "hit the {t} please",
        "give the {t} a press",
    ),
    "open_drawer": (
        "open the {t}",
        "pull the {t} open",
        "could you open up the {t} please",
        "slide the {t} out",
    ),
    "close_drawer": (
        "close the {t}",
        "push the {t} shut",
        "could you shut the {t} please",
        "slide the {t} back in",
    ),
    "knock": (
        "knock over the {t}",
        "tip the {t} over",
        "make the {t} fall over",
        "knock the {t} down please",
    ),
}
SYNONYMS: dict[str, tuple[str, ...]] = {
    "block": ("cube", "brick"),
    "cylinder": ("can", "drum"),
    "plate": ("dish", "saucer"),
    "bowl": ("basin", "dish"),
    "bottle": ("flask",),
    "zone": ("circle", "spot"),
    "button": ("switch",),
    "drawer": ("drawer",),
}

# {t}: the things, {g}: where they go.
ERRANDS: dict[str, tuple[str, ...]] = {
    "gather": (
        "put all the {t} in the {g}",
        "put all {t} into the {g}",
        "all the {t} belong in the {g}",
        "could you put every one of the {t} in the {g} please",
    ),
    "sort": (
        "sort the {t} by color into the {g}",
        "sort all the {t} by colour into the {g}",
        "please sort the {t} into the {g} by color",
    ),
}


def plain(kind: str, target: str, goal: str = "", way: str = "") -> str:
    """The plainest sentence for the task `kind`, a key of `TEMPLATES`."""
    return TEMPLATES[kind][0].format(t=target, g=goal, way=way)


def errand(kind: str, things: str, goal: str, rng: np.random.Generator) -> str:
    """A sentence for an errand, a key of `ERRANDS`; the plainest one half the time."""
    options = ERRANDS[kind]
    index = 0 if rng.random() < 0.5 else int(rng.integers(1, len(options)))
    return options[index].format(t=things, g=goal)


def say(kind: str, target: str, goal: str, way: str, rng: np.random.Generator, simple: bool) -> str:
    """A sentence for the task `kind` (a key of `TEMPLATES`).

    Simple ones use the first template; others draw a template, and a synonym half the time.
    """
    if simple:
        return plain(kind, target, goal, way)
    options = TEMPLATES[kind][1:]
    names = [_other_word(name, rng) for name in (target, goal)]
    return options[rng.integers(len(options))].format(t=names[0], g=names[1], way=way)


def _other_word(name: str, rng: np.random.Generator) -> str:
    color, _, shape = name.rpartition(" ")
    words = SYNONYMS.get(shape, ())
    if not words or rng.random() < 0.5:
        return name
    return f"{color} {words[rng.integers(len(words))]}".strip()
