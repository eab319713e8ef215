"""What a recording holds that lessons are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy_nodes import conversions
from hierarchy_nodes.correction import ledger
from hierarchy_nodes.correction.ledger import Entry
from hierarchy_nodes.recorder.reader import Decoder, RecordingError, records, topics_of
from hierarchy_nodes.types import (
    Array,
    CameraIntrinsics,
    Correction,
    Plan,
    Pose,
    RgbdFrame,
    RobotState,
    Segments,
)

_CAMERA = "camera/color/"
_TOPICS = (
    "plan",
    "segments",
    "correction",
    "status",
    "end_effector_pose",
    "joint_states",
    _CAMERA + "camera_info",
)
_COLOR = _CAMERA + "image_raw"
_DEPTH = "camera/aligned_depth_to_color/image_raw"
# An image this near to a wanted stamp is the one that is meant, seconds; it is published so much
# later at most.
_SAME, _LATE = 0.05, 2.0
# The gripper is open from this opening on.
_OPEN = 0.9


# Motions hold arrays, which have no equality.
@dataclass(frozen=True, eq=False)
class Said:
    """A correction: when it was published, what it means, and what the ledger tells of it."""

    at: float
    correction: Correction
    entry: Entry


@dataclass(frozen=True)
class End:
    """The planner's word that a task has ended; its last instruction, if it was recorded."""

    at: float
    done: bool
    reason: str
    instruction: str = ""


@dataclass
class Tape:
    """A recording without its images, in the order of time; times are those of publication.

    Attributes:
        recording: Which.
        said: All corrections.
        plans: With the time of each; what only ends a plan is left out.
        segments: Masks on the first image of each plan, by its identity.
        ends: Of tasks.
        camera: Of the images, `info` as recorded; None where the recording does not tell.
    """

    recording: Path
    said: list[Said] = field(default_factory=list)
    plans: list[tuple[float, Plan]] = field(default_factory=list)
    segments: dict[str, Segments] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    camera: CameraIntrinsics | None = None
    info: Any = None
    _ended: str = ""
    _tool: list[tuple[float, Pose]] = field(default_factory=list)
    _joints: list[tuple[float, Array]] = field(default_factory=list)

    def robot(self, at: float) -> RobotState | None:
        """The arm at that time, as if at rest; None where nothing is known of it."""
        if not self._tool or not self._joints:
            return None
        _, tool = min(self._tool, key=lambda known: abs(known[0] - at))
        _, joints = min(self._joints, key=lambda known: abs(known[0] - at))
        return RobotState(at, joints[:-1], np.zeros(len(joints) - 1), float(joints[-1]), tool)

    def way(self, first: float, last: float) -> Array:
        """``(n, 3)`` where the tool was between two times, base frame, metres."""
        found = [pose.position for at, pose in self._tool if first <= at <= last]
        return np.array(found).reshape(-1, 3)

    def closed(self, since: float) -> float:
        """When the gripper was first not open after `since`; infinity if it never was."""
        return self._when(since, closed=True)

    def opened(self, since: float) -> float:
        """When the gripper was first open after `since`; infinity if it never was."""
        return self._when(since, closed=False)

    def reached(self, point: Array, near: float, since: float) -> float:
        """When the tool first was within `near` metres of `point` ``(3,)``; else infinity."""
        times = (
            at
            for at, pose in self._tool
            if at >= since and np.linalg.norm(pose.position - point) < near
        )
        return next(times, np.inf)

    def _when(self, since: float, closed: bool) -> float:
        times = (at for at, q in self._joints if at >= since and bool(q[-1] < _OPEN) is closed)
        return next(times, np.inf)


def read(recording: Path) -> Tape:
    """Read all but the images.

    Raises:
        RecordingError: There is no recording.
    """
    tape, decode = Tape(recording), Decoder()
    handlers = {
        "plan": _plan,
        "segments": _segments,
        "status": _status,
        "end_effector_pose": _pose,
        "joint_states": _joints,
        _CAMERA + "camera_info": _info,
    }
    corrections: list[tuple[float, Correction]] = []
    kinds = {topic: _kind(topic) for topic in topics_of(recording)}
    for record in records(recording, [topic for topic, kind in kinds.items() if kind]):
        at, kind = record.publish_time / 1e9, kinds[record.topic]
        if kind == "correction":
            corrections.append((at, conversions.correction_from_msg(decode(record))))
        else:
            handlers[kind](tape, at, decode(record))
    # The ledger has them in the same order.
    pairs = zip(corrections, ledger.read(recording), strict=True)
    tape.said = [Said(at, correction, entry) for (at, correction), entry in pairs]
    return tape


def frames(tape: Tape, views: Mapping[float, Pose]) -> dict[float, RgbdFrame]:
    """Colour and depth as they were taken at some times; what was not recorded is missing.

    Args:
        tape: Which recording.
        views: The camera's pose at each capture time that is asked for.
    """
    color, depth = (_taken(tape.recording, name, views) for name in (_COLOR, _DEPTH))
    found = {}
    for stamp in color.keys() & depth.keys() if tape.info is not None else ():
        pose = conversions.pose_to_msg(views[stamp])
        frame = conversions.frame_from_msgs(color[stamp], depth[stamp], tape.info, pose)
        if frame.color.shape[:2] == frame.depth.shape:
            found[stamp] = frame
    return found


def _taken(recording: Path, name: str, stamps: Iterable[float]) -> dict[float, Any]:
    """The messages of a topic that were taken at these times."""
    topic = next((n for n in topics_of(recording) if n.endswith(f"/{name}")), None)
    away = dict.fromkeys(stamps, _SAME)
    if topic is None or not away:
        return {}
    decode = Decoder()
    found: dict[float, Any] = {}
    for record in records(recording, [topic]):
        at = record.publish_time / 1e9
        near = [stamp for stamp in away if -_SAME <= at - stamp <= _LATE]
        if not near:
            continue
        message = decode(record)
        taken = conversions.time_from_msg(message.header.stamp)
        for stamp in near:
            if abs(taken - stamp) < away[stamp]:
                away[stamp], found[stamp] = abs(taken - stamp), message
    return found


def recordings_in(folder: Path) -> list[Path]:
    """The recordings in a folder, however deep; itself if it is one.

    Raises:
        RecordingError: There are none.
    """
    if folder.is_file():
        return [folder]
    found = sorted({path.parent for path in folder.rglob("*.mcap")})
    if not found:
        raise RecordingError(f"{folder}: no recording (.mcap file) is there.")
    return found


def _kind(topic: str) -> str:
    """Which of `_TOPICS` it is, in whatever namespace; "" for another."""
    if "/_action/" in topic:
        return ""
    return next((name for name in _TOPICS if topic.endswith(f"/{name}")), "")


def _plan(tape: Tape, at: float, message: Any) -> None:
    if len(message.path):
        tape.plans.append((at, conversions.plan_from_msg(message)))
    tape._ended = "" if len(message.path) else message.instruction


def _segments(tape: Tape, at: float, message: Any) -> None:
    if message.plan_id not in tape.segments:
        tape.segments[message.plan_id] = conversions.segments_from_msg(message)


def _status(tape: Tape, at: float, message: Any) -> None:
    if message.node == "planner" and message.state in ("done", "failed"):
        tape.ends.append(End(at, message.state == "done", message.message, tape._ended))
        # The state is told again and again.
        tape._ended = ""


def _pose(tape: Tape, at: float, message: Any) -> None:
    tape._tool.append((at, conversions.pose_from_msg(message.pose)))


def _joints(tape: Tape, at: float, message: Any) -> None:
    if len(message.position):
        tape._joints.append((at, np.array(message.position, dtype=float)))


def _info(tape: Tape, at: float, message: Any) -> None:
    if tape.camera is None:
        tape.info, tape.camera = message, conversions.camera_info_from_msg(message)
