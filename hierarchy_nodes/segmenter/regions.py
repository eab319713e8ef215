"""Connected regions of an RGB-D image without a step of depth or colour inside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Plane = NDArray[np.uint8]

CHROMA_SCALE = 255  # of normalised r, g, b in [0, 1]
LIGHT_SCALE = 36  # of the logarithm of brightness
_COLORLESS = 0.42 * CHROMA_SCALE  # no channel has more than this share of the light
_WINDOW = np.array([(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)])


class Steps(Protocol):
    """What parts two neighbours; see ClusterOptions."""

    @property
    def gap(self) -> float: ...
    @property
    def chroma_step(self) -> float: ...
    @property
    def grey_step(self) -> float: ...


@dataclass(frozen=True)
class Features:
    """Colour apart from its brightness, ``(H, W)`` uint8 each.

    Attributes:
        chroma: Shares of red, green and blue, times `CHROMA_SCALE`.
        light: Logarithm of the brightness, times `LIGHT_SCALE`.
    """

    chroma: tuple[Plane, Plane, Plane]
    light: Plane


def color_features(color: NDArray[np.uint8]) -> Features:
    """Of an ``(H, W, 3)`` RGB image."""
    # The constants keep the noise of dark pixels from looking like colour or light.
    parts = [part.astype(np.float32) + 3.0 for part in cv2.split(color)]
    total = parts[0] + parts[1] + parts[2]
    scale = CHROMA_SCALE / total
    red, green, blue = ((part * scale).astype(np.uint8) for part in parts)
    light = np.log(total + 15.0) * LIGHT_SCALE
    return Features((red, green, blue), light.astype(np.uint8))


def label_regions(
    features: Features,
    depth: NDArray[np.float32],
    raised: NDArray[np.bool_],
    patches: NDArray[np.bool_],
    steps: Steps,
    limit: int,
) -> NDArray[np.int32]:
    """Labels ``(H, W)`` of the connected regions of at least `limit` pixels, 0 = none.

    Pixels at a step (they may mix two things) are left out first and then given to the
    neighbour that they are most like; regions that turn out to go on in each other without a step
    become one again.

    Args:
        features: Of the colour image.
        depth: ``(H, W)`` metres.
        raised: ``(H, W)`` what stands on the table.
        patches: ``(H, W)`` what is painted on the table; never joined to what stands on it.
        steps: What counts as a step.
        limit: In pixels; three times this for patches.
    """
    whole = np.zeros(raised.shape, np.int32)
    region = raised | patches
    if not region.any():
        return whole
    down, across = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    part = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
    region, patches = region[part], patches[part]
    chroma = [np.ascontiguousarray(plane[part]) for plane in features.chroma]
    # Far away from everything that stands on the table.
    flat = np.where(region, depth[part] + patches * np.float32(10.0), np.float32(0.0))
    step = _range(flat, region) > steps.gap
    for plane in chroma:
        step |= _range(plane, region) > steps.chroma_step * CHROMA_SCALE
    colorless = np.maximum(np.maximum(chroma[0], chroma[1]), chroma[2]) < _COLORLESS
    uneven = _range(features.light[part], region) > np.log(steps.grey_step) * LIGHT_SCALE
    step |= colorless & uneven
    labels, count = _components(region & ~step, limit)
    stacked = np.stack(chroma, axis=-1).astype(np.int16)
    for _ in range(2):
        _absorb(labels, region, flat, stacked, steps)
    # What is all edge (a rim, a handle) and like nothing beside it is a region of its own.
    rest, _ = _components(region & (labels == 0), limit)
    labels = np.where(rest > 0, rest + count, labels)
    labels = _join(labels, flat, stacked, features.light[part], steps)
    sizes = np.bincount(labels.ravel())
    painted = np.bincount(labels.ravel(), weights=patches.ravel()) > 0
    labels[(sizes < np.where(painted, 3 * limit, limit))[labels]] = 0
    whole[part] = labels
    return whole


def _range(values: NDArray, region: NDArray[np.bool_]) -> NDArray:
    """Largest less smallest value in each 3x3 window, of the pixels of `region` only."""
    kernel = np.ones((3, 3), np.uint8)
    top = values.dtype.type(255)
    high = cv2.dilate(np.where(region, values, values.dtype.type(0)), kernel)
    low = cv2.erode(np.where(region, values, top), kernel)
    return np.where(region, high - low, values.dtype.type(0))


def _components(mask: NDArray[np.bool_], limit: int) -> tuple[NDArray[np.int32], int]:
    """Labels 1..count of the connected components of at least `limit` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    keep = stats[:, cv2.CC_STAT_AREA] >= limit
    keep[0] = False
    order = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return order[labels], int(keep.sum())


def _absorb(
    labels: NDArray[np.int32],
    region: NDArray[np.bool_],
    depth: NDArray[np.float32],
    chroma: NDArray[np.int16],
    steps: Steps,
) -> None:
    """Give each unlabelled pixel of `region` to the label within 2 px that it fits best."""
    rows, columns = np.nonzero(region & (labels == 0))
    if not len(rows):
        return
    y = np.clip(rows[:, None] + _WINDOW[:, 0], 0, labels.shape[0] - 1)
    x = np.clip(columns[:, None] + _WINDOW[:, 1], 0, labels.shape[1] - 1)
    other = labels[y, x]
    away = np.abs(depth[y, x] - depth[rows, columns][:, None]) / (2 * steps.gap)
    unlike = np.abs(chroma[y, x] - chroma[rows, columns][:, None]) @ np.ones(3, np.float32)
    distance = np.abs(_WINDOW).max(axis=1) * np.float32(0.05)
    cost = away + unlike / (2 * steps.chroma_step * CHROMA_SCALE) + distance
    cost[(other == 0) | (away > 1)] = np.inf
    best = cost.argmin(axis=1)
    pick = np.arange(len(rows))
    good = np.isfinite(cost[pick, best])
    labels[rows[good], columns[good]] = other[pick, best][good]


def _join(
    labels: NDArray[np.int32],
    depth: NDArray[np.float32],
    chroma: NDArray[np.int16],
    light: Plane,
    steps: Steps,
) -> NDArray[np.int32]:
    """Join labels of one colour that meet in at least two pixel pairs without a step.

    So the far inside of a bowl and its near outside are one thing: its rim goes around.
    """
    count = int(labels.max()) + 1
    pairs = []
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[first], labels[second]
        at = np.nonzero((a != b) & (a > 0) & (b > 0))
        level = np.abs(depth[first][at] - depth[second][at]) < steps.gap
        like = np.abs(chroma[first][at] - chroma[second][at]).max(axis=-1, initial=0)
        smooth = level & (like < steps.chroma_step * CHROMA_SCALE)
        change = np.abs(light[first][at].astype(int) - light[second][at])
        colorless = chroma[first][at].max(axis=-1, initial=0) < _COLORLESS
        smooth &= ~colorless | (change < np.log(steps.grey_step) * LIGHT_SCALE)
        pairs.append(np.stack([a[at][smooth], b[at][smooth]]))
    first_label, second_label = np.sort(np.concatenate(pairs, axis=1), axis=0)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    means = np.stack(
        [np.bincount(labels.ravel(), chroma[..., k].ravel(), count) / sizes for k in range(3)]
    )
    apart = np.abs(means[:, first_label] - means[:, second_label]).max(axis=0, initial=0)
    alike = apart < steps.chroma_step * CHROMA_SCALE
    first_label, second_label = first_label[alike], second_label[alike]
    if not len(first_label):
        return labels
    meetings = coo_matrix(
        (np.ones(len(first_label)), (first_label, second_label)), shape=(count, count)
    ).tocsr()
    meetings.data[meetings.data < 2] = 0
    meetings.eliminate_zeros()
    _, group = connected_components(meetings, directed=False)
    group = np.where(np.arange(count) == 0, 0, group + 1)
    return group[labels].astype(np.int32)


def join_hollow(
    labels: NDArray[np.int32],
    features: Features,
    cloud: NDArray[np.float32],
    height: NDArray[np.float32],
    steps: Steps,
) -> None:
    """Join, in place, labels of one colour and one height whose footprints overlap.

    The near outside of a bowl hides what connects it with the far inside. Solid things that stand
    beside each other have footprints apart.

    Args:
        labels: ``(H, W)`` labels of :func:`label_regions`.
        features: Of the colour image.
        cloud: ``(H, W, 3)`` base frame, metres.
        height: ``(H, W)`` over the table, metres.
        steps: What counts as another colour.
    """
    parts = []
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        inside = labels[window] == index
        chroma = np.array([np.median(plane[window][inside]) for plane in features.chroma])
        level = np.percentile(height[window][inside], [5, 95])
        hull = cv2.convexHull(np.ascontiguousarray(cloud[window][inside][:, :2]))
        parts.append((index, chroma, level, hull))
    into = {part[0]: part[0] for part in parts}
    for (i, color, level, hull), (j, other_color, other_level, other_hull) in combinations(
        parts, 2
    ):
        if np.abs(color - other_color).max() > 0.6 * steps.chroma_step * CHROMA_SCALE:
            continue
        shared = min(level[1], other_level[1]) - max(level[0], other_level[0])
        if shared < 0.5 * min(np.ptp(level), np.ptp(other_level)) or shared <= 0:
            continue
        smaller = min(cv2.contourArea(hull), cv2.contourArea(other_hull))
        overlap, _ = cv2.intersectConvexConvex(hull, other_hull)
        if overlap > 0.015 * smaller:
            labels[labels == into[j]] = into[i]
            old = into[j]
            into = {k: into[i] if v == old else v for k, v in into.items()}
