"""What plain names of colour and shape say where the network alone would go on for ever."""

from __future__ import annotations

from collections.abc import Sequence

from hierarchy_nodes.errors import PlanningError
from hierarchy_nodes.planner.checking import rests_in
from hierarchy_nodes.planner.compact.answer import Answer, Spot
from hierarchy_nodes.planner.finding import find_all
from hierarchy_nodes.planner.language import Description
from hierarchy_nodes.planner.naming import Thing


def nothing_left(answer: Answer, wanted: Description, things: Sequence[Thing]) -> bool:
    """Whether the answer's target lies in its goal already, and so does everything of that name.

    Args:
        answer: Of the network.
        wanted: What it was to find all of.
        things: All in view, named.
    """
    target, goal = _thing_at(answer.targets[0], things), _thing_at(answer.goal, things)
    if target is None or goal is None:
        return False
    try:
        named = find_all(wanted, things, exclude=[goal])
    except PlanningError:
        named = []
    # What is of the goal's own colour is not told from it once it lies there.
    return all(t is goal or rests_in(t, goal) for t in (target, *named))


def _thing_at(spot: Spot | None, things: Sequence[Thing]) -> Thing | None:
    if spot is None:
        return None
    for thing in things:
        height, width = thing.cluster.mask.shape
        row, column = min(int(spot.y * height), height - 1), min(int(spot.x * width), width - 1)
        if thing.cluster.mask[row, column]:
            return thing
    return None
