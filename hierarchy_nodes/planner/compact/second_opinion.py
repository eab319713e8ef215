"""What plain names of colour and shape say where the network alone would ask or go on for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierarchy_nodes.errors import PlanningError
from hierarchy_nodes.planner.checking import rests_in
from hierarchy_nodes.planner.compact.answer import Answer, Spot
from hierarchy_nodes.planner.finding import find_all
from hierarchy_nodes.planner.language import Description
from hierarchy_nodes.planner.naming import Thing, thing_at


def the_one(answer: Answer, wanted: Description, things: Sequence[Thing]) -> Answer:
    """An ambiguous answer as a plan, where names fit one thing only that is not in its goal yet.

    Args:
        answer: Of the network.
        wanted: What it was to find.
        things: All in view, named.
    """
    goal = None if answer.goal is None else thing_at(answer.goal.x, answer.goal.y, things)
    there = [t for t in things if goal is not None and (t is goal or rests_in(t, goal))]
    try:
        named = find_all(wanted, things, exclude=there)
    except PlanningError:
        return answer
    meant = tuple(t for t in answer.targets if thing_at(t.x, t.y, named) is not None)
    return replace(answer, status="plan", targets=meant) if len(named) == 1 and meant else answer


def what_is_left(answer: Answer, wanted: Description, things: Sequence[Thing]) -> Answer:
    """Where all are to be brought to a goal: `answer`, but of one that does not lie in it already.

    Args:
        answer: Of the network.
        wanted: What it was to find all of.
        things: All in view, named.

    Returns:
        Of status done where nothing is left to do.
    """
    if answer.goal is None:
        return answer
    target, goal = (thing_at(s.x, s.y, things) for s in (answer.targets[0], answer.goal))
    if target is None or goal is None:
        return answer
    if not (target is goal or rests_in(target, goal) or _is_other(target, wanted)):
        return answer
    try:
        named = find_all(wanted, things, exclude=[goal])
    except PlanningError:
        named = []
    # What is of the goal's own colour is not told from it once it lies there.
    loose = [t for t in named if not rests_in(t, goal) and not _is_other(t, wanted)]
    if not loose:
        return replace(answer, status="done")
    nearest = min(loose, key=lambda t: float(np.linalg.norm(t.position - target.position)))
    return replace(answer, targets=(Spot(*nearest.cluster.pixel, answer.targets[0].share),))


def _is_other(thing: Thing, wanted: Description) -> bool:
    """Whether neither colour nor shape are what was asked for, at first sight."""
    named = bool(wanted.color and wanted.shape)
    return named and thing.color != wanted.color and thing.shape != wanted.shape
