"""Reads the answer to "is it done?": yes, no, or nothing that can be relied on."""

from __future__ import annotations

import re

from hierarchy_nodes.planner.vlm.lenient_json import find
from hierarchy_nodes.planner.vlm.reply import ReplyError
from hierarchy_nodes.planner.vlm.scan import clean

_WORD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
# More words than that are a discussion.
_SHORT = 80
ANSWERS = {"yes": True, "no": False, "true": True, "false": False}


def read_verdict(text: str) -> bool | None:
    """True, False, or None for "unsure" and everything that is not plainly yes or no."""
    text, cut = clean(text)
    if cut:
        return None
    try:
        found = find(text, lambda v: isinstance(v, dict) and "done" in v)
    except ReplyError:
        # A small model may answer in one word.
        word = _WORD.match(text)
        plain = word is not None and len(text) <= _SHORT and "unsure" not in text.lower()
        return ANSWERS[word.group(1).lower()] if word is not None and plain else None
    done = found.value["done"]
    if found.truncated:
        return None
    if isinstance(done, bool):
        return done
    return ANSWERS.get(done.strip().lower()) if isinstance(done, str) else None


SCHEMA = {
    "type": "object",
    "properties": {"done": {"type": "string", "enum": ["yes", "no", "unsure"]}},
    "required": ["done"],
    "additionalProperties": False,
}
