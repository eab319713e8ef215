"""What plain names of colour and shape say where the network alone would go on for ever."""

from __future__ import annotations

from hierarchy_nodes.errors import PlanningError
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.checking import rests_in
from hierarchy_nodes.planner.compact.answer import Answer, Spot
from hierarchy_nodes.planner.finding import find_all
from hierarchy_nodes.planner.language import Instruction
from hierarchy_nodes.planner.naming import Thing, see


def colors_in_view(request: PlanRequest) -> set[str]:
    """Of all things on the table."""
    return {thing.color for thing in see(request.frame, request.robot)}


def nothing_left(answer: Answer, step: Instruction, request: PlanRequest) -> bool:
    """Whether the answer's target lies in its goal already, and so does all of the step's name."""
    things = see(request.frame, request.robot)
    height, width = request.frame.depth.shape

    def thing_at(spot: Spot | None) -> Thing | None:
        if spot is None:
            return None
        row, column = min(int(spot.y * height), height - 1), min(int(spot.x * width), width - 1)
        return next((t for t in things if t.cluster.mask[row, column]), None)

    target, goal = thing_at(answer.targets[0]), thing_at(answer.goal)
    if target is None or goal is None:
        return False
    try:
        named = find_all(step.target, things, exclude=[goal])
    except PlanningError:
        named = []
    # What is of the goal's own colour is not told from it once it lies there.
    return all(t is goal or rests_in(t, goal) for t in (target, *named))
