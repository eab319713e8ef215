"""HAMSTER (arXiv 2502.05485): a path in [0, 1] with gripper tags."""

from __future__ import annotations

from hierarchy_nodes.planner.vlm.dialects.base import Dialect
from hierarchy_nodes.planner.vlm.reply import Reply
from hierarchy_nodes.planner.vlm.scan import Reading
from hierarchy_nodes.planner.vlm.tuples import answers, last_with_points, read_points


class Hamster(Dialect):
    """``<ans>[(x, y), <action>Close Gripper</action>, ...]</ans>``."""

    talks = False

    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        path = read_points(last_with_points(answers(text)), reading, events=True)
        return Reply(path=path, truncated=reading.truncated, notes=tuple(reading.notes))
