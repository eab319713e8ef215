"""Names what the camera sees."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hierarchy_nodes.planner.parts import with_bases
from hierarchy_nodes.planner.shapes import footprint_overlap, merge, name_shape
from hierarchy_nodes.segmenter.clusters import Cluster, find_clusters
from hierarchy_nodes.types import Array, RgbdFrame, RobotState


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


def thing_at(x: float, y: float, things: Sequence[Thing]) -> Thing | None:
    """The thing that is seen at the normalised image point (x, y)."""
    for thing in things:
        height, width = thing.cluster.mask.shape
        row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
        if thing.cluster.mask[row, column]:
            return thing
    return None


def name_things(clusters: Sequence[Cluster], frame: RgbdFrame | None = None) -> list[Thing]:
    """Names for `clusters`; parts of one thing (a bowl's walls, a drawer's cabinet) are joined.

    Args:
        clusters: From `find_clusters`.
        frame: The image that they were found in; its bright pixels tell white from shaded gray.
    """
    colored = [(c, color_names(_light(c, frame))) for c in clusters]
    joined = _join_parts(colored)
    things = [Thing(names, name_shape(cluster), cluster) for cluster, names in joined]
    return with_bases(things)


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
