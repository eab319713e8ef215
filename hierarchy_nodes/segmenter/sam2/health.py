"""Is this mask the thing? Depth, colour and what was seen before, against a tracker's word.

A video model follows what looks alike: past an occlusion or beside a twin its mask may jump to
another thing with full confidence. What cannot be the thing is told from where it can have moved
to, from its size and colour, and from the image on which it was last seen: what stood elsewhere
then is another thing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.geometry import project
from hierarchy_nodes.segmenter.clusters import Cluster
from hierarchy_nodes.segmenter.following import reach_of
from hierarchy_nodes.segmenter.masks import Reading
from hierarchy_nodes.segmenter.sam2.options import Sam2Options
from hierarchy_nodes.segmenter.sam2.tracker import Guess
from hierarchy_nodes.segmenter.tracks import Thing, Visibility, color_distance
from hierarchy_nodes.types import Array, RgbdFrame, StrEnum

_LARGER = 1.9  # no thing grows by more than this, but what is merged with its neighbour does
_PART = 0.5  # of a thing that is seen whole the mask has more than this share
_ALREADY = 0.6  # share of a surface that makes it one that was there before
_SAME = 0.01  # metres between two measurements of one surface


class Verdict(StrEnum):
    """What a mask is, or why it is not the thing."""

    FITS = "fits"
    ABSENT = "the model does not see it"
    UNSURE = "the model doubts its mask"
    ROBOT = "the mask is on the robot"
    NOTHING = "nothing on the table under the mask"
    TOO_LARGE = "the mask is larger than the thing"
    PART = "the mask is only a part of the thing"
    COLOR = "another colour"
    LOOK = "another look"
    TOO_FAR = "too far away"
    ANOTHER = "another thing that was there before"


def judge_prompted(guess: Guess, reading: Reading, options: Sam2Options) -> Verdict:
    """Whether a mask can be a thing at all, of which nothing is known yet."""
    if guess.score < options.min_score or not guess.mask.any():
        return Verdict.ABSENT
    if guess.iou < options.min_iou:
        return Verdict.UNSURE
    if reading.robot > 0.5:
        return Verdict.ROBOT
    if reading.cluster is None:
        return Verdict.NOTHING
    if reading.cluster.size[0] > options.largest:
        return Verdict.TOO_LARGE
    return Verdict.FITS


def judge(
    guess: Guess,
    reading: Reading,
    thing: Thing,
    look: Array,
    shown: Visibility,
    stamp: float,
    options: Sam2Options,
) -> Verdict:
    """Whether a mask can be `thing`, by what is known of it.

    Args:
        guess: The mask, and what the tracker says of it.
        reading: The mask in depth.
        thing: At the place where it is expected.
        look: ``(C,)`` what it has looked like to the tracker.
        shown: What the depth image shows at that place.
        stamp: Of the frame.
        options: Limits.
    """
    verdict = judge_prompted(guess, reading, options)
    if verdict is Verdict.ROBOT and thing.held and reading.cluster is not None:
        verdict = Verdict.FITS  # the fingers around it belong to the robot
    cluster = reading.cluster
    if verdict is not Verdict.FITS or cluster is None:
        return verdict
    seen, known = np.sort(cluster.size)[1:], np.sort(thing.size)[1:]
    if (seen / np.maximum(known, 0.02)).max() > _LARGER:
        return Verdict.TOO_LARGE
    if shown.agrees > 0.6 and len(cluster.points) < _PART * thing.pixels * (1 - shown.covered):
        return Verdict.PART
    if color_distance(thing.color, cluster.color) > options.unlike:
        return Verdict.COLOR
    if look_distance(look, guess.look) > options.unlike_look:
        return Verdict.LOOK
    away = float(np.linalg.norm(cluster.centroid - thing.centroid))
    if away > reach_of(thing, stamp, options) and not thing.contains(cluster.centroid, 0.01):
        return Verdict.TOO_FAR
    return Verdict.FITS


def was_there(cluster: Cluster, before: Thing, frame: RgbdFrame, unlike: float) -> bool:
    """Whether what is seen now was already seen apart from the thing that it is taken for.

    Args:
        cluster: What is seen now.
        before: The thing as it was on `frame`.
        frame: The last one on which it was seen.
        unlike: Largest difference of colour between two looks at one thing.
    """
    points = Thing.of(cluster, 0.0).points + cluster.centroid
    apart = points[~_within(points, before, 0.006)]
    # A thing that moved a little is still largely where it was.
    if len(apart) < 0.3 * len(points):
        return False
    same, colors = _surface(apart, frame)
    if same.mean() < _ALREADY:
        return False
    return bool(color_distance(np.median(colors[same], axis=0), cluster.color) < unlike / 2)


def look_distance(first: Array, second: Array) -> float:
    """1 - cosine of the angle: 0 = alike, 1 = nothing in common; 0 where either is zero."""
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return 1.0 - float(first @ second) / scale if scale > 1e-12 else 0.0


def quality(guess: Guess, reading: Reading) -> float:
    """How far a mask that fits is to be believed, in [0, 1]."""
    sure = min(1.0, guess.score / 0.9)
    sharp = 0.4 + 0.6 * min(1.0, guess.iou / 0.8)
    # The rims of small things lie half beside them in depth.
    clean = min(1.0, (reading.solid + reading.robot) / 0.6)
    return float(np.clip(sure * sharp * clean, 0.0, 1.0))


def spot_on(thing: Thing, frame: RgbdFrame) -> tuple[float, float] | None:
    """Normalised (x, y) of the middle of what `frame` shows at the place of `thing`."""
    points = thing.points + thing.centroid
    same, _ = _surface(points, frame)
    if not same.any():
        return None
    pixels, _ = project(points[same], frame.intrinsics, frame.camera_pose)
    middle = np.median(pixels, axis=0)
    x, y = pixels[np.linalg.norm(pixels - middle, axis=1).argmin()].tolist()
    return x, y


def _within(points: Array, thing: Thing, margin: float) -> NDArray[np.bool_]:
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    local = (points - thing.centroid) @ turn.T
    return np.asarray((np.abs(local) <= thing.size / 2 + margin).all(axis=1))


def _surface(points: Array, frame: RgbdFrame) -> tuple[NDArray[np.bool_], Array]:
    """Which of ``(N, 3)`` points lie on what `frame` shows, and the ``(N, 3)`` colours there."""
    pixels, expected = project(points, frame.intrinsics, frame.camera_pose)
    height, width = frame.depth.shape
    columns, rows = np.floor(pixels * (width, height)).astype(int).T
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (expected > 0)
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    same = inside & (np.abs(frame.depth[rows, columns] - expected) < _SAME)
    return same, frame.color[rows, columns].astype(float)
