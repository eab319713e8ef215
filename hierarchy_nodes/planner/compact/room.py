"""Where in a container that holds something already the next thing has room.

The network draws its paths to the middle of the goal; a second thing let go of there falls off the
first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierarchy_nodes.geometry import on_plane, project
from hierarchy_nodes.planner import spots
from hierarchy_nodes.planner.compact.answer import Answer, Drawn
from hierarchy_nodes.planner.naming import Thing, thing_at
from hierarchy_nodes.types import Array, Gripper, RgbdFrame

# Points of the path this near to where the thing is let go of are over the goal, metres.
_OVER = 0.07


def led_to_room(answer: Answer, frame: RgbdFrame, things: Sequence[Thing], more: bool) -> Answer:
    """`answer` with the end of its path where the goal is free.

    Args:
        answer: Of the network, to put something down.
        frame: That it was about.
        things: All in view, named.
        more: Others are to follow, which shall find room, too.
    """
    if answer.goal is None:
        return answer
    target = thing_at(answer.targets[0].x, answer.targets[0].y, things)
    goal = thing_at(answer.goal.x, answer.goal.y, things)
    # The first point is where the tool is.
    opened = [p for p in answer.path[1:] if p.event == Gripper.OPEN]
    if target is None or goal is None or not opened:
        return answer
    others = [t for t in things if t is not target and t is not goal]
    spot = spots.inside(target, goal, others, more)
    if not more and np.allclose(spot[:2], goal.position[:2]):
        return answer

    def place(point: Drawn) -> Array:
        return on_plane(point.x, point.y, frame.intrinsics, frame.camera_pose, point.height)

    end = place(opened[-1])
    way = np.zeros(3)
    way[:2] = spot[:2] - end[:2]

    def moved(point: Drawn) -> Drawn:
        at = place(point)
        if np.linalg.norm(at[:2] - end[:2]) > _OVER:
            return point
        x, y = project(at + way, frame.intrinsics, frame.camera_pose)[0][0].clip(0.0, 1.0)
        return replace(point, x=float(x), y=float(y), exact=True)

    events = [p.event for p in answer.path]
    taken = events.index(Gripper.CLOSE) if Gripper.CLOSE in events else 0
    first, rest = answer.path[: taken + 1], answer.path[taken + 1 :]
    return replace(answer, path=(*first, *map(moved, rest)))
