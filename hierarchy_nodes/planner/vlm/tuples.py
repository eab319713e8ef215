"""Points as tuples with gripper tags between them: ``[(x, y), <action>Open Gripper</action>]``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hierarchy_nodes.planner.vlm.reply import ReplyError, quoted
from hierarchy_nodes.planner.vlm.scan import Reading, gripper_event, number
from hierarchy_nodes.types import Gripper, PathPoint

_ANSWER_TAG = re.compile(r"<\s{0,9}(/?)\s{0,9}ans(?:wer)?\s{0,9}>", re.IGNORECASE)
_PIECE = re.compile(
    r"<\s{0,9}action\s{0,9}>(?P<tag>[^<>]{0,100})<\s{0,9}/\s{0,9}action\s{0,9}>"
    r"|(?P<cuttag><\s{0,9}/?\s{0,9}action\b)"
    r"|[(\[](?P<point>[^()\[\]<>]{0,2000})[)\]]"
    r"|(?P<cut>[(][^()\[\]<>]{0,2000}\Z|[\[][^()\[\]<>]{0,2000}\Z)",
    re.IGNORECASE,
)
_DIGIT = re.compile("[0-9]")
# What can only be meant as a point, in a reply without answer tags.
_PAIR = re.compile(r"[0-9eE+.,\s-]+")


@dataclass(frozen=True)
class Answer:
    """A part of a reply.

    Attributes:
        before: What stands before it, from the end of the answer before.
        text: What is between the tags, or all of an untagged reply.
        tagged: There were tags, so that everything in brackets must be a point.
        closed: The end tag was there.
    """

    before: str
    text: str
    tagged: bool = True
    closed: bool = True


def answers(text: str) -> list[Answer]:
    """Everything between answer tags, in order; the whole text where there are no tags."""
    found: list[Answer] = []
    before_at, begun = 0, None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag.group(1):
            if begun is None:
                begun = tag
        elif begun is not None:
            within = text[begun.end() : tag.start()]
            found.append(Answer(text[before_at : begun.start()], within))
            before_at, begun = tag.end(), None
    if begun is not None:
        found.append(Answer(text[before_at : begun.start()], text[begun.end() :], closed=False))
    return found or [Answer("", text, tagged=False)]


def last_with_points(found: list[Answer]) -> Answer:
    """The last answer in which there is a number, since models repeat the format first."""
    return next((a for a in reversed(found) if _DIGIT.search(a.text)), found[-1])


def read_points(answer: Answer, reading: Reading, events: bool) -> tuple[PathPoint, ...]:
    """The points of an answer in order, with gripper events.

    A tag belongs to the point before it, a leading one to the first point; the state that it
    states lasts until the next tag, so saying it again is no event.

    Args:
        answer: Where to read.
        reading: Scale and notes.
        events: Whether gripper tags mean anything in this dialect.

    Raises:
        ReplyError: There is no point, or something between the tags is no point.
    """
    path: list[PathPoint] = []
    leading: Gripper | None = None
    for piece in _PIECE.finditer(answer.text):
        if piece.group("tag") is not None and events:
            event = gripper_event(piece.group("tag"))
            if event is None:
                raise ReplyError(
                    f"The gripper tag {quoted(piece.group('tag'))} is unknown. "
                    "Valid: Open Gripper, Close Gripper."
                )
            if path:
                path[-1] = replace(path[-1], gripper=event)
            else:
                leading = event
        elif piece.group("cuttag") is not None and events:
            reading.cut("a gripper tag breaks off")
        elif piece.group("cut") is not None:
            if _DIGIT.search(piece.group("cut")):
                reading.cut("the list of points breaks off")
        elif piece.group("point") is not None:
            point = _point(piece.group("point"), reading, answer.tagged)
            if point is not None:
                path.append(point)
    if not answer.closed and not answer.text.rstrip().endswith("]"):
        reading.cut("the answer breaks off")
    if not path:
        raise ReplyError(f"There is no point in the reply {quoted(answer.text.strip())}.")
    if leading is not None and path[0].gripper == Gripper.KEEP:
        path[0] = replace(path[0], gripper=leading)
    return reading.merged(reading.events(path))


def _point(text: str, reading: Reading, strict: bool) -> PathPoint | None:
    """None where what is in the brackets is no point and need not be one."""
    if not text.strip() or not (strict or _PAIR.fullmatch(text)):
        return None
    parts = text.split(",")
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    if len(parts) != 2:
        raise ReplyError(f"{quoted(text.strip())} has {len(parts)} coordinates, expected 2.")
    return PathPoint(*reading.point(number(parts[0]), number(parts[1])))
