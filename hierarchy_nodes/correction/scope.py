"""How long a correction is to count, as people say it."""

from __future__ import annotations

import re

from hierarchy_nodes.types import Scope

_WORDS = {
    Scope.ALWAYS: r"always|from now on|every time|each time|in (?:the )?future|as a rule",
    Scope.OBJECT: (
        r"(?:for|with) (?:this|that) (?:one|thing|object|piece|item)|(?:just|only) this time"
        r"|while (?:you are )?(?:holding|carrying|moving) (?:it|this|that)"
        r"|(?:for|with) (?:it|this)(?= ,|$)"
    ),
}
_PATTERNS = {scope: re.compile(rf"(?:^| )(?:{words})(?= |$)") for scope, words in _WORDS.items()}


def scope_of(text: str) -> tuple[Scope, str]:
    """What `text`, as of ``normal.normalise``, says about it, and the rest of the words."""
    for scope, pattern in _PATTERNS.items():
        rest, count = pattern.subn(" ", text)
        if count and re.search("[a-z]", rest):
            return scope, re.sub(r"\s+", " ", rest).strip()
    return Scope.NOW, text
