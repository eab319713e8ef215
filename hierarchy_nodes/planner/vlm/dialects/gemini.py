"""Gemini Robotics-ER: ``[{"point": [y, x], "label": ...}]`` in thousandths, *y first*.

The label says what a point is: "target: red block", "goal: plate", "avoid: cup", or for the path
its number, with what the gripper does there: "0", "1 close gripper", "path 2: open gripper".
"""

from __future__ import annotations

import re
from typing import Any

from hierarchy_nodes.planner.vlm.dialects.base import Dialect
from hierarchy_nodes.planner.vlm.fields import numbers_of, text_of
from hierarchy_nodes.planner.vlm.lenient_json import find
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError, Status, quoted
from hierarchy_nodes.planner.vlm.scan import MAX_TEXT, Reading, gripper_event
from hierarchy_nodes.types import Gripper, PathPoint, Prompt, Role

_STEP = re.compile(r"(?:(?:path|trajectory|waypoint|point|step)[\s_#-]*)?([0-9]{1,4})\b[\s:.,-]*")
_ROLE = re.compile(r"(target|goal|avoid)\b[\s:.,-]*")


class Gemini(Dialect):
    """See the module."""

    coordinates = "thousand"
    y_first = True
    tells_done = False

    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        found = find(text, _is_points)
        if found.truncated:
            reading.cut("the list of points breaks off")
        if not found.value and found.truncated:
            raise ReplyError(f"There is no whole point in the reply {quoted(text.strip())}.")
        if not found.value:
            return Reply(
                status=Status.NOT_FOUND, notes=tuple(reading.notes), truncated=reading.truncated
            )
        steps: list[tuple[int, PathPoint]] = []
        prompts: list[Prompt] = []
        areas: list[tuple[float, float]] = []
        for item in found.value:
            label = text_of(item, "label")
            x, y = reading.point(*numbers_of(item.get("point"), 2, f"point {quoted(label)}"))
            self._sort_in(label, x, y, steps, prompts, areas)
        if len({number for number, _ in steps}) < len(steps):
            reading.note("numbers of path points are used twice; the order in the list counts")
        else:
            steps.sort(key=lambda step: step[0])
        path = reading.merged([point for _, point in steps])
        return Reply(
            path=path,
            prompts=tuple(prompts),
            areas=tuple(areas),
            truncated=reading.truncated,
            notes=tuple(reading.notes),
        )

    def _sort_in(
        self,
        label: str,
        x: float,
        y: float,
        steps: list[tuple[int, PathPoint]],
        prompts: list[Prompt],
        areas: list[tuple[float, float]],
    ) -> None:
        plain = label.strip().lower()
        step, role = _STEP.match(plain), _ROLE.match(plain)
        if step is not None:
            words = plain[step.end() :]
            event = gripper_event(words)
            if event is None and ("close" in words or "open" in words):
                raise ReplyError(
                    f"The label {quoted(label)} names opening and closing the gripper at once."
                )
            steps.append((int(step.group(1)), PathPoint(x, y, gripper=event or Gripper.KEEP)))
        elif role is not None:
            name = label.strip()[role.end() :][:MAX_TEXT] or role.group(1)
            prompts.append(Prompt(Role(role.group(1)), name, x, y))
        else:
            areas.append((x, y))


def _is_points(value: Any) -> bool:
    """A list of objects with points; an empty list says that nothing was found."""
    return isinstance(value, list) and all(isinstance(v, dict) and "point" in v for v in value)
