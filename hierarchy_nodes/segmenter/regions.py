"""Connected regions of an RGB-D image without a step of depth or colour inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.segmenter.ranks import median, percentiles

Plane = NDArray[np.uint8]
Scalar = TypeVar("Scalar", bound=np.generic)

CHROMA_SCALE = 255  # of normalised r, g, b in [0, 1]
LIGHT_SCALE = 36  # of the logarithm of brightness
_COLORLESS = 0.42 * CHROMA_SCALE  # no channel has more than this share of the light
_MARGIN = 2  # how far a pixel's label may come from
_REACH = range(-_MARGIN, _MARGIN + 1)
_WINDOW = np.array([(y, x) for y in _REACH for x in _REACH if (y, x) != (0, 0)])
_REMOTE = np.abs(_WINDOW).max(axis=1) * np.float32(0.05)  # price of a label from further away


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
    """Colour apart from its brightness.

    Attributes:
        chroma: ``(3, H, W)`` uint8, shares of red, green and blue, times `CHROMA_SCALE`.
        light: ``(H, W)`` uint8, logarithm of the brightness, times `LIGHT_SCALE`.
    """

    chroma: Plane
    light: Plane


def color_features(color: NDArray[np.uint8]) -> Features:
    """Of an ``(H, W, 3)`` RGB image."""
    # The constants keep the noise of dark pixels from looking like colour or light.
    parts = np.stack(cv2.split(color)).astype(np.float32)
    parts += 3.0
    total = parts[0] + parts[1] + parts[2]
    parts *= CHROMA_SCALE / total
    light = np.log(total + 15.0) * LIGHT_SCALE
    return Features(parts.astype(np.uint8), light.astype(np.uint8))


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
    # With a margin all neighbours of a pixel are at fixed distances in the flattened image.
    region, patches = _framed(region[part]), _framed(patches[part])
    depth, light = _framed(depth[part]), _framed(features.light[part])
    chroma = np.stack([_framed(plane[part]) for plane in features.chroma])
    # Far away from everything that stands on the table.
    depth = np.where(region, depth + patches * np.float32(10.0), np.float32(0.0))
    step = _range(depth, region) > steps.gap
    for plane in chroma:
        step |= _range(plane, region) > steps.chroma_step * CHROMA_SCALE
    colorless = chroma.max(axis=0) < _COLORLESS
    step |= colorless & (_range(light, region) > np.log(steps.grey_step) * LIGHT_SCALE)
    labels, count = _components(region & ~step, limit)
    traits = np.stack([depth, *chroma, light], axis=-1, dtype=np.float32)
    for _ in range(2):
        _absorb(labels, region, traits, steps)
    # What is all edge (a rim, a handle) and like nothing beside it is a region of its own.
    rest, _ = _components(region & (labels == 0), limit)
    labels = np.where(rest > 0, rest + count, labels)
    labels = _join(labels, traits, steps)
    sizes = np.bincount(labels.ravel())
    painted = np.bincount(labels[patches], minlength=len(sizes)) > 0
    labels[(sizes < np.where(painted, 3 * limit, limit))[labels]] = 0
    whole[part] = labels[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return whole


def pixels_of(labels: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """The flat indices of each label's pixels, ascending; for labels > 0 that have any."""
    flat = labels.reshape(-1)
    pixels = np.flatnonzero(flat)
    # A stable sort keeps the pixels of a label in order.
    pixels = pixels[np.argsort(flat[pixels], kind="stable")]
    ends = np.flatnonzero(np.diff(flat[pixels])) + 1
    return np.split(pixels, ends) if len(pixels) else []


def _framed(plane: NDArray[Scalar]) -> NDArray[Scalar]:
    """`plane` ``(H, W)`` with a margin of zeros."""
    height, width = plane.shape
    framed = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN), plane.dtype)
    framed[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = plane
    return framed


def _range(values: NDArray, region: NDArray[np.bool_]) -> NDArray:
    """Largest less smallest value in each 3x3 window, of the pixels of `region` only.

    What it says of pixels outside of `region` has no meaning.
    """
    kernel = np.ones((3, 3), np.uint8)
    least, most = values.dtype.type(0), values.dtype.type(255)
    high = cv2.dilate(np.where(region, values, least), kernel)
    low = cv2.erode(np.where(region, values, most), kernel)
    return np.asarray(high - low)


def _components(mask: NDArray[np.bool_], limit: int) -> tuple[NDArray[np.int32], int]:
    """Labels 1..count of the connected components of at least `limit` pixels."""
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    keep = np.bincount(labels.reshape(-1), minlength=count) >= limit
    keep[0] = False
    order = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return order[labels], int(keep.sum())


def _absorb(
    labels: NDArray[np.int32],
    region: NDArray[np.bool_],
    traits: NDArray[np.float32],
    steps: Steps,
) -> None:
    """Give each unlabelled pixel of `region` to the label within 2 px that it fits best.

    Args:
        labels: ``(H, W)``, changed in place.
        region: ``(H, W)``, False in a margin of 2 px.
        traits: ``(H, W, 5)`` depth, chroma and light.
        steps: What counts as a step.
    """
    flat, traits = labels.reshape(-1), traits.reshape(-1, 5)
    pixels = np.flatnonzero(region & (labels == 0))
    if not len(pixels):
        return
    around = pixels[:, None] + _WINDOW @ (labels.shape[1], 1)
    labelled = flat[around] > 0
    which, where = np.nonzero(labelled)
    apart = np.abs(traits[around[labelled]] - traits[pixels[which]])
    away, unlike = apart[:, 0] / (2 * steps.gap), apart[:, 1:4].sum(axis=1)
    fit = away + unlike / (2 * steps.chroma_step * CHROMA_SCALE) + _REMOTE[where]
    cost = np.full(around.shape, np.inf, np.float32)
    cost[labelled] = np.where(away > 1, np.inf, fit)
    best = cost.argmin(axis=1)[:, None]
    good = np.isfinite(np.take_along_axis(cost, best, axis=1))
    flat[pixels[good[:, 0]]] = flat[np.take_along_axis(around, best, axis=1)[good]]


def _join(
    labels: NDArray[np.int32], traits: NDArray[np.float32], steps: Steps
) -> NDArray[np.int32]:
    """Join labels of one colour that meet in at least two pixel pairs without a step.

    So the far inside of a bowl and its near outside are one thing: its rim goes around.
    """
    flat, traits = labels.reshape(-1), traits.reshape(-1, 5)
    count = int(labels.max()) + 1
    pixels = np.flatnonzero(flat)
    meeting = []
    for neighbour in (1, labels.shape[1]):
        other = flat[pixels + neighbour]
        meeting.append(pixels[(other > 0) & (other != flat[pixels])] + [[0], [neighbour]])
    first, second = np.concatenate(meeting, axis=1)
    apart = np.abs(traits[first] - traits[second])
    smooth = apart[:, 0] < steps.gap
    smooth &= apart[:, 1:4].max(axis=1, initial=0) < steps.chroma_step * CHROMA_SCALE
    colored = traits[first, 1:4].max(axis=1, initial=0) >= _COLORLESS
    smooth &= colored | (apart[:, 4] < np.log(steps.grey_step) * LIGHT_SCALE)
    one, other = np.sort([flat[first[smooth]], flat[second[smooth]]], axis=0)
    sizes = np.maximum(np.bincount(flat[pixels], minlength=count), 1)
    means = np.array([np.bincount(flat[pixels], traits[pixels, k], count) for k in (1, 2, 3)])
    means /= sizes
    unlike = np.abs(means[:, one] - means[:, other]).max(axis=0, initial=0)
    alike = unlike < steps.chroma_step * CHROMA_SCALE
    meetings = np.bincount(one[alike] * count + other[alike])
    pairs = np.divmod(np.flatnonzero(meetings >= 2), count)
    return _united(count, zip(*pairs, strict=True))[labels]


def _united(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int32]:
    """The least number ``(count,)`` that each of 0..count - 1 is connected with by `pairs`."""
    group = np.arange(count, dtype=np.int32)
    for pair in pairs:
        least, other = sorted(group[list(pair)])
        group[group == other] = least
    return group


def join_hollow(
    regions: Sequence[NDArray[np.intp]],
    features: Features,
    cloud: NDArray[np.float32],
    height: NDArray[np.float32],
    steps: Steps,
) -> list[NDArray[np.intp]]:
    """Join regions of one colour and one height whose footprints overlap.

    The near outside of a bowl hides what connects it with the far inside. Solid things that stand
    beside each other have footprints apart.

    Args:
        regions: Flat indices of the pixels of each, from :func:`pixels_of`.
        features: Of the colour image.
        cloud: ``(3, H, W)`` base frame, metres.
        height: ``(H, W)`` over the table, metres.
        steps: What counts as another colour.

    Returns:
        The regions that are left, as in `regions`.
    """
    chroma = [median(features.chroma.reshape(3, -1)[:, pixels]) for pixels in regions]
    levels = [percentiles(height.reshape(-1)[pixels], 5, 95) for pixels in regions]

    @cache
    def hull(index: int) -> NDArray[np.float32]:
        footprint = cloud.reshape(3, -1)[:2, regions[index]].T
        return np.asarray(cv2.convexHull(np.ascontiguousarray(footprint)))

    def hollow(i: int, j: int) -> bool:
        if np.abs(chroma[i] - chroma[j]).max() > 0.6 * steps.chroma_step * CHROMA_SCALE:
            return False
        (low, high), (other_low, other_high) = levels[i], levels[j]
        shared = min(high, other_high) - max(low, other_low)
        if shared < 0.5 * min(high - low, other_high - other_low) or shared <= 0:
            return False
        smaller = min(cv2.contourArea(hull(i)), cv2.contourArea(hull(j)))
        overlap, _ = cv2.intersectConvexConvex(hull(i), hull(j))
        return bool(overlap > 0.015 * smaller)

    count = len(regions)
    group = _united(count, (pair for pair in combinations(range(count), 2) if hollow(*pair)))
    things = [
        [regions[k] for k in np.flatnonzero(group == index).tolist()] for index in np.unique(group)
    ]
    return [np.sort(np.concatenate(parts)) for parts in things]
