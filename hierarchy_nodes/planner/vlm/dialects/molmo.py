"""Molmo's points: ``<point x="61.5" y="40.6" alt="..">`` in percent, and its successor's
``<points coords="1 1 615 406">`` (image, then number, x, y of each) in thousandths.

Such a model points at what it is asked for, so the target and the goal are asked for one by one.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hierarchy_nodes.planner.vlm.dialects.base import Dialect, Question
from hierarchy_nodes.planner.vlm.prompts import Task
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError, Status, quoted
from hierarchy_nodes.planner.vlm.scan import Reading, number
from hierarchy_nodes.types import Prompt, Role

_TAG = re.compile(r"<\s{0,9}points?\b(?P<inside>[^<>]{0,8000})(?P<end>>|\Z|(?=<))", re.IGNORECASE)
_VALUE = re.compile(
    r"\b(?P<name>[a-z]{1,8})(?P<index>[0-9]{0,4})\s{0,9}=\s{0,9}"
    r"(?:\"(?P<double>[^\"]{0,4000})\"|'(?P<single>[^']{0,4000})')",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"\b(there (?:are|is) (?:none|no)|no such|cannot see|can't see"
    r"|not (?:visible|present|in the))\b"
)
MANY = 20


class Molmo(Dialect):
    """See the module. Keys of questions are "target" and "goal"."""

    coordinates = "percent"

    def questions(self, task: Task) -> tuple[Question, ...]:
        asked = [("target", task.target), ("goal", task.goal)]
        return tuple(
            Question(key, self.prompt.fill(replace(task, instruction=what)))
            for key, what in asked
            if what
        )

    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        points: list[tuple[float, float]] = []
        label = ""
        for tag in _TAG.finditer(text):
            if tag.group("end") != ">":
                reading.cut("a tag breaks off")
            values = {
                (v.group("name").lower(), v.group("index")): v.group("double") or v.group("single")
                for v in _VALUE.finditer(tag.group("inside"))
            }
            label = label or (values.get(("alt", "")) or "")[:60]
            points += _old_style(values, reading)
            coords = values.get(("coords", ""))
            if coords:
                points += _new_style(coords, reading)
        points = list(dict.fromkeys(points))
        role = Role.GOAL if key == "goal" else Role.TARGET
        if not points:
            if _NONE.search(text.lower()):
                return Reply(status=Status.NOT_FOUND, notes=tuple(reading.notes))
            raise ReplyError(f"There is no point in the reply {quoted(text.strip())}.")
        if len(points) > 1:
            many = f"{len(points)}" if len(points) <= MANY else "many"
            return Reply(
                status=Status.AMBIGUOUS,
                question=f"I see {many} that may be the {role}. Which one?",
                areas=tuple(points[:MANY]),
                truncated=reading.truncated,
                notes=tuple(reading.notes),
            )
        label = "".join(c for c in label if c.isprintable()).strip() or str(role)
        return Reply(
            prompts=(Prompt(role, label, *points[0]),),
            truncated=reading.truncated,
            notes=tuple(reading.notes),
        )


def _old_style(
    values: dict[tuple[str, str], str | None], reading: Reading
) -> list[tuple[float, float]]:
    """``x y``, or ``x1 y1 x2 y2 ...``."""
    found = []
    for (name, index), x in values.items():
        if name != "x" or x is None:
            continue
        y = values.get(("y", index))
        if y is None:
            reading.note(f"the point x{index} has no y{index} and was left out")
            continue
        found.append(reading.point(number(x), number(y)))
    return found


def _new_style(coords: str, reading: Reading) -> list[tuple[float, float]]:
    """``image  number x y  number x y ...``, images parted by semicolons; the first one counts."""
    parts = coords.replace("\t", ";").split(";")[0].replace(":", " ").replace(",", " ").split()
    whole = len(parts) - (len(parts) - 1) % 3
    if whole != len(parts):
        reading.cut("the coordinates break off")
    # Thousandths whatever the older style counts in, unless the reader was told otherwise.
    tenth = 10.0 if reading.scale.width == 100.0 else 1.0
    return [
        reading.point(number(parts[i + 1]) / tenth, number(parts[i + 2]) / tenth)
        for i in range(1, whole, 3)
    ]
