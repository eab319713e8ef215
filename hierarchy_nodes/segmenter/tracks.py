"""What is remembered of a thing from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from transforms3d.quaternions import quat2mat

from hierarchy_nodes.geometry import matrix, project
from hierarchy_nodes.segmenter.clusters import Cluster
from hierarchy_nodes.segmenter.ranks import percentiles
from hierarchy_nodes.types import Array, Pose, RgbdFrame, RobotState

_SAMPLE = 150
_SLACK = 0.008  # a seen point may lie this far outside of the remembered box, metres
_GRASP = 0.085  # nothing wider fits between the fingers, metres
_HIDDEN_BY = 0.012  # what covers a point is nearer to the camera by at least this, metres
_FORBIDDEN = 1e3  # cost of what must not be


class Visibility(NamedTuple):
    """Shares of a thing's surface in [0, 1], told from depth alone.

    Attributes:
        covered: Something nearer to the camera is seen, or nothing at all.
        agrees: Something is seen where the surface should be.
    """

    covered: float
    agrees: float


@dataclass
class Thing:
    """One thing on the table, named by a prompt or not.

    Attributes:
        centroid, size, yaw: Of its upright box, as far as it has ever been seen.
        color: ``(3,)`` median RGB, slowly adapted.
        points: ``(M, 3)`` a sample of its surface relative to `centroid`.
        pixels: How many it had when it was seen whole.
        seen_at: Stamp of the last frame that showed it.
        health: In [0, 1], smoothed.
        held: Whether it moves with the tool.
        mask: ``(H, W)`` bool on the newest frame, None where it is not seen.
    """

    centroid: Array
    size: Array
    yaw: float
    color: Array
    points: Array
    pixels: int
    seen_at: float
    health: float = 1.0
    lost: bool = False
    held: bool = False
    mask: NDArray[np.bool_] | None = None
    gone_since: float | None = field(default=None)

    @classmethod
    def of(cls, cluster: Cluster, stamp: float) -> Thing:
        """A thing as it is seen for the first time."""
        return cls(
            cluster.centroid.copy(),
            cluster.size.copy(),
            cluster.yaw,
            cluster.color.copy(),
            _sample(cluster) - cluster.centroid,
            len(cluster.points),
            stamp,
            mask=cluster.mask,
        )

    def carry(self, before: Pose, after: Pose, frame: RgbdFrame) -> None:
        """Move as one with the tool from its pose `before` to `after`, unless `frame` shows
        that it stayed behind."""
        stays = self.visibility(frame).agrees
        old = self.centroid, self.yaw, self.points
        motion = matrix(after) @ np.linalg.inv(matrix(before))
        self.centroid = motion[:3, :3] @ self.centroid + motion[:3, 3]
        turn = float(np.arctan2(motion[1, 0], motion[0, 0]))
        self.yaw = float(np.arctan(np.tan(self.yaw + turn)))
        cos, sin = np.cos(turn), np.sin(turn)
        self.points = self.points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        if self.visibility(frame).agrees < stays - 0.1:
            self.centroid, self.yaw, self.points = old

    def between_fingers(self, robot: RobotState) -> bool:
        """Whether the fingers are part closed around it."""
        if not 0.04 < robot.gripper < 0.93 or min(self.size[:2]) > _GRASP:
            return False
        tool = quat2mat(robot.tool.quaternion)
        reach = [robot.tool.position + tool[:, 2] * along for along in (-0.03, 0.0, 0.012)]
        return any(self.contains(point, 0.006) for point in reach)

    def contains(self, point: Array, margin: float) -> bool:
        """Whether a base-frame point is in the box inflated by `margin` metres."""
        local = _to_box(self.yaw) @ (point - self.centroid)
        return bool(np.all(np.abs(local) <= self.size / 2 + margin))

    def visibility(self, frame: RgbdFrame, seen: Sequence[Cluster] = ()) -> Visibility:
        """What `frame` shows of it at its place; `seen`: the parts of it that were found there."""
        return visibilities([self], frame, [seen])[0]

    def see(self, clusters: Sequence[Cluster], stamp: float, covered: float) -> None:
        """Take in what one frame shows of it; `covered` is the hidden share of its surface.

        Seen whole, the box is the measured one. Seen in part, it is the remembered one, moved no
        more than is needed for the seen points to lie inside: so a plate does not wander when a
        block is put on its rim.
        """
        main = max(clusters, key=lambda c: len(c.points))
        points = np.concatenate([_sample(c) for c in clusters]) if len(clusters) > 1 else None
        mask = main.mask if points is None else np.any([c.mask for c in clusters], axis=0)
        pixels = sum(len(c.points) for c in clusters)
        grown = np.any(np.sort(main.size[:2]) > np.sort(self.size[:2]) + 0.012) or (
            main.size[2] > self.size[2] + 0.012
        )
        whole = covered < 0.06 and len(clusters) == 1
        if whole or grown:
            self.centroid, self.yaw = main.centroid.copy(), main.yaw
            self.size = main.size if grown else self.size + 0.5 * (main.size - self.size)
            self.points, self.pixels = _sample(main) - main.centroid, pixels
        else:
            self._fit(_sample(main) if points is None else points)
        self.color = self.color + 0.1 * (main.color - self.color)
        self.mask, self.seen_at = mask, stamp

    def _fit(self, points: Array) -> None:
        turn = _to_box(self.yaw)
        local = (points - self.centroid) @ turn.T
        low, high = percentiles(local.T, 2, 98)
        half = self.size / 2
        shift = np.maximum(high - half - _SLACK, 0) + np.minimum(low + half + _SLACK, 0)
        self.centroid = self.centroid + shift @ turn


def visibilities(
    things: Sequence[Thing], frame: RgbdFrame, seen: Sequence[Sequence[Cluster]]
) -> list[Visibility]:
    """What `frame` shows of each thing at its place, all in one go.

    Where depth is unknown or outside of the image counts as covered. A thing does not cover
    itself: one that is remembered too far from the camera would never be seen whole again.

    Args:
        things: At the places where they are expected.
        frame: Its depth is looked at.
        seen: The parts of each that were found in `frame`.
    """
    if not things:
        return []
    surface = np.concatenate([thing.points + thing.centroid for thing in things])
    pixels, expected = project(surface, frame.intrinsics, frame.camera_pose)
    height, width = frame.depth.shape
    columns, rows = np.floor(pixels * (width, height)).astype(int).T
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (expected > 0)
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    measured = frame.depth[rows, columns]
    known = inside & (measured > 0)
    gone = known & (measured > expected + _HIDDEN_BY)
    sizes = np.array([len(thing.points) for thing in things])
    starts = np.cumsum(sizes) - sizes
    own = np.zeros(len(surface), dtype=bool)
    for start, size, clusters in zip(starts.tolist(), sizes.tolist(), seen, strict=True):
        part = slice(start, start + size)
        for cluster in clusters:
            own[part] |= cluster.mask[rows[part], columns[part]]
    covered = ~known | ((measured < expected - _HIDDEN_BY) & ~own)
    shares = np.add.reduceat([covered, ~covered & ~gone], starts, axis=1, dtype=float) / sizes
    return [Visibility(*share) for share in shares.T.tolist()]


def _to_box(yaw: float) -> Array:
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _sample(cluster: Cluster) -> Array:
    step = max(1, len(cluster.points) // _SAMPLE)
    return cluster.points[::step].astype(float)


def color_distance(first: Array, second: Array) -> Array:
    """0 = alike, about 1 = red and green: difference of hue shares, a little of brightness.

    Args:
        first: ``(..., 3)`` RGB, 0..255.
        second: As `first`, or of a shape that fits with it.
    """
    a, b = first + 8.0, second + 8.0
    total, other = a.sum(axis=-1, keepdims=True), b.sum(axis=-1, keepdims=True)
    share = np.abs(a / total - b / other).sum(axis=-1) / 1.2
    light = np.abs(np.log(total / other))[..., 0]
    return share + 0.25 * np.maximum(0.0, light - 0.4)


def match(
    things: Sequence[Thing], clusters: Sequence[Cluster], reach: Sequence[float], unlike: float
) -> dict[int, int]:
    """The best one-to-one assignment of things to clusters (Hungarian method).

    Args:
        things: At their predicted places.
        clusters: What is seen.
        reach: How far each thing may be from its predicted place, metres.
        unlike: Largest color_distance between a thing and its cluster.

    Returns:
        Index of thing to index of cluster; without those that fit nothing.
    """
    if not things or not clusters:
        return {}
    # Things run along the rows of all that follows, clusters along the columns.
    offset = (
        np.array([c.centroid for c in clusters]) - np.array([t.centroid for t in things])[:, None]
    )
    away = np.linalg.norm(offset, axis=-1)
    # A part of a large thing may be seen far from its middle.
    local = offset @ np.array([_to_box(thing.yaw).T for thing in things])
    sizes = np.array([thing.size for thing in things])
    inside = (np.abs(local) <= sizes[:, None] / 2 + 0.01).all(axis=-1)
    apart = color_distance(
        np.array([t.color for t in things])[:, None], np.array([c.color for c in clusters])
    )
    # What is seen may be a part, but not a much larger thing.
    seen, known = np.sort([c.size for c in clusters])[:, 1:], np.sort(sizes)[:, 1:]
    larger = (seen / np.maximum(known, 0.02)[:, None]).max(axis=-1)
    pixels = np.array([len(c.points) for c in clusters])
    smaller = 1 - np.minimum(1.0, pixels / np.array([thing.pixels for thing in things])[:, None])
    far = np.asarray(reach)[:, None]
    cost = away / np.maximum(far, 0.05) + apart / unlike + 0.3 * smaller
    cost += 0.5 * np.maximum(0.0, larger - 1.2)
    forbidden = ((away > far) & ~inside) | (apart > unlike) | (larger > 1.9)
    cost[forbidden] = _FORBIDDEN
    rows, columns = linear_sum_assignment(cost)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {i: j for i, j in pairs if not forbidden[i, j]}
