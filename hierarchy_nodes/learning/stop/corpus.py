"""What is said in training: "stop", what people say around it, and what only sounds like it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# The word alone, as people say it.
STOPS = ("stop", "stop!", "Stop.", "stop", "stop?", "STOP!")
# What comes before or after it, spoken apart and put beside it with or without a pause.
BEFORE = (
    "robot",
    "no",
    "hey",
    "please",
    "okay",
    "wait",
    "no no",
    "now",
    "and",
    "just",
    "arm",
    "oh no",
)
AFTER = (
    "it", "now", "please", "there", "moving", "the arm", "no", "the other one", "that", "robot",
    "a bit higher", "left a bit", "wait", "right there", "immediately", "stay there",
)  # fmt: skip
# Near to it in sound. What begins with the word itself ("stopwatch") is not told from it: whoever
# waits for what follows stops too late, and a needless stop is harmless. Nor is what has all of its
# sounds in a row ("best option", "its top").
NEAR = (
    "top", "shop", "stock", "step", "stub", "stuff", "star", "start", "stack", "drop", "crop",
    "swap", "sob", "stomp", "stoop", "spot", "pot", "hop", "chop", "prop", "flop", "strap", "stamp",
    "staff", "stalk", "stork", "stark", "stuck", "stump", "store", "stove", "stone", "stable",
    "stay", "stand", "steady", "still", "study", "style", "on top", "the top", "at the top",
    "a shop", "set up", "sit up", "step up", "start up", "stand up", "the spot", "top shelf",
    "desktop", "laptop", "rooftop", "workshop", "tabletop", "soap", "scope", "slope", "stoat",
    "stats", "mop", "cop", "pop", "sock", "stocked", "storm", "starboard", "storehouse",
    "stockroom", "nonsense", "stocking", "step by step", "stack it", "drop it", "top it", "swap it",
    "last cup", "best adopted", "opt", "adopt", "octopus", "stagger", "shopping", "toppings",
    "copy", "stab", "staple", "state", "steep", "steam", "steel", "stem", "stick", "stiff", "sting",
    "stir", "stitch", "stool", "story", "strop", "street", "strong", "stroke", "strip", "stray",
    "scarp", "scab", "skip", "slop", "slap", "sloppy", "slip", "sleep", "snap", "snob", "sop",
    "soup", "sub", "sap", "shot", "shock", "sharp", "ship", "shape", "sheep", "spa", "spark",
    "sport", "spots", "squat", "swab", "swamp", "swan", "sweep", "swoop", "tap", "tape", "tip",
    "type", "taught", "tot", "talk", "tall", "task", "toss", "tub", "tuck", "step back",
    "step down", "step aside", "stack up", "stacked", "stacks", "start it", "start now",
    "start there", "start moving", "start again", "drop now", "drop there", "drop the block",
    "dropped", "drops", "drop off", "on the top", "to the top", "at the spot", "this spot",
    "that spot", "lift up", "just up", "first up", "last part", "next up", "best part", "rest up",
    "dust pan", "list of", "it is on top", "what's up", "that's hot", "let's talk", "let's hop",
    "it's dark", "cut it up", "hot spot", "bottle top", "table top", "big top", "hill top",
    "tip top", "flat top", "top left", "top right", "top drawer", "top of it", "atop", "esteem",
    "history", "mistake", "instead", "install", "system", "restart", "upstart", "outstanding",
    "understood", "statue", "static", "station", "status", "storage", "strike", "string",
    "student", "studio", "stuffed", "sturdy", "sponge", "spoon", "spout", "lock", "rock", "block",
    "clock", "knock", "knob", "job", "rob", "lob", "blob", "crop it", "chop it", "hop up",
    "prop up", "pop up", "pick it up", "put it up", "cup", "up top", "shop there", "swap them",
    "stock up", "it starts", "stars", "stored", "stall", "stain", "stay up", "stand by",
)  # fmt: skip
# Corrections without a stop in them.
COMMANDS = (
    "left a bit", "a bit to the right", "two centimetres higher", "move forward", "go back",
    "up", "down", "lower", "higher", "faster", "slower", "much slower", "pause", "go on", "resume",
    "close the gripper", "open the gripper", "no, the blue one", "the other cup", "undo that",
    "put it in the bowl", "put it back", "push the block", "turn left", "turn it a little",
    "one inch left", "five millimetres down", "not that one", "the red block", "on the plate",
    "yes", "good", "that is fine", "carry on", "again", "a bit more", "further", "not so far",
    "put the green block in the yellow bowl", "open the drawer", "press the button",
)  # fmt: skip
# Every so many texts are kept for measuring.
_KEPT = 4
_STOP = re.compile(r"\bstop", re.IGNORECASE)


@lru_cache(maxsize=1)
def talk() -> tuple[str, ...]:
    """A few thousand other sentences: those of Python's own reference, which are always at hand."""
    from pydoc_data.topics import topics

    text = re.sub(r"[\"'*`|_\\]", " ", " ".join(topics.values()))
    found = re.findall(r"[A-Z][a-zA-Z ,\n-]{20,160}\.", text)
    kept = (re.sub(r"\s+", " ", sentence).strip() for sentence in found)
    return tuple(dict.fromkeys(s for s in kept if s.count(" ") >= 4 and not _STOP.search(s)))


def part(texts: Sequence[str], who: str) -> tuple[str, ...]:
    """The texts that are ``trained`` on, or those that are kept to be ``measured``."""
    return tuple(t for i, t in enumerate(texts) if (i % _KEPT == 0) == (who == "measured"))
