"""Masks from depth: clusters on the table, followed by place, colour and size."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.segmenter.base import SegmenterBackend
from hierarchy_nodes.segmenter.clusters import Cluster, find_clusters
from hierarchy_nodes.segmenter.following import (
    FollowOptions,
    hit,
    nothing_at,
    reach_of,
    segments_of,
    update,
)
from hierarchy_nodes.segmenter.tracks import Thing, color_distance, match, visibilities
from hierarchy_nodes.types import Plan, Prompt, RgbdFrame, RobotState, Segments


@dataclass(frozen=True)
class DepthOptions(FollowOptions):
    """How prompts find their things and how these are followed."""


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
            index = hit(prompt, [cluster.mask for cluster in clusters], self.options)
            thing = nothing_at(prompt, frame) if index is None else self._things[index]
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
        seen = [found.get(index, []) for index in range(len(self._things))]
        shown = visibilities(self._things, frame, seen)
        for thing, parts, visibility in zip(self._things, seen, shown, strict=True):
            update(thing, parts, visibility, frame.stamp, max(elapsed, 0.0), self.options)
        self._stamp, self._robot = frame.stamp, robot
        return self._segments(frame)

    def _assign(self, clusters: list[Cluster], stamp: float) -> dict[int, list[Cluster]]:
        """Which clusters each thing is; several where something in front parts it."""
        options = self.options
        reach = [reach_of(thing, stamp, options) for thing in self._things]
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

    def _segments(self, frame: RgbdFrame) -> Segments:
        return segments_of(self._plan_id, frame, self._prompts)
