"""3D waypoints, as 3D HAMSTER writes them: thousandths of the image and a depth in metres.

``[{"point_3d": [u, v, d], "label": ..., "gripper": "close" | "open" | "none"}]``
"""

from __future__ import annotations

from typing import Any

from hierarchy_nodes.planner.vlm.dialects.base import Dialect
from hierarchy_nodes.planner.vlm.fields import depth_of, number_of, shown, text_of
from hierarchy_nodes.planner.vlm.lenient_json import find
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError
from hierarchy_nodes.planner.vlm.scan import Reading, gripper_event
from hierarchy_nodes.types import PathPoint

KEYS = ("point_3d", "point_2d", "point")


class Waypoints(Dialect):
    """See the module. A missing or zero depth leaves the point 2D."""

    coordinates = "thousand"
    talks = False

    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        found = find(text, _is_waypoints)
        if found.truncated:
            reading.cut("the list of points breaks off")
        path = []
        for index, item in enumerate(found.value):
            name = f"waypoint {index}"
            value = next(item[key] for key in KEYS if key in item)
            if not isinstance(value, list) or len(value) not in (2, 3):
                raise ReplyError(f"{name} is {shown(value)}, expected [u, v, depth].")
            x, y = reading.point(number_of(value[0], name), number_of(value[1], name))
            depth = depth_of(value[2] if len(value) == 3 else None, f"depth of {name}", reading)
            event = gripper_event(text_of(item, "gripper"))
            if event is None:
                raise ReplyError(
                    f"The gripper of {name} is {shown(item['gripper'])}. Valid: close, open, none."
                )
            path.append(PathPoint(x, y, depth, event))
        if not path:
            raise ReplyError("The list of waypoints is empty.")
        return Reply(
            path=reading.merged(reading.events(path)),
            truncated=reading.truncated,
            notes=tuple(reading.notes),
        )


def _is_waypoints(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and any(key in item for key in KEYS) for item in value
    )
