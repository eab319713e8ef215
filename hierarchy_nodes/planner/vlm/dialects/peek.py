"""PEEK (arXiv 2509.18282): a path, and points that the robot must see; no gripper events."""

from __future__ import annotations

from hierarchy_nodes.planner.vlm.dialects.base import Dialect
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError
from hierarchy_nodes.planner.vlm.scan import MAX_TEXT, Reading
from hierarchy_nodes.planner.vlm.tuples import Answer, answers, read_points


class Peek(Dialect):
    """``TRAJECTORY: <ans>[(x, y), ...]</ans> MASK: <ans>[(x, y), ...]</ans>``."""

    talks = False

    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        parts: dict[str, Answer] = {}
        for answer in answers(text):
            # Only the last words count: the format may be repeated in the text before.
            before = answer.before[-60:].lower()
            places = {name: before.rfind(name) for name in ("trajectory", "mask")}
            name = max(places, key=lambda n: places[n])
            parts[name if places[name] >= 0 else "trajectory"] = answer
        if "trajectory" not in parts:
            raise ReplyError("There is a MASK in the reply, but no TRAJECTORY.")
        path = read_points(parts["trajectory"], reading, events=True)
        areas: tuple[tuple[float, float], ...] = ()
        if "mask" in parts:
            try:
                masked = read_points(parts["mask"], reading, events=False)
                areas = tuple((p.x, p.y) for p in masked)
            except ReplyError as error:
                reading.note(f"the MASK was left out: {str(error)[:MAX_TEXT]}")
        return Reply(
            path=path, areas=areas, truncated=reading.truncated, notes=tuple(reading.notes)
        )
