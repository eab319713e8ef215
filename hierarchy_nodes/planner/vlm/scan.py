"""Text, numbers and coordinates as models write them. Everything here is linear in the text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hierarchy_nodes.planner.vlm.reply import ReplyError, quoted
from hierarchy_nodes.types import Gripper, PathPoint

MAX_LENGTH = 65_536
MAX_POINTS = 100
MAX_TEXT = 300
# Beyond the image by less than this share of it: a rounding, not another scale.
MARGIN = 0.02
SAME = 1e-6
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?"
)
_CLOSE = re.compile(r"\b(?:close|closes|closed|closing|grasp|grab)\b")
_OPEN = re.compile(r"\b(?:open|opens|opened|opening|release|drop)\b")


def clean(text: str) -> tuple[str, bool]:
    """`text` without a model's thoughts, and whether it was too long and has been cut."""
    cut = len(text) > MAX_LENGTH
    text = text[:MAX_LENGTH]
    end = text.rfind("</think>")
    return (text[end + len("</think>") :] if end >= 0 else text), cut


def number(text: str) -> float:
    """A finite decimal number in ASCII digits.

    Raises:
        ReplyError: It is none (also for NaN, infinities, other scripts' digits, "50%").
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ReplyError(f"{quoted(text)} is not a number.")
    value = float(text)
    if not math.isfinite(value):
        raise ReplyError(f"{quoted(text)} is too large.")
    return value


def gripper_event(text: str) -> Gripper | None:
    """What "Close Gripper", "open" or "keep" mean; None for anything else."""
    text = text.strip().lower()[:100]
    closing, opening = _CLOSE.search(text), _OPEN.search(text)
    if closing and opening:
        return None
    if closing or opening:
        return Gripper.CLOSE if closing else Gripper.OPEN
    return Gripper.KEEP if text in ("", "keep", "none", "hold", "no change") else None


@dataclass(frozen=True)
class Scale:
    """How a model's coordinates relate to the image.

    Attributes:
        width, height: Coordinates of the image's right and lower edge.
        y_first: Points are ``(y, x)``.
    """

    width: float
    height: float
    y_first: bool = False


@dataclass
class Reading:
    """A reply being read: the scale, and what had to be mended so far."""

    scale: Scale
    notes: list[str] = field(default_factory=list)
    truncated: bool = False

    def note(self, text: str) -> None:
        """Remember that something was mended, once."""
        if text not in self.notes and len(self.notes) < 20:
            self.notes.append(text)

    def cut(self, why: str) -> None:
        """Remember that the reply breaks off."""
        self.truncated = True
        self.note(why)

    def point(self, first: float, second: float) -> tuple[float, float]:
        """The model's coordinates as normalised (x, y).

        Raises:
            ReplyError: Not finite, or outside the image by more than a rounding.
        """
        scale = self.scale
        x, y = (second, first) if scale.y_first else (first, second)
        shown = f"({_short(first)}, {_short(second)})"
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ReplyError(f"The point {shown} is not finite.")
        u, v = x / scale.width, y / scale.height
        inside = -MARGIN <= u <= 1 + MARGIN and -MARGIN <= v <= 1 + MARGIN
        if not inside:
            order = "(y, x)" if scale.y_first else "(x, y)"
            raise ReplyError(
                f"The point {shown} lies outside the image: {order} ends at "
                f"{scale.width:g} to the right and {scale.height:g} below. Does the model use "
                "another scale ('coordinates') or order ('axes')?"
            )
        clamped = min(max(u, 0.0), 1.0), min(max(v, 0.0), 1.0)
        if clamped != (u, v):
            self.note(f"the point {shown} was moved to the image's edge")
        return clamped

    def merged(self, path: Sequence[PathPoint]) -> tuple[PathPoint, ...]:
        """`path` without repeated points; the later gripper event of each counts.

        Raises:
            ReplyError: Too many points are left.
        """
        result: list[PathPoint] = []
        for point in path:
            last = result[-1] if result else None
            if last is None or not _same(last, point):
                result.append(point)
                continue
            self.note("repeated points were joined")
            if point.gripper != Gripper.KEEP:
                result[-1] = replace(last, gripper=point.gripper)
        if len(result) > MAX_POINTS:
            raise ReplyError(f"The path has {len(result)} points, at most {MAX_POINTS} make sense.")
        return tuple(result)

    def events(self, path: Sequence[PathPoint]) -> tuple[PathPoint, ...]:
        """`path` in which a gripper *state* that is stated again is no second event."""
        state, result = Gripper.KEEP, []
        for point in path:
            again = point.gripper == state
            result.append(replace(point, gripper=Gripper.KEEP) if again else point)
            state = state if point.gripper == Gripper.KEEP else point.gripper
        return tuple(result)


def _same(a: PathPoint, b: PathPoint) -> bool:
    deep = math.isfinite(a.depth) and math.isfinite(b.depth) and abs(a.depth - b.depth) > 1e-3
    return abs(a.x - b.x) <= SAME and abs(a.y - b.y) <= SAME and not deep


def _short(value: float) -> str:
    return f"{value:.6g}"
