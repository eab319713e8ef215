"""What people corrected, out of recordings: what was happening, what it changed, how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.recorder.reader import Decoder, records, topics_of
from hierarchy_nodes.types import Array, CorrectionKind

# So much of what was before and after is looked at, seconds.
BEFORE, AFTER = 6.0, 6.0
# People speak so long after they have seen that something goes wrong, seconds.
REACTION = 0.5
# A tool that moved less has not gone wrong, metres.
_LEAST_WAY = 0.01
_TOPICS = ("correction", "plan", "end_effector_pose", "status", "stop_state")
_COLOR = "camera/color/image_raw"


@dataclass(frozen=True)
class Entry:
    """One correction, and what was around it.

    Attributes:
        recording: In which it is.
        number: From 1, in the order of speaking.
        said: When the words were spoken, seconds since the epoch.
        onset: When, to all appearance, it began to go wrong; before `said`.
        text: The words.
        kind: Of the correction.
        accepted: Whether it was acted on.
        answer: What the person was told.
        direction: ``(3,)`` unit vector of a motion, base frame, or zeros; `distance` in metres.
        speed: Factor on the speed.
        role, phrase: Of another target or goal; of another task.
        instruction, subtask: What the arm was doing.
        plan_id: Of the plan in force.
        changed: What came of it, for a person to read.
        outcome: ``done``, ``failed``, or empty where the recording ends before.
        reason: The planner's words about that.
    """

    recording: Path
    number: int
    correction_id: str
    said: float
    onset: float
    text: str
    kind: str
    accepted: bool
    answer: str
    direction: tuple[float, float, float]
    distance: float
    speed: float
    role: str
    phrase: str
    instruction: str
    subtask: str
    plan_id: str
    changed: str
    outcome: str
    reason: str


@dataclass
class _Seen:
    """What a recording tells, in the order of time: ``(seconds, ...)`` each."""

    corrections: list[Any] = field(default_factory=list)
    plans: list[tuple[float, Any]] = field(default_factory=list)
    tool: list[tuple[float, float, float, float]] = field(default_factory=list)
    ends: list[tuple[float, str, str]] = field(default_factory=list)
    stops: list[tuple[float, bool]] = field(default_factory=list)


def read(recording: Path) -> list[Entry]:
    """All corrections of a recording, in the order in which they were published.

    Raises:
        RecordingError: There is no recording.
    """
    seen = _look(recording)
    poses = np.array(seen.tool).reshape(-1, 4)
    return [
        _entry(recording, index + 1, published, message, seen, poses)
        for index, (published, message) in enumerate(seen.corrections)
    ]


def frames(recording: Path, times: list[float]) -> list[NDArray[np.uint8] | None]:
    """``(H, W, 3)`` uint8 RGB, the camera's image nearest to each time; None without images."""
    names = topics_of(recording)
    topic = next((n for n in names if n.endswith(f"/{_COLOR}")), None)
    if topic is None:
        return [None] * len(times)
    best: list[tuple[float, Any]] = [(np.inf, None)] * len(times)
    for record in records(recording, [topic]):
        at = record.publish_time / 1e9
        for index, time in enumerate(times):
            if abs(at - time) < best[index][0]:
                best[index] = (abs(at - time), record)
    decode = Decoder()
    return [None if record is None else _pixels(decode(record)) for _, record in best]


def onset(
    kind: str, said: float, direction: Array, poses: Array, plan_since: float | None
) -> float:
    """When it began to go wrong.

    A wrong target or task is wrong since its plan came. A wrong place is wrong since the tool began
    to move away from where it was sent: since it was farthest along the way that was asked for.
    Where nothing of that is to be seen, a reaction time before the words.

    Args:
        said: When the words were spoken.
        direction: ``(3,)`` of a motion, or zeros.
        poses: ``(N, 4)`` time and position of the tool.
        plan_since: When the plan in force came.
    """
    first = said - BEFORE
    if kind in (CorrectionKind.RETARGET, CorrectionKind.TASK) and plan_since is not None:
        return max(first, plan_since)
    window = poses[(poses[:, 0] >= first) & (poses[:, 0] <= said)]
    if kind == CorrectionKind.MOTION and len(window) > 1 and np.any(direction):
        along = window[:, 1:] @ direction
        farthest = len(along) - 1 - int(np.argmax(along[::-1]))
        if along[farthest] - along[-1] > _LEAST_WAY:
            return float(window[farthest, 0])
    return said - REACTION


def _look(recording: Path) -> _Seen:
    seen, decode = _Seen(), Decoder()
    topics = topics_of(recording)
    wanted = [n for n in topics if n.rsplit("/", 1)[-1] in _TOPICS and "/_action/" not in n]
    for record in records(recording, wanted):
        at, message = record.publish_time / 1e9, decode(record)
        match record.topic.rsplit("/", 1)[-1]:
            case "correction":
                seen.corrections.append((at, message))
            case "plan":
                seen.plans.append((at, message))
            case "end_effector_pose":
                p = message.pose.position
                seen.tool.append((at, p.x, p.y, p.z))
            case "status":
                if message.node == "planner" and message.state in ("done", "failed"):
                    seen.ends.append((at, message.state, message.message))
            case "stop_state":
                seen.stops.append((at, message.stopped))
    return seen


def _entry(
    recording: Path, number: int, published: float, c: Any, seen: _Seen, poses: Array
) -> Entry:
    said = c.header.stamp.sec + c.header.stamp.nanosec / 1e9
    said = said if 0 < published - said < 60.0 else published
    plans = [(at, plan) for at, plan in seen.plans if at <= published]
    at, plan = plans[-1] if plans else (None, None)
    # "Replanning" and the like have no path.
    real = next(((t, p) for t, p in reversed(plans) if len(p.path)), (at, plan))
    d = c.motion.direction
    direction = np.array([d.x, d.y, d.z])
    end = next(((state, why) for t, state, why in seen.ends if t > published), ("", ""))
    return Entry(
        recording=recording,
        number=number,
        correction_id=c.correction_id,
        said=said,
        onset=onset(c.kind, said, direction, poses, real[0]),
        text=c.text,
        kind=c.kind,
        accepted=c.accepted,
        answer=c.answer,
        direction=(d.x, d.y, d.z),
        distance=float(c.motion.distance),
        speed=float(c.speed_factor),
        role=c.role,
        phrase=c.phrase,
        instruction=real[1].instruction if real[1] is not None else "",
        subtask=real[1].subtask if real[1] is not None else "",
        plan_id=real[1].plan_id if real[1] is not None else "",
        changed=_changed(c, published, direction, seen, poses),
        outcome=end[0],
        reason=end[1],
    )


def _changed(c: Any, at: float, direction: Array, seen: _Seen, poses: Array) -> str:
    if not c.accepted:
        return "nothing"
    if c.kind == CorrectionKind.STOP:
        stopped = next((t for t, s in seen.stops if t >= at - 0.5 and s), None)
        return (
            "nothing" if stopped is None else f"stopped after {max(0, stopped - at) * 1e3:.0f} ms"
        )
    if c.kind == CorrectionKind.MOTION and np.any(direction):
        window = poses[(poses[:, 0] >= at) & (poses[:, 0] <= at + AFTER)]
        if len(window) < 2:
            return "nothing is known"
        along = (window[:, 1:] - window[0, 1:]) @ direction
        return f"moved {along.max() * 100:.1f} of {c.motion.distance * 100:.1f} cm"
    if c.kind in (CorrectionKind.RETARGET, CorrectionKind.TASK):
        new = next((p for t, p in seen.plans if t > at and len(p.path)), None)
        return "no new plan came" if new is None else f'new plan: "{new.subtask}"'
    if c.kind == CorrectionKind.UNDO:
        return f"took back {c.undoes}"
    if c.kind == CorrectionKind.SPEED:
        return f"speed times {c.speed_factor:.2g}"
    return str(c.kind)


def _pixels(message: Any) -> NDArray[np.uint8]:
    pixels = np.frombuffer(bytes(message.data), np.uint8)
    rows = pixels.reshape(message.height, message.step)[:, : message.width * 3]
    image = rows.reshape(message.height, message.width, 3)
    return image[..., ::-1] if message.encoding.startswith("bgr") else image


def all_of(recordings: list[Path]) -> Iterator[Entry]:
    """The entries of several recordings, one after the other."""
    for recording in recordings:
        yield from read(recording)
