"""What was known when: a recording as a sequence of moments, each with its camera image."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes import conversions
from hierarchy_nodes.recorder import reader
from hierarchy_nodes.types import Correction, LanguageMotion, Plan, Segments

T = TypeVar("T")
IMAGE = "camera/color/image_raw"


class Series(Generic[T]):
    """Values with their times, in rising order."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.values: list[T] = []

    def add(self, time: float, value: T) -> None:
        place = bisect.bisect_right(self.times, time)
        self.times.insert(place, time)
        self.values.insert(place, value)

    def at(self, time: float) -> T | None:
        """The newest value that is not later than `time`."""
        place = bisect.bisect_right(self.times, time)
        return self.values[place - 1] if place else None

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Status:
    """What a node said of itself."""

    node: str
    state: str
    phase: str
    level: int
    message: str


@dataclass
class Timeline:
    """Everything but the images, by the time at which it was published (masks: of their image).

    Attributes:
        chunks: (arrival time, image stamp) of every action chunk; stamps of none are 0.
        states: Stamps of the joint states.
        end: When the last of it was recorded.
    """

    recording: Path
    image_topic: str
    plans: Series[Plan] = field(default_factory=Series)
    segments: Series[Segments] = field(default_factory=Series)
    segment_delays: list[float] = field(default_factory=list)
    motions: Series[LanguageMotion] = field(default_factory=Series)
    corrections: Series[Correction] = field(default_factory=Series)
    statuses: dict[str, Series[Status]] = field(default_factory=dict)
    stops: Series[str] = field(default_factory=Series)
    chunks: list[tuple[float, float]] = field(default_factory=list)
    states: list[float] = field(default_factory=list)
    end: float = 0.0

    @property
    def began(self) -> float:
        """When the first plan with a path came; 0 where none did."""
        pairs = zip(self.plans.times, self.plans.values, strict=True)
        return next((time for time, plan in pairs if plan.path), 0.0)


@dataclass(frozen=True)
class Moment:
    """One camera image and what was known when it was taken."""

    stamp: float
    color: NDArray[np.uint8]
    plan: Plan | None
    segments: Segments | None
    motion: LanguageMotion | None
    corrections: tuple[Correction, ...]
    phase: str
    stopped: str


def read(recording: str | Path, namespace: str = "") -> Timeline:
    """Read all but the images of a recording.

    Raises:
        RecordingError: There is no recording, or it has no camera images.
    """
    prefix = f"/{namespace.strip('/')}" if namespace else ""
    topics = reader.topics_of(recording)
    image_topic = reader.find_topic(recording, f"{prefix}/{IMAGE}" if prefix else IMAGE)
    prefix = image_topic.removesuffix(IMAGE)
    line = Timeline(Path(recording), image_topic)
    handlers = {
        "plan": _plan,
        "segments": _segments,
        "language_motion": _motion,
        "correction": _correction,
        "status": _status,
        "stop_state": _stop,
        "action_chunk": _chunk,
        "joint_states": _state,
    }
    wanted = {prefix + name: handle for name, handle in handlers.items() if prefix + name in topics}
    decode = reader.Decoder()
    for record in reader.records(recording, wanted):
        line.end = record.log_time * 1e-9
        wanted[record.topic](line, line.end, decode(record))
    return line


def moments(line: Timeline) -> Iterator[Moment]:
    """The recorded images in order, each with what was known then."""
    decode = reader.Decoder()
    for record in reader.records(line.recording, [line.image_topic]):
        message = decode(record)
        stamp = conversions.time_from_msg(message.header.stamp)
        color = conversions.image_from_msg(message)
        yield moment(line, stamp, color[..., ::-1] if message.encoding == "bgr8" else color)


def moment(line: Timeline, stamp: float, color: NDArray[Any]) -> Moment:
    """What was known at `stamp`."""
    plan = line.plans.at(stamp)
    segments = line.segments.at(stamp)
    motion = line.motions.at(stamp)
    if motion is not None and motion.valid_until < stamp:
        motion = None
    if plan is None or not plan.path:
        segments = motion = None
    controller = line.statuses.get("controller")
    status = controller.at(stamp) if controller else None
    said = bisect.bisect_right(line.corrections.times, stamp)
    return Moment(
        stamp=stamp,
        color=color,
        plan=plan,
        segments=segments,
        motion=motion,
        corrections=tuple(line.corrections.values[:said]),
        phase=status.phase if status else "",
        stopped=line.stops.at(stamp) or "",
    )


def _plan(line: Timeline, time: float, message: Any) -> None:
    line.plans.add(time, conversions.plan_from_msg(message))


def _segments(line: Timeline, time: float, message: Any) -> None:
    segments = conversions.segments_from_msg(message)
    line.segments.add(segments.stamp, segments)
    line.segment_delays.append(time - segments.stamp)


def _motion(line: Timeline, time: float, message: Any) -> None:
    line.motions.add(time, conversions.motion_from_msg(message))


def _correction(line: Timeline, time: float, message: Any) -> None:
    line.corrections.add(time, conversions.correction_from_msg(message))


def _status(line: Timeline, time: float, message: Any) -> None:
    series = line.statuses.setdefault(message.node, Series())
    status = Status(message.node, message.state, message.phase, message.level, message.message)
    if not series.values or series.values[-1] != status:
        series.add(time, status)


def _stop(line: Timeline, time: float, message: Any) -> None:
    line.stops.add(time, (message.reason or "stop") if message.stopped else "")


def _chunk(line: Timeline, time: float, message: Any) -> None:
    line.chunks.append((time, conversions.time_from_msg(message.image_stamp)))


def _state(line: Timeline, time: float, message: Any) -> None:
    line.states.append(conversions.time_from_msg(message.header.stamp))
