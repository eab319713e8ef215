"""Masks from depth: clusters on the table, followed by place, colour and size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.parameters import param
from hierarchy_nodes.segmenter.base import SegmenterBackend
from hierarchy_nodes.segmenter.clusters import Cluster, ClusterOptions, find_clusters
from hierarchy_nodes.segmenter.tracks import Thing, Visibility, color_distance, match, visibilities
from hierarchy_nodes.types import Plan, Prompt, RgbdFrame, RobotState, Segment, Segments


@dataclass(frozen=True)
class DepthOptions(ClusterOptions):
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


class DepthSegmenter(SegmenterBackend):
    """Follows every thing on the table, so that a twin is not taken for the one prompted."""

    Options = DepthOptions

    def __init__(self, options: DepthOptions) -> None:
        super().__init__(options)
        self._plan_id = ""
        self._things: list[Thing] = []
        self._prompts: list[tuple[Prompt, Thing]] = []
        self._stamp = 0.0
        self._robot: RobotState | None = None

    def reset(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> Segments:
        clusters = find_clusters(frame, robot, self.options)
        self._things = [Thing.of(cluster, frame.stamp) for cluster in clusters]
        self._plan_id, self._stamp, self._robot = plan.plan_id, frame.stamp, robot
        self._prompts = []
        for prompt in plan.prompts:
            index = self._hit(prompt, clusters, frame)
            thing = self._nothing(prompt, frame) if index is None else self._things[index]
            self._prompts.append((prompt, thing))
        return self._segments(frame)

    def track(self, frame: RgbdFrame, robot: RobotState) -> Segments:
        elapsed = frame.stamp - self._stamp
        before = self._robot or robot
        clusters = find_clusters(frame, robot, self.options)
        for thing in self._things:
            thing.held = not thing.lost and thing.between_fingers(before)
            if thing.held:
                thing.carry(before.tool, robot.tool, frame)
        found = self._assign(clusters, frame.stamp)
        shown = visibilities(self._things, frame)
        for index, thing in enumerate(self._things):
            self._update(thing, found.get(index, []), shown[index], frame.stamp, max(elapsed, 0.0))
        self._stamp, self._robot = frame.stamp, robot
        return self._segments(frame)

    def _hit(self, prompt: Prompt, clusters: list[Cluster], frame: RgbdFrame) -> int | None:
        """The cluster at the prompt's pixel, else the nearest within the radius."""
        height, width = frame.depth.shape
        x, y = prompt.x * width - 0.5, prompt.y * height - 0.5
        best, nearest = None, self.options.prompt_radius * width / 320 + 1e-6
        for index, cluster in enumerate(clusters):
            rows, columns = np.divmod(np.flatnonzero(cluster.mask), width)
            away = float(np.hypot(columns - x, rows - y).min())
            # Half a pixel away is on it.
            if max(0.0, away - 0.71) < nearest:
                best, nearest = index, max(0.0, away - 0.71)
        return best

    def _nothing(self, prompt: Prompt, frame: RgbdFrame) -> Thing:
        place = on_plane(prompt.x, prompt.y, frame.intrinsics, frame.camera_pose, 0.0)
        none = np.zeros(3)
        return Thing(place, none, 0.0, none, none[None], 0, frame.stamp, health=0.0, lost=True)

    def _assign(self, clusters: list[Cluster], stamp: float) -> dict[int, list[Cluster]]:
        """Which clusters each thing is; several where something in front parts it."""
        options = self.options
        reach = []
        for thing in self._things:
            far = options.reach + options.speed * (stamp - thing.seen_at)
            reach.append(min(far, options.search))
        pairs = match(self._things, clusters, reach, options.unlike)
        found = {i: [clusters[j]] for i, j in pairs.items()}
        free = [c for j, c in enumerate(clusters) if j not in pairs.values()]
        for cluster in free:
            for i in found:
                thing = self._things[i]
                alike = bool(color_distance(thing.color, cluster.color) < options.unlike / 2)
                if alike and thing.contains(cluster.centroid, 0.0):
                    found[i].append(cluster)
                    break
        return found

    def _update(
        self,
        thing: Thing,
        seen: list[Cluster],
        shown: Visibility,
        stamp: float,
        elapsed: float,
    ) -> None:
        options = self.options
        blend = 1 - math.exp(-elapsed / max(options.smoothing, 1e-6))
        if seen:
            moved = float(np.linalg.norm(seen[0].centroid - thing.centroid))
            apart = float(color_distance(thing.color, seen[0].color))
            whole = min(1.0, sum(len(c.points) for c in seen) / max(1, thing.pixels))
            score = (1 - 0.5 * apart / options.unlike) * (0.4 + 0.6 * min(1.0, whole / 0.7))
            score *= 1 - 0.3 * min(1.0, moved / options.search)
            thing.see(seen, stamp, shown.covered)
            thing.lost, thing.gone_since = False, None
            thing.health += blend * (score - thing.health)
            return
        thing.mask = None
        if thing.lost:
            thing.health = 0.0
            return
        if shown.agrees > 0.6:
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

    def _segments(self, frame: RgbdFrame) -> Segments:
        prompts = list(enumerate(self._prompts[:255], start=1))
        mask = np.zeros(frame.depth.shape, np.uint8)
        # The first prompt of a thing has its pixels: it is painted last.
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
        return Segments(frame.stamp, frame.frame_id, self._plan_id, mask, segments)
