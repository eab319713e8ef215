"""Reads fields of JSON objects; each complaint names the field and the value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from hierarchy_nodes.planner.vlm.reply import ReplyError, quoted
from hierarchy_nodes.planner.vlm.scan import MAX_TEXT, Reading, number
from hierarchy_nodes.types import StrEnum

E = TypeVar("E", bound=StrEnum)
MAX_DEPTH = 10.0


def text_of(values: Mapping[str, Any], key: str) -> str:
    """A short printable text; "" where there is none."""
    value = values.get(key)
    if not isinstance(value, str):
        return ""
    line = "".join(c if c.isprintable() else " " for c in value[: MAX_TEXT + 1])
    return " ".join(line.split())[:MAX_TEXT]


def number_of(value: Any, what: str) -> float:
    """A number, also one written as a string.

    Raises:
        ReplyError: It is none, or not finite.
    """
    if isinstance(value, str):
        return number(value)
    if isinstance(value, bool) or not isinstance(value, float) or not math.isfinite(value):
        raise ReplyError(f"{what} is {shown(value)}, expected a number.")
    return value


def numbers_of(value: Any, count: int, what: str) -> list[float]:
    """A list of `count` numbers. Raises ReplyError."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, dict) and set(value) == {"x", "y"} and count == 2:
        value = [value["x"], value["y"]]
    if not isinstance(value, list) or len(value) != count:
        raise ReplyError(f"{what} is {shown(value)}, expected {count} numbers.")
    return [number_of(item, what) for item in value]


def choice_of(kind: type[E], value: Any, what: str) -> E:
    """A member of an enumeration. Raises ReplyError with the valid ones."""
    name = value.strip().lower() if isinstance(value, str) else ""
    if name not in [str(member) for member in kind]:
        raise ReplyError(f"{what} is {shown(value)}. Valid: {', '.join(kind)}.")
    return kind(name)


def depth_of(value: Any, what: str, reading: Reading) -> float:
    """Metres along the optical axis; NaN for none or 0.

    Raises:
        ReplyError: No number, negative, or farther than any table.
    """
    if value is None:
        return math.nan
    depth = number_of(value, what)
    if depth == 0:
        reading.note(f"{what} is 0: taken as unknown")
        return math.nan
    if not 0 < depth <= MAX_DEPTH:
        raise ReplyError(f"{what} is {depth:g} m, expected 0 to {MAX_DEPTH:g} m.")
    return depth


def shown(value: Any) -> str:
    """`value` for a message, short."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} with {len(value)} items"
    return f"{value!r}"[:40]
