"""Things of several parts: a button on its box, a drawer in its cabinet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.planner.shapes import merge
from hierarchy_nodes.segmenter.clusters import Cluster
from hierarchy_nodes.types import Array

if TYPE_CHECKING:
    from hierarchy_nodes.planner.naming import Thing

PLAIN = ("white", "gray", "black")
# How far a drawer's front, with its knob, may stand out of the cabinet, metres.
OUT = 0.20


def with_bases(things: Sequence[Thing]) -> list[Thing]:
    """Give buttons and drawers their plain-coloured bases, which are then not listed themselves."""
    used: set[int] = set()
    found: list[Thing] = []
    for cabinet in things:
        if cabinet.color in PLAIN and cabinet.cluster.size[1] > 0.1 and cabinet.top > 0.06:
            drawer = _drawer(cabinet, [t for t in things if id(t) not in used], used)
            if drawer is not None:
                found.append(drawer)
    plain = [t for t in things if t.color in PLAIN]
    # Coloured things first: a plain cap is only taken for one where nothing better is.
    for thing in sorted(things, key=lambda t: t.color in PLAIN):
        if id(thing) in used:
            continue
        base = next((p for p in plain if p is not thing and _is_button(thing, p)), None)
        if base is not None:
            used.add(id(base))
            found.append(replace(thing, shapes=("button",), base=base.cluster))
        else:
            found.append(thing)
    rest = [t for t in found if id(t) not in used]
    return sorted(rest, key=lambda t: len(t.cluster.points), reverse=True)


def _is_button(cap: Thing, base: Thing) -> bool:
    length = float(base.cluster.size[0])
    over = np.linalg.norm(cap.position[:2] - base.position[:2]) < 0.03
    small = cap.cluster.size[0] < 0.97 * length and 0.003 < cap.top - base.top < 0.035
    return bool(over and small and base.top < 0.06 and length < 0.13)


def board(cabinet: Cluster) -> tuple[Array, Array, Array]:
    """A cabinet's top: middle ``(2,)``, unit axes ``(4, 2)``, half its size along each ``(4,)``.

    The top alone: what is seen of the box inside often has the cabinet's colour as well.
    """
    flat = cabinet.points[cabinet.points[:, 2] > np.percentile(cabinet.points[:, 2], 99) - 0.008]
    flat = _largest_patch(flat[:, :2])
    _, _, degrees = cv2.minAreaRect(flat)
    angles = np.radians(degrees) + np.arange(4) * np.pi / 2
    axes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    low, high = np.percentile(flat @ axes[:2].T, [1, 99], axis=0)
    half = (high - low) / 2
    return (low + high) / 2 @ axes[:2], axes, np.array([*half, *half])


def _largest_patch(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest group of ``(N, 2)`` points without a gap of more than about 2 cm."""
    cells = np.floor((points - points.min(axis=0)) / 0.01).astype(np.int32)
    grid = np.zeros(tuple(cells.max(axis=0) + 1), np.uint8)
    grid[cells[:, 0], cells[:, 1]] = 1
    _, labels = cv2.connectedComponents(grid, connectivity=8)
    which = labels[cells[:, 0], cells[:, 1]]
    largest = np.bincount(which).argmax()
    return np.ascontiguousarray(points[which == largest], dtype=np.float32)


def _drawer(cabinet: Thing, things: Sequence[Thing], used: set[int]) -> Thing | None:
    """The drawer whose front stands before one side of `cabinet`; its parts are marked as used."""
    middle, axes, half = board(cabinet.cluster)
    best: list[Thing] = []
    for index, axis in enumerate(axes):
        side = np.array([-axis[1], axis[0]])
        before = []
        for thing in things:
            offset = thing.position[:2] - middle
            out = float(offset @ axis) - half[index]
            level = 0.04 < thing.top < cabinet.top + 0.02
            if level and -0.05 < out < OUT and abs(float(offset @ side)) < 0.1:
                before.append(thing)
        for thing in before:
            if thing.color in PLAIN:
                continue
            alike = [t for t in before if set(t.colors) & set(thing.colors)]
            points = np.concatenate([t.cluster.points for t in alike])
            wide = np.ptp(np.percentile(points[:, :2] @ side, [1, 99])) > 0.03
            high = float(np.percentile(points[:, 2], 98)) > 0.06
            if wide and high and _pixels(alike) > _pixels(best):
                best = alike
    if not best:
        return None
    best.sort(key=lambda t: len(t.cluster.points), reverse=True)
    front = best[0].cluster
    for other in best[1:]:
        front = merge(front, other.cluster)
    used |= {id(cabinet), *(id(t) for t in best)}
    # What is seen of the inside belongs to it, too.
    for thing in things:
        away = np.linalg.norm(thing.position[:2] - cabinet.position[:2])
        if thing.color in PLAIN and away < 0.3 and thing.cluster.size[0] > 0.07:
            used.add(id(thing))
    return replace(best[0], shapes=("drawer",), cluster=front, base=cabinet.cluster)


def _pixels(things: Sequence[Thing]) -> int:
    return sum(len(t.cluster.points) for t in things)
