"""Names what the camera sees, and finds what a person means among it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner.language import Description
from hierarchy_nodes.planner.shapes import footprint_overlap, merge, name_shape
from hierarchy_nodes.segmenter.clusters import Cluster, find_clusters
from hierarchy_nodes.types import Array, RgbdFrame, RobotState

PLAIN = ("white", "gray", "black")


@dataclass(frozen=True)
class Thing:
    """A cluster with a name.

    Attributes:
        colors, shapes: Names that fit, the best first; never empty.
        cluster: All that is seen of it as one.
        base: What it moves in or on: a drawer's cabinet, a button's box.
    """

    colors: tuple[str, ...]
    shapes: tuple[str, ...]
    cluster: Cluster
    base: Cluster | None = None

    @property
    def color(self) -> str:
        return self.colors[0]

    @property
    def shape(self) -> str:
        return self.shapes[0]

    @property
    def label(self) -> str:
        return f"{self.color} {self.shape}"

    @property
    def position(self) -> Array:
        """``(3,)`` middle of the bounding box, base frame, metres."""
        return self.cluster.centroid

    @property
    def top(self) -> float:
        return float(self.cluster.centroid[2] + self.cluster.size[2] / 2)

    @property
    def bottom(self) -> float:
        return float(self.cluster.centroid[2] - self.cluster.size[2] / 2)


def see(frame: RgbdFrame, robot: RobotState | None = None) -> list[Thing]:
    """Everything on the table in one image, named, largest first."""
    return name_things(find_clusters(frame, robot), frame)


def name_things(clusters: Sequence[Cluster], frame: RgbdFrame | None = None) -> list[Thing]:
    """Names for `clusters`; parts of one thing (a bowl's walls, a drawer's cabinet) are joined.

    Args:
        clusters: From `find_clusters`.
        frame: The image that they were found in; its bright pixels tell white from shaded gray.
    """
    colored = [(c, color_names(_light(c, frame))) for c in clusters]
    joined = _join_parts(colored)
    things = [Thing(names, name_shape(cluster), cluster) for cluster, names in joined]
    return _with_bases(things)


def color_names(rgb: Array) -> tuple[str, ...]:
    """What a person may call the colour `rgb` ``(3,)`` 0..255, the likeliest first."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(np.clip(rgb, 0, 255) / 255.0))
    hue *= 360
    if value < 0.13:
        return ("black",)
    if saturation < 0.2:
        if value > 0.62:
            return ("white", "gray")
        if value > 0.25:
            return ("gray", "white") if value > 0.5 else ("gray", "black")
        return ("black", "gray")
    if hue < 46 and value < 0.45:
        return ("red", "brown") if hue < 12 else ("brown", "orange")
    edges = [
        (13, ("red", "orange")),
        (20, ("orange", "red")),
        (42, ("orange", "yellow", "brown")),
        (70, ("yellow", "orange")),
        (80, ("green", "yellow")),
        (160, ("green",)),
        (168, ("green", "cyan")),
        (196, ("cyan", "blue")),
        (205, ("blue", "cyan")),
        (248, ("blue",)),
        (258, ("blue", "purple")),
        (292, ("purple",)),
        (305, ("purple", "pink")),
        (338, ("pink", "purple")),
        (350, ("pink", "red") if saturation < 0.7 else ("red", "pink")),
        (361, ("red",)),
    ]
    return next(names for edge, names in edges if hue < edge)


def _light(cluster: Cluster, frame: RgbdFrame | None) -> Array:
    """The colour of the brighter pixels: the lit faces."""
    if frame is None or not cluster.mask.any():
        return cluster.color
    inner = cv2.erode(cluster.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    pixels = frame.color[inner if inner.sum() >= 12 else cluster.mask].astype(float)
    order = np.argsort(pixels.max(axis=1))
    bright = pixels[order[int(len(order) * 0.7) : max(int(len(order) * 0.95), 1)]]
    return np.median(bright, axis=0) if len(bright) else cluster.color


def _join_parts(
    colored: list[tuple[Cluster, tuple[str, ...]]],
) -> list[tuple[Cluster, tuple[str, ...]]]:
    """Join clusters of one colour that stand in each other's footprint, as a bowl's walls do."""
    result: list[tuple[Cluster, tuple[str, ...]]] = []
    for cluster, names in colored:
        for index, (other, known) in enumerate(result):
            alike = names[0] == known[0] or (names[0] in known and known[0] in names)
            if alike and footprint_overlap(cluster, other) > 0.15:
                result[index] = (merge(other, cluster), known)
                break
        else:
            result.append((cluster, names))
    return result


def _with_bases(things: list[Thing]) -> list[Thing]:
    """Give buttons and drawers their plain-coloured bases, which are then not listed themselves."""
    plain = [t for t in things if t.color in PLAIN]
    used: set[int] = set()
    result = []
    # Coloured things first: a plain front is only taken for one where nothing better is.
    for thing in sorted(things, key=lambda t: t.color in PLAIN):
        if id(thing) in used:
            continue
        button = next((p for p in plain if p is not thing and _is_button(thing, p)), None)
        if button is not None:
            used.add(id(button))
            result.append(replace(thing, shapes=("button",), base=button.cluster))
            continue
        front = "drawer" in thing.shapes and thing.cluster.size[1] < 0.1
        near = [p for p in plain if p is not thing and _is_cabinet(thing, p)] if front else []
        if near:
            used |= {id(p) for p in near}
            # The cabinet is the part whose top is highest; the rest is the inside of the drawer.
            cabinet = max(near, key=lambda p: (round(p.top, 2), len(p.cluster.points)))
            result.append(replace(thing, shapes=("drawer",), base=cabinet.cluster))
        else:
            result.append(thing)
    return [t for t in result if id(t) not in used]


def _is_button(cap: Thing, base: Thing) -> bool:
    length = base.cluster.size[0]
    over = np.linalg.norm(cap.position[:2] - base.position[:2]) < 0.03
    small = cap.cluster.size[0] < 0.85 * length and cap.top - base.top < 0.035
    return bool(over and small and cap.top > base.top + 0.003 and base.top < 0.06 and length < 0.13)


def _is_cabinet(front: Thing, part: Thing) -> bool:
    away = np.linalg.norm(part.position[:2] - front.position[:2])
    return bool(away < 0.26 and part.cluster.size[0] > 0.06 and part.top > 0.02)


# Finding what is meant


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
