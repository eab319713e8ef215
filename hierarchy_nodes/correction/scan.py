"""Reads a clause piece by piece; a clause counts only if every word of it has a meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hierarchy_nodes.correction.normal import UNITS

NUMBER = r"\d+(?:\.\d+)?"
SOFT = {
    "tiny": (
        r"a (?:tiny|teeny|teensy|wee|very small|very little)(?: little)? bit|ever so slightly"
        r"|a (?:tiny |very )?(?:touch|hair|smidge|smidgen|tad|whisker|fraction|sliver|notch)"
        r"|very slightly|barely|minimally|a tiny amount"
    ),
    "bit": (
        r"(?:quite )?a (?:little |small )?bit|(?:only )?a little|slightly|somewhat|bit"
        r"|a (?:small|little) (?:amount|way)|a couple|some"
    ),
    "lot": (
        r"(?:quite )?a (?:whole )?(?:lot|great deal|long way)|a good bit|a fair bit|quite a bit"
        r"|much|way|far|lots|considerably|significantly|a good deal|loads"
    ),
}
_LENGTH = (
    rf"(?:(?P<n>{NUMBER})|(?P<word>a couple(?: of)?|a few|several|another|an?))"
    rf"(?: more)? ?(?P<unit>{'|'.join(UNITS)})s?\b(?: and (?:a )?(?P<part>half|quarter)\b)?"
)
_ANGLE = rf"(?P<n>{NUMBER}) (?:more )?(?P<unit>deg|rad)\b"
_WORD_NUMBERS = {"a couple": 2.0, "a couple of": 2.0, "a few": 3.0, "several": 4.0}


class Scanner:
    """A position in a clause."""

    def __init__(self, text: str) -> None:
        self.rest = text.strip()

    def take(self, pattern: str) -> re.Match[str] | None:
        """Match whole words at the front and move past them."""
        match = re.match(rf"(?:{pattern})(?= |$)", self.rest)
        if match is not None:
            self.rest = self.rest[match.end() :].lstrip()
        return match

    def take_named(self, table: Mapping[str, str]) -> str:
        """The key of the longest pattern of `table` that matches at the front, or ""."""
        best, best_end = "", 0
        for name, pattern in table.items():
            match = re.match(rf"(?:{pattern})(?= |$)", self.rest)
            if match is not None and match.end() > best_end:
                best, best_end = name, match.end()
        self.rest = self.rest[best_end:].lstrip()
        return best

    def take_length(self) -> float | None:
        """Metres."""
        match = self.take(_LENGTH)
        if match is None:
            return None
        number = match["n"]
        value = float(number) if number else _WORD_NUMBERS.get(match["word"], 1.0)
        value += {"half": 0.5, "quarter": 0.25}.get(match["part"] or "", 0.0)
        return value * UNITS[match["unit"]]

    def take_angle(self) -> float | None:
        """Degrees."""
        match = self.take(_ANGLE)
        if match is None:
            return None
        value = float(match["n"])
        return value if match["unit"] == "deg" else value * 57.29577951308232
