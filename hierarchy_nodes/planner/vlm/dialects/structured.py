"""Our own JSON: path, gripper events, language motion, prompts and subtask in one answer.

Coordinates are thousandths, x first. With a server that constrains its output, `SCHEMA` is sent.
"""

from __future__ import annotations

import json
from typing import Any

from hierarchy_nodes.planner.vlm.dialects.base import COORDINATES, Dialect, Question
from hierarchy_nodes.planner.vlm.fields import choice_of, number_of, numbers_of, shown, text_of
from hierarchy_nodes.planner.vlm.lenient_json import find
from hierarchy_nodes.planner.vlm.prompts import Task
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError, Status
from hierarchy_nodes.planner.vlm.scan import Reading, gripper_event
from hierarchy_nodes.types import Interaction, PathPoint, Prompt, Role

_POINT = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(item: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": item, "maxItems": most}


def _one_of(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


SCHEMA = _object(
    status=_one_of(*Status),
    question={"type": "string"},
    subtask={"type": "string"},
    more={"type": "boolean"},
    interaction=_one_of(*Interaction),
    prompts=_list(_object(role=_one_of(*Role), label={"type": "string"}, point=_POINT), 12),
    motion={"type": "string"},
    path=_list(_object(point=_POINT, gripper=_one_of("keep", "open", "close")), 20),
    confidence={"type": "number"},
)
_KNOWN = {"status", "path", "prompts", "interaction"}


class Structured(Dialect):
    """See the module."""

    coordinates = "thousand"
    tells_done = True

    def questions(self, task: Task) -> tuple[Question, ...]:
        return (Question("plan", self.prompt.fill(task), SCHEMA),)

    def write(self, reply: Reply) -> str:
        """The text in which a model would say `reply`; :meth:`read` gives it back, rounded."""
        scale = COORDINATES[self.coordinates]

        def point(x: float, y: float) -> list[int]:
            return [round(x * scale), round(y * scale)]

        values = {
            "status": str(reply.status),
            "question": reply.question,
            "subtask": reply.subtask,
            "more": reply.more,
            "interaction": str(reply.interaction or Interaction.NONE),
            "prompts": [
                {"role": str(p.role), "label": p.label, "point": point(p.x, p.y)}
                for p in reply.prompts
            ],
            "motion": reply.motion,
            "path": [
                {"point": point(p.x, p.y), "gripper": p.gripper.name.lower()} for p in reply.path
            ],
            "confidence": 1.0 if reply.confidence is None else reply.confidence,
        }
        return json.dumps(values)

    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        found = find(text, lambda v: isinstance(v, dict) and not _KNOWN.isdisjoint(v))
        values: dict[str, Any] = found.value
        if found.truncated:
            reading.cut("the JSON breaks off")
        status = Status.PLAN
        if values.get("status") is not None:
            status = choice_of(Status, values["status"], "'status'")
        if status != Status.PLAN:
            return Reply(
                status=status,
                question=text_of(values, "question"),
                subtask=text_of(values, "subtask"),
                confidence=_confidence(values, reading),
                truncated=reading.truncated,
                notes=tuple(reading.notes),
            )
        interaction = None
        if values.get("interaction") is not None:
            interaction = choice_of(Interaction, values["interaction"], "'interaction'")
        return Reply(
            path=_path(values, reading),
            prompts=_prompts(values, reading),
            interaction=None if interaction == Interaction.NONE else interaction,
            motion=text_of(values, "motion"),
            subtask=text_of(values, "subtask"),
            more=values.get("more") is True,
            confidence=_confidence(values, reading),
            truncated=reading.truncated,
            notes=tuple(reading.notes),
        )


def _items(values: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = values.get(key)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ReplyError(f"'{key}' is {shown(items)}, expected a list of objects.")
    return items


def _path(values: dict[str, Any], reading: Reading) -> tuple[PathPoint, ...]:
    path = []
    for index, item in enumerate(_items(values, "path")):
        name = f"'path' point {index}"
        x, y = reading.point(*numbers_of(item.get("point"), 2, name))
        event = gripper_event(text_of(item, "gripper"))
        if event is None:
            raise ReplyError(
                f"{name}: gripper is {shown(item['gripper'])}. Valid: keep, open, close."
            )
        path.append(PathPoint(x, y, gripper=event))
    return reading.merged(reading.events(path))


def _prompts(values: dict[str, Any], reading: Reading) -> tuple[Prompt, ...]:
    prompts: list[Prompt] = []
    for index, item in enumerate(_items(values, "prompts")):
        name = f"'prompts' item {index}"
        role = choice_of(Role, item.get("role"), f"{name}: role")
        try:
            x, y = reading.point(*numbers_of(item.get("point"), 2, name))
        except ReplyError as error:
            if role != Role.AVOID:
                raise
            reading.note(f"left out: {error}")
            continue
        if role != Role.AVOID and any(p.role == role for p in prompts):
            raise ReplyError(f"There are two prompts with the role '{role}'.")
        prompts.append(Prompt(role, text_of(item, "label") or str(role), x, y))
    return tuple(prompts)


def _confidence(values: dict[str, Any], reading: Reading) -> float | None:
    if values.get("confidence") is None:
        return None
    confidence = number_of(values["confidence"], "'confidence'")
    if 1.0 < confidence <= 100.0:
        reading.note("the confidence was taken as per cent")
        confidence /= 100.0
    if not 0.0 <= confidence <= 1.0:
        raise ReplyError(f"'confidence' is {confidence:g}, expected 0 to 1.")
    return confidence
