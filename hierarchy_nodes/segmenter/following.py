"""What all backends say of a thing from frame to frame: seen, hidden, gone, lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.parameters import param
from hierarchy_nodes.segmenter.clusters import Cluster, ClusterOptions
from hierarchy_nodes.segmenter.tracks import Thing, Visibility, color_distance
from hierarchy_nodes.types import Prompt, RgbdFrame, Segment, Segments


@dataclass(frozen=True)
class FollowOptions(ClusterOptions):
    """How prompts find their things and how these are followed."""

    prompt_radius: float = param(
        12.0, "A prompt may miss its thing by this, in pixels of a 320 wide image", unit="px", low=0
    )
    reach: float = param(0.06, "Farthest jump of a thing between frames", unit="m", low=0.0)
    speed: float = param(
        0.4, "How fast a thing may move while it is not seen", unit="m/s", low=0.0, high=5.0
    )
    search: float = param(0.5, "Farthest that a lost thing is looked for", unit="m", low=0.0)
    unlike: float = param(
        0.3, "Largest difference of colour to what it was; red to green is about 1", low=0.01
    )
    lost_after: float = param(
        0.5, "A thing whose place is seen empty is lost after this long", unit="s", low=0.0
    )
    covered_after: float = param(
        6.0, "A thing that something stands before is lost after this long", unit="s", low=0.0
    )
    smoothing: float = param(
        0.2, "Time in which health follows what is seen", unit="s", low=0.0, high=10.0
    )


def nothing_at(prompt: Prompt, frame: RgbdFrame) -> Thing:
    """What a prompt that hits nothing stands for: lost from the start, on the table below it."""
    place = on_plane(prompt.x, prompt.y, frame.intrinsics, frame.camera_pose, 0.0)
    none = np.zeros(3)
    return Thing(place, none, 0.0, none, none[None], 0, frame.stamp, health=0.0, lost=True)


def hit(prompt: Prompt, masks: Sequence[NDArray[np.bool_]], options: FollowOptions) -> int | None:
    """The mask ``(H, W)`` at the prompt's pixel, else the nearest within the radius."""
    best, nearest = None, np.inf
    for index, mask in enumerate(masks):
        height, width = mask.shape
        x, y = prompt.x * width - 0.5, prompt.y * height - 0.5
        rows, columns = np.divmod(np.flatnonzero(mask), width)
        away = float(np.hypot(columns - x, rows - y).min(initial=np.inf))
        # Half a pixel away is on it.
        away = max(0.0, away - 0.71)
        if away < min(nearest, options.prompt_radius * width / 320 + 1e-6):
            best, nearest = index, away
    return best


def reach_of(thing: Thing, stamp: float, options: FollowOptions) -> float:
    """How far from its last place `thing` may be at `stamp`, metres."""
    return min(options.reach + options.speed * (stamp - thing.seen_at), options.search)


def update(
    thing: Thing,
    seen: Sequence[Cluster],
    shown: Visibility,
    stamp: float,
    elapsed: float,
    options: FollowOptions,
    quality: float = 1.0,
    by_depth: bool = True,
) -> None:
    """Take in what one frame says of a thing.

    Args:
        thing: Changed in place.
        seen: The parts of it that are seen; none where it is not.
        shown: What the depth image shows at its place.
        stamp: Of the frame.
        elapsed: Since the frame before, seconds.
        options: When it is lost, and how fast its health follows.
        quality: How far `seen` is to be believed, in [0, 1].
        by_depth: Whether a thing that is not seen is still there if the depth image says so.
    """
    blend = 1 - math.exp(-elapsed / max(options.smoothing, 1e-6))
    if seen:
        moved = float(np.linalg.norm(seen[0].centroid - thing.centroid))
        apart = float(color_distance(thing.color, seen[0].color))
        whole = min(1.0, sum(len(c.points) for c in seen) / max(1, thing.pixels))
        score = (1 - 0.5 * apart / options.unlike) * (0.4 + 0.6 * min(1.0, whole / 0.7))
        score *= 1 - 0.3 * min(1.0, moved / options.search)
        thing.see(seen, stamp, shown.covered)
        thing.lost, thing.gone_since = False, None
        thing.health += blend * (score * quality - thing.health)
        return
    thing.mask = None
    if thing.lost:
        thing.health = 0.0
        return
    if by_depth and shown.agrees > 0.6:
        # On a thing of its own colour it has no cluster, but it is where it was.
        thing.seen_at, thing.gone_since = stamp, None
        thing.health += blend * (0.7 - thing.health)
        return
    since = stamp - thing.seen_at
    hidden = thing.held or shown.covered > 0.5
    if hidden:
        thing.gone_since = None
        score = max(0.35 if thing.held else 0.0, 0.7 * (1 - since / options.covered_after))
    else:
        thing.gone_since = stamp if thing.gone_since is None else thing.gone_since
        score = 0.0
    thing.health += blend * (score - thing.health)
    gone = thing.gone_since is not None
    empty = gone and stamp - (thing.gone_since or 0.0) >= options.lost_after
    if empty or (hidden and not thing.held and since >= options.covered_after):
        thing.lost, thing.health = True, 0.0


def segments_of(
    plan_id: str, frame: RgbdFrame, prompted: Sequence[tuple[Prompt, Thing]]
) -> Segments:
    """The message; the first prompt of a thing has its pixels, and 255 have a place in the mask."""
    prompts = list(enumerate(prompted[:255], start=1))
    mask = np.zeros(frame.depth.shape, np.uint8)
    for number, (_, thing) in reversed(prompts):
        if thing.mask is not None:
            mask[thing.mask] = number
    segments = tuple(
        Segment(
            number,
            prompt.role,
            prompt.label,
            float(np.clip(thing.health, 0.0, 1.0)),
            thing.lost,
            thing.centroid,
            thing.size,
            thing.yaw,
        )
        for number, (prompt, thing) in prompts
    )
    return Segments(frame.stamp, frame.frame_id, plan_id, mask, segments)
