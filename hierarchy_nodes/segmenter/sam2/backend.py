"""Masks from the video model SAM 2 (arXiv 2408.00714): pointed at once, then followed.

The model follows what it was pointed at; depth says where that is, and whether it can be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.segmenter.base import SegmenterBackend
from hierarchy_nodes.segmenter.clusters import find_clusters
from hierarchy_nodes.segmenter.following import hit, nothing_at, segments_of, update
from hierarchy_nodes.segmenter.masks import MaskReader, Reading
from hierarchy_nodes.segmenter.sam2.health import (
    Verdict,
    judge,
    judge_prompted,
    quality,
    spot_on,
    was_there,
)
from hierarchy_nodes.segmenter.sam2.loading import load_tracker
from hierarchy_nodes.segmenter.sam2.options import Sam2Options
from hierarchy_nodes.segmenter.sam2.tracker import Guess, MaskTracker
from hierarchy_nodes.segmenter.tracks import Thing, Visibility
from hierarchy_nodes.types import Array, Plan, Prompt, RgbdFrame, RobotState, Segments

_PLACES = 64  # places of a thing that are remembered, to find it on the image of a new plan
_HEALTHY = 0.5  # a prompt on a thing of less health starts it anew


@dataclass
class Track:
    """One prompted thing.

    Attributes:
        key: What the tracker knows it by.
        thing: What is known of it; its place is the expected one while it is not seen.
        look: ``(C,)`` what it has looked like to the tracker, slowly adapted.
        frame: The last one on which it was seen.
        before: `thing` on that frame.
        stamp, robot: Of the last frame that was looked at for it.
        verdict: On its last mask.
        places: `thing` on the latest frames on which it was seen, with their stamps.
    """

    key: int
    thing: Thing
    look: Array
    frame: RgbdFrame
    before: Thing
    stamp: float
    robot: RobotState
    verdict: Verdict
    places: deque[tuple[float, Thing]] = field(default_factory=lambda: deque(maxlen=_PLACES))

    def seen(self, guess: Guess, frame: RgbdFrame) -> None:
        """It has been seen on `frame`, and `thing` says where."""
        self.look = self.look + 0.1 * (guess.look - self.look)
        self.frame, self.before = frame, replace(self.thing, mask=None)
        self.places.append((frame.stamp, self.before))

    def at(self, stamp: float) -> Thing:
        """What it was like at about that time."""
        return min(self.places, key=lambda place: abs(place[0] - stamp))[1]


class Sam2Segmenter(SegmenterBackend):
    """Things that nobody prompted are not followed, but never taken for one that is.

    Args:
        options: See there.
        tracker: Instead of the model that `options` name.
    """

    Options = Sam2Options
    options: Sam2Options

    def __init__(self, options: Sam2Options, tracker: MaskTracker | None = None) -> None:
        super().__init__(options)
        self._tracker: MaskTracker = tracker or load_tracker(options)
        self._keys: Iterator[int] = count(1)
        self._plan_id = ""
        self._prompted: list[tuple[Prompt, Track | None, Thing]] = []

    @property
    def verdicts(self) -> list[Verdict]:
        """On the last mask of each prompt."""
        return [t.verdict if t else Verdict.NOTHING for _, t, _ in self._prompted]

    def reset(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> Segments:
        """Things that go on from the last plan keep their memory; all others start anew."""
        self._tracker.show(frame.color)
        reader = MaskReader(frame, robot, self.options)
        old = [track for _, track, _ in self._prompted if track is not None]
        self._plan_id, self._prompted = plan.plan_id, []
        shown: list[tuple[Prompt, Thing]] = []
        for prompt in plan.prompts[:255]:
            found = self._continued(prompt, old, reader, frame)
            if found is None:
                track = self._started(prompt, reader, frame, robot)
                thing = then = track.thing if track else nothing_at(prompt, frame)
            else:
                track, then = found
                thing = track.thing
                old.remove(track)
            self._prompted.append((prompt, track, thing))
            shown.append((prompt, then))
        for track in old:
            self._tracker.forget(track.key)
        return segments_of(plan.plan_id, frame, shown)

    def track(self, frame: RgbdFrame, robot: RobotState) -> Segments:
        tracks = [track for _, track, _ in self._prompted if track is not None]
        if tracks:
            self._tracker.show(frame.color)
            reader = MaskReader(frame, robot, self.options)
            for track in tracks:
                thing = track.thing
                thing.held = not thing.lost and thing.between_fingers(track.robot)
                if thing.held:
                    thing.carry(track.robot.tool, robot.tool, frame)
            for track in tracks:
                self._follow(track, reader, frame)
                track.stamp, track.robot = frame.stamp, robot
        prompted = [(prompt, thing) for prompt, _, thing in self._prompted]
        return segments_of(self._plan_id, frame, prompted)

    def _follow(self, track: Track, reader: MaskReader, frame: RgbdFrame) -> None:
        thing, tracker = track.thing, self._tracker
        shown = thing.visibility(frame)
        guess = tracker.follow(track.key)
        reading = reader.read(guess.mask)
        verdict = self._judge(track, guess, reading, shown, frame)
        if verdict is not Verdict.FITS and shown.agrees > 0.6 and not thing.lost:
            # Depth shows that it is where it was: the model is pointed at it again.
            spot = spot_on(thing, frame)
            if spot is not None:
                again = tracker.point(track.key, *spot)
                read = reader.read(again.mask)
                if self._judge(track, again, read, shown, frame) is Verdict.FITS:
                    guess, reading, verdict = again, read, Verdict.FITS
        track.verdict = verdict
        seen = [reading.cluster] if verdict is Verdict.FITS and reading.cluster else []
        shown = thing.visibility(frame, seen)
        elapsed = max(frame.stamp - track.stamp, 0.0)
        sure = quality(guess, reading)
        update(thing, seen, shown, frame.stamp, elapsed, self.options, quality=sure, by_depth=False)
        if seen:
            tracker.remember(track.key)
            track.seen(guess, frame)

    def _judge(
        self, track: Track, guess: Guess, reading: Reading, shown: Visibility, frame: RgbdFrame
    ) -> Verdict:
        options = self.options
        verdict = judge(guess, reading, track.thing, track.look, shown, frame.stamp, options)
        if verdict is Verdict.FITS and reading.cluster is not None:
            cluster = reading.cluster
            # Between the fingers it is where the tool took it, whatever was seen there before.
            carried = track.thing.held and track.thing.contains(cluster.centroid, 0.01)
            if not carried and was_there(cluster, track.before, track.frame, options.unlike):
                return Verdict.ANOTHER
        return verdict

    def _started(
        self, prompt: Prompt, reader: MaskReader, frame: RgbdFrame, robot: RobotState
    ) -> Track | None:
        """The thing at the prompt; where the model finds none there, the nearest by depth."""
        key = next(self._keys)
        guess, reading = self._pointed(key, prompt.x, prompt.y, reader)
        if not self._accepts(prompt, guess, reading):
            clusters = find_clusters(frame, robot, self.options)
            index = hit(prompt, [cluster.mask for cluster in clusters], self.options)
            if index is None:
                return None
            guess, reading = self._pointed(key, *clusters[index].pixel, reader)
            if not self._accepts(prompt, guess, reading):
                return None
        if reading.cluster is None:
            return None
        self._tracker.remember(key)
        thing = Thing.of(reading.cluster, frame.stamp)
        thing.health = quality(guess, reading)
        track = Track(
            key, thing, guess.look, frame, thing, frame.stamp, robot, verdict=Verdict.FITS
        )
        track.seen(guess, frame)
        return track

    def _pointed(self, key: int, x: float, y: float, reader: MaskReader) -> tuple[Guess, Reading]:
        guess = self._tracker.point(key, x, y)
        return guess, reader.read(guess.mask)

    def _accepts(self, prompt: Prompt, guess: Guess, reading: Reading) -> bool:
        if judge_prompted(guess, reading, self.options) is not Verdict.FITS:
            return False
        return reading.cluster is not None and self._on(prompt, reading.cluster.mask)

    def _on(self, prompt: Prompt, mask: NDArray[np.bool_]) -> bool:
        return hit(prompt, [mask], self.options) is not None

    def _continued(
        self, prompt: Prompt, old: list[Track], reader: MaskReader, frame: RgbdFrame
    ) -> tuple[Track, Thing] | None:
        """A healthy thing of the last plan whose mask on `frame` has the prompt on it.

        Returns:
            The track, and the thing as it is on `frame`, which may be older than its last one.
        """
        for track in old:
            if track.thing.lost or track.thing.health < _HEALTHY:
                continue
            guess = self._tracker.follow(track.key)
            height, width = guess.mask.shape
            row, column = int(prompt.y * height), int(prompt.x * width)
            if not (0 <= row < height and 0 <= column < width and guess.mask[row, column]):
                continue
            then = track.at(frame.stamp)
            cluster = reader.read(guess.mask).cluster
            if cluster is None or not then.contains(cluster.centroid, self.options.reach):
                continue
            return track, replace(then, mask=cluster.mask, health=track.thing.health)
        return None
