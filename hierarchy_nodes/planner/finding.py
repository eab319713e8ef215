"""Finds what a person means among the things in view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner.language import Description
from hierarchy_nodes.planner.naming import Thing
from hierarchy_nodes.types import Array


def find(
    description: Description,
    things: Sequence[Thing],
    *,
    role: str = "target",
    avoid: Array | None = None,
    exclude: Sequence[Thing] = (),
) -> Thing:
    """The one thing that `description` means.

    Args:
        description: In the person's words.
        things: What is in view.
        role: "goal" prefers what can carry something when only a colour is given.
        avoid: ``(3,)`` where the thing was that is *not* meant ("the other one").
        exclude: Things that cannot be meant.

    Raises:
        PlanningError: SCENE_EMPTY, OBJECT_NOT_FOUND or OBJECT_AMBIGUOUS, each with an answer.
    """
    found = find_all(description, things, role=role, avoid=avoid, exclude=exclude)
    if len(found) == 1 or description.every:
        return found[0]
    raise PlanningError(ErrorCode.OBJECT_AMBIGUOUS, _which(description, found))


def find_all(
    description: Description,
    things: Sequence[Thing],
    *,
    role: str = "target",
    avoid: Array | None = None,
    exclude: Sequence[Thing] = (),
) -> list[Thing]:
    """All things that `description` fits, at least one; see :func:`find`."""
    if not things:
        raise PlanningError(
            ErrorCode.SCENE_EMPTY, f"I cannot see {_a(description)}: the table is empty."
        )
    pool = [t for t in things if not any(t is e for e in exclude)]
    found = _matching(description, pool)
    if role == "goal" and not description.shape and len(found) > 1:
        found = [t for t in found if t.cluster.size[1] > 0.08] or found
    if role == "target" and not description.shape and len(found) > 1:
        # Nobody asks to pick up a plate when a block fits too.
        found = [t for t in found if t.cluster.size[1] < 0.08] or found
    if description.other and avoid is not None and found:
        nearest = min(found, key=lambda t: float(np.linalg.norm(t.position - avoid)))
        found = [t for t in found if t is not nearest]
    if not found:
        raise PlanningError(
            ErrorCode.OBJECT_NOT_FOUND,
            f"I cannot see {_a(description)}. In view: {listing(things)}.",
        )
    if description.beside is not None and len(found) > 1:
        near = find(description.beside, things, role="goal")
        others = [t for t in found if t is not near] or found
        return [min(others, key=lambda t: float(np.linalg.norm(t.position - near.position)))]
    found = _by_size(description, found)
    return _by_place(description, found)


def listing(things: Sequence[Thing]) -> str:
    """ "red block, blue plate, 2 green cans"."""
    labels = [t.label for t in things]
    counted = {label: labels.count(label) for label in labels}
    return ", ".join(f"{n} {name}s" if n > 1 else name for name, n in counted.items()) or "nothing"


def _matching(description: Description, pool: list[Thing]) -> list[Thing]:
    if description.noun:
        return []
    color, shape = description.color, description.shape
    for colors, shapes in ((1, 1), (1, 4), (4, 1), (4, 4)):
        found = [
            t
            for t in pool
            if (not color or color in t.colors[:colors])
            and (not shape or shape in t.shapes[:shapes])
        ]
        if found:
            return found
    return []


def _by_size(description: Description, found: list[Thing]) -> list[Thing]:
    if not description.size or len(found) < 2:
        return found
    volume = description.size in ("big", "small")
    sizes = [float(np.prod(t.cluster.size)) if volume else t.top - t.bottom for t in found]
    sign = 1 if description.size in ("big", "tall") else -1
    best = max(sign * s for s in sizes)
    # What is nearly as large is as large as the person can tell.
    return [t for t, s in zip(found, sizes, strict=True) if abs(sign * s - best) <= 0.15 * s]


def _by_place(description: Description, found: list[Thing]) -> list[Thing]:
    if not description.place or len(found) < 2:
        return found
    at = np.array([t.position[:2] for t in found])
    middle = (at.max(axis=0) + at.min(axis=0)) / 2
    score = {
        "left": at[:, 1],
        "right": -at[:, 1],
        "front": at[:, 0],
        "back": -at[:, 0],
        "nearest": -np.linalg.norm(at, axis=1),
        "farthest": np.linalg.norm(at, axis=1),
        "middle": -np.linalg.norm(at - middle, axis=1),
    }[description.place]
    return [found[int(np.argmax(score))]]


def _a(description: Description) -> str:
    name = description.name
    if description.every or description.other:
        return f"any {name}"
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _which(description: Description, found: list[Thing]) -> str:
    """ "I see two red blocks: one on the left, one on the right. Which one?"."""
    numbers = {2: "two", 3: "three", 4: "four", 5: "five"}
    count = numbers.get(len(found), str(len(found)))
    labels = [t.label for t in found]
    if len(set(labels)) == len(labels):
        names = ", ".join(f"the {label}" for label in labels)
        return f"I see {count} that could be {description}: {names}. Which one?"
    at = np.array([t.position[:2] for t in found])
    axis = 1 if np.ptp(at[:, 1]) >= np.ptp(at[:, 0]) else 0
    ends = ("on the left", "on the right") if axis == 1 else ("at the front", "at the back")
    order = np.argsort(-at[:, axis])
    places = [""] * len(found)
    for rank, index in enumerate(order):
        last = len(found) - 1
        places[index] = ends[0] if rank == 0 else ends[1] if rank == last else "in the middle"
    said = [f"one {places[i]}" for i in order]
    kind = description.name if len(set(labels)) > 1 else labels[0]
    return f"I see {count} {kind}s: {', '.join(said)}. Which one?"
