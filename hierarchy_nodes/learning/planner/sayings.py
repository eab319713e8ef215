"""How people ask for things in training: a grammar of its own.

Sentences that evaluation keeps for itself, all but the first of each list in
``hardware.cell.phrases.TEMPLATES``, are never said, nor said within a longer sentence.

In a frame, ``[a|b|]`` is one of its parts, ``{t}`` the target and ``{g}`` the goal with their
articles, ``{way}`` a direction.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from hardware.cell.phrases import TEMPLATES
from hardware.cell.tasks import WAYS

_PUT = "[put|place|set|lay|move|bring|carry|transfer|deposit|get|take]"
_TAKE = "[take|pick up|grab|grasp|lift|fetch|get hold of]"
_THERE = "[put it|place it|set it|leave it|drop it|lay it]"
_GOES = "[goes|should go|has to go|needs to be|should be|is to be put|must land]"
FRAMES: dict[str, tuple[str, ...]] = {
    "place on": (
        "put {t} on {g}",
        f"{_PUT} {{t}} [on|onto|upon|over on|on to] {{g}}",
        f"{_TAKE} {{t}} and {_THERE} [on|onto|over on] {{g}}",
        f"{_TAKE} {{t}}, then {_THERE} on {{g}}",
        f"{{t}} {_GOES} on {{g}}",
        "on {g} [put|place|set] {t}",
        "[i would like|i need|i want|let us have|id like] {t} on {g}",
        "{g} is where {t} [goes|should be|ought to go]",
        "make sure [that|] {t} is on {g}",
        "[get|have] {t} [lying|resting|sitting] on {g}",
    ),
    "place in": (
        "put {t} in {g}",
        f"{_PUT} {{t}} [in|into|within|down in] {{g}}",
        "[drop|throw|toss|dump|stow|store] {t} [in|down into] {g}",
        f"{_TAKE} {{t}} and {_THERE} [in|into|inside] {{g}}",
        f"{{t}} {_GOES} [in|into|inside] {{g}}",
        "[fill|load] {g} with {t}",
        "[i would like|i need|i want|id like] {t} in {g}",
        "in {g} [put|place|drop] {t}",
        "{g} is where {t} [goes|should be]",
        "make sure [that|] {t} is [in|inside] {g}",
    ),
    "stack": (
        "stack {t} on {g}",
        "[stack|pile] {t} [onto|over|on top of|upon] {g}",
        "[place|set|rest|balance] {t} [on|atop|on the top of] {g}",
        "{t} [goes up|should stand] on {g}",
        "use {g} as the base and {t} as the top",
        "[make|build] a [stack|pile|tower] [from|of] {t} on {g}",
        "[make|build] a [stack|pile|tower], {t} on {g}",
        "with {t} on {g} make a [stack|tower]",
        f"{_TAKE} {{t}} and stack it on {{g}}",
    ),
    "push": (
        "push {t} {way}",
        "[nudge|sweep|scoot|shift] {t} {way}",
        "[give {t} a push|push on {t} so it goes] {way}",
        "[press against|lean on] {t} so that it slides {way}",
        "{way} [push|nudge] {t}",
        "get {t} to [slide|go] {way}",
    ),
    "push onto": (
        "push {t} onto {g}",
        "[push|nudge|sweep|scoot|slide] {t} [to|towards|over onto|till it is on] {g}",
        "[get {t} onto|bring {t} to] {g} by pushing [it|]",
        "without lifting it move {t} onto {g}",
        "push {t} [over there|] to {g}",
    ),
    "press": (
        "press {t}",
        "[touch|tap|click|punch|push|activate|use|operate|trigger] {t}",
        "press [down on|on|down] {t}",
        "{t} [needs pressing|needs to be pressed|should be pressed]",
        "put your finger on {t}",
        "give {t} a [tap|push]",
    ),
    "open_drawer": (
        "open {t}",
        "[pull out|pull on|draw out|slide open|open up] {t}",
        "[make|leave|have] {t} open",
        "{t} [needs to be|should be|has to be] open",
        "get {t} [open|opened]",
        "i need [something out of|to see into|to look inside] {t}",
    ),
    "close_drawer": (
        "close {t}",
        "[shut|push in|push closed|slide shut|close up] {t}",
        "[slide|move|get|bring] {t} [closed|shut|all the way in|back in its place]",
        "[make sure|see that] {t} is [closed|shut]",
        "{t} [needs to be|should be|has to be] [closed|shut]",
        "get {t} [closed|shut]",
        "do not leave {t} open",
    ),
    "knock": (
        "knock over {t}",
        "[tip over|topple|bowl over|throw over|turn over|flip|upset] {t}",
        "[knock|tip|topple|bring] {t} [on its side|to the ground]",
        "{t} [should|has to|must] fall [over|down]",
        "hit {t} so that it falls",
        "lay {t} on its side with a knock",
    ),
}
_BEFORE = "[||||please|please|could you|can you|would you|will you please|now|ok|hey robot|robot]"
_AFTER = "[|||||please|now|for me|thanks|right away|if you can|carefully]"
WAY_WORDS = {
    "to the left": ("to the left", "left", "leftwards", "to your left"),
    "to the right": ("to the right", "right", "rightwards", "to your right"),
    "forward": ("forward", "forwards", "away from you", "ahead", "away"),
    "back": ("back", "backwards", "towards you", "closer to you"),
}
CORRECTIONS = (
    "no, {t}",
    "{t}",
    "[i mean|i meant|no i meant|sorry i mean] {t}",
    "[not that|not this] [one|], {t}",
    "[use|take] {t} [instead|]",
    "{t} [instead|please]",
    "[wrong|wrong one|nope], {t}",
)
_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(frame: str, rng: np.random.Generator) -> str:
    """`frame` with one part of each choice."""

    def one(found: re.Match[str]) -> str:
        parts = found.group(1).split("|")
        return parts[rng.integers(len(parts))]

    return re.sub(r"\s+", " ", _CHOICE.sub(one, frame)).strip()


def say(kind: str, target: str, goal: str, way: str, rng: np.random.Generator) -> str:
    """A sentence for a task.

    Args:
        kind: A key of `FRAMES`.
        target, goal: With their articles.
        way: A key of `WAY_WORDS`, for a push without a goal.
    """
    frames = FRAMES[kind]
    ways = WAY_WORDS.get(way, ("",))
    for _ in range(100):
        # The plain one often: it is what people say most.
        frame = frames[0] if rng.random() < 0.25 else frames[rng.integers(len(frames))]
        there = way if rng.random() < 0.4 else ways[rng.integers(len(ways))]
        text = expand(frame, rng).format(t=target, g=goal, way=there)
        if rng.random() < 0.5:
            text = expand(f"{_BEFORE} {text} {_AFTER}", rng)
        if not held_out(text):
            return text
    return frames[0].format(t=target, g=goal, way=way)


def correct(target: str, rng: np.random.Generator) -> str:
    """What a person says who meant another thing."""
    return expand(CORRECTIONS[rng.integers(len(CORRECTIONS))], rng).format(t=target)


def held_out(text: str) -> bool:
    """Whether `text` is, or holds, a sentence kept for evaluation."""
    plain = re.sub(r"[^a-z0-9# ]", " ", text.lower())
    plain = re.sub(r"\s+", " ", plain).strip()
    return any(pattern.search(plain) for pattern in _patterns())


@lru_cache(maxsize=1)
def _patterns() -> list[re.Pattern[str]]:
    """What is left of the sentences without politeness, for any things and ways."""
    found = []
    for templates in TEMPLATES.values():
        for template in templates[1:]:
            core = re.sub(r"^(could you|please)\b|\bplease$", "", template).strip().lower()
            parts = re.split(r"(\{\w\}|\{way\})", core)
            names = {"{way}": "(" + "|".join(WAYS) + ")"}
            thing = r"[a-z0-9# ]+?"
            pattern = "".join(
                names.get(part, thing) if part.startswith("{") else re.escape(part)
                for part in parts
            )
            found.append(re.compile(rf"\b{pattern}(?=$| )"))
    return found
