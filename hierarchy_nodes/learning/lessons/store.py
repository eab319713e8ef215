"""Lessons on disk: data as the planner's images are, and a report of what came of each correction.

``learned`` and ``held_out`` are data sets of their own; lessons of one step never stand in both.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole, write_json
from hierarchy_nodes.learning.lessons.lesson import Lesson, Verdict, lessons_of
from hierarchy_nodes.learning.planner.images import (
    META,
    SCHEMA,
    SHARD,
    SHARDS,
    Shard,
    look,
    path_of,
)
from hierarchy_nodes.planner.compact.inputs import state_of

LEARNED, HELD_OUT, REPORT = "learned", "held_out", "lessons.json"
# Of fewer steps than this all are learned from: there is none to spare.
_LEAST = 4


@dataclass(frozen=True)
class Lessons:
    """What recordings teach.

    Attributes:
        recordings: How many there are.
        lessons: All, in the order of the recordings.
        verdicts: One for each correction.
    """

    recordings: int
    lessons: tuple[Lesson, ...]
    verdicts: tuple[Verdict, ...]

    def left_out(self) -> dict[str, int]:
        """Why corrections gave no lesson, and how many."""
        return dict(Counter(v.why for v in self.verdicts if v.why).most_common())


def gather(
    recordings: Sequence[Path], progress: bool = False, known: Sequence[str] = ()
) -> Lessons:
    """The lessons of all recordings.

    Args:
        recordings: Which.
        progress: Show a bar.
        known: See `lessons_of`.

    Raises:
        RecordingError: One is none.
        ConfigError: There is not a single lesson; says why.
    """
    lessons: list[Lesson] = []
    verdicts: list[Verdict] = []
    for recording in tqdm(recordings, unit="recording", disable=not progress):
        found, told = lessons_of(recording, known)
        lessons += found
        verdicts += told
    gathered = Lessons(len(recordings), tuple(lessons), tuple(verdicts))
    if not lessons:
        why = ", ".join(f"{n} x {why}" for why, n in gathered.left_out().items())
        raise ConfigError(
            f"{len(verdicts)} corrections in {len(recordings)} recordings are no lesson"
            + (f" ({why})." if why else ".")
        )
    return gathered


def store(found: Lessons, folder: Path, held_out: float, seed: int) -> dict[str, Any]:
    """Write the lessons into two data sets below `folder`, and the report beside them.

    Args:
        found: At least one.
        folder: Is made.
        held_out: Share of the steps that is kept back.
        seed: Which of them.

    Returns:
        The report.
    """
    steps = sorted({(str(lesson.recording), lesson.step) for lesson in found.lessons})
    count = round(held_out * len(steps)) if len(steps) >= _LEAST else 0
    order = np.random.default_rng(seed).permutation(len(steps))
    kept = {steps[int(i)] for i in order[:count]}
    parts: dict[str, list[Lesson]] = {LEARNED: [], HELD_OUT: []}
    for lesson in found.lessons:
        back = (str(lesson.recording), lesson.step) in kept
        parts[HELD_OUT if back else LEARNED].append(lesson)
    for name, lessons in parts.items():
        if lessons:
            _write(lessons, folder / name)
    report = _report(found, parts)
    write_json(folder / REPORT, report)
    return report


def digest(folder: Path) -> str:
    """The same for the same data."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.parquet")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _write(lessons: Sequence[Lesson], folder: Path) -> None:
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, len(lessons), SHARD)):
        part = lessons[first : first + SHARD]
        rows = [_row(first + i, lesson) for i, lesson in enumerate(part)]
        with whole(path_of(folder, Shard(number, first, len(part)))) as draft:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), draft, compression="zstd")
    write_json(folder / META, {"seed": 0, "images": len(lessons)})


def _row(number: int, lesson: Lesson) -> dict[str, Any]:
    frame, robot = lesson.frame, lesson.robot
    name = f"{lesson.recording.name}-{lesson.step}-{number}"
    state = state_of(robot, frame.intrinsics, frame.camera_pose, lesson.holding)
    return {
        "seed": number,
        **look(frame, robot, lesson.things, name),
        "labels": list(lesson.labels),
        "state": state.tolist(),
        "tasks": [
            vars(wish)
            | {
                "interaction": str(wish.interaction),
                "corrections": [{"role": role, "phrase": said} for role, said in wish.corrections],
            }
            for wish in lesson.wishes
        ],
    }


def _report(found: Lessons, parts: dict[str, list[Lesson]]) -> dict[str, Any]:
    def line(verdict: Verdict) -> dict[str, Any]:
        e = verdict.entry
        about = {"recording": str(e.recording), "number": e.number, "text": e.text, "kind": e.kind}
        return about | ({"left_out": verdict.why} if verdict.why else {})

    return {
        "recordings": found.recordings,
        "corrections": len(found.verdicts),
        "used": sum(not v.why for v in found.verdicts),
        "left_out": found.left_out(),
        "images": {name: len(lessons) for name, lessons in parts.items()},
        "instructions": {
            name: sum(len(lesson.wishes) for lesson in lessons) for name, lessons in parts.items()
        },
        "each": [line(v) for v in found.verdicts],
    }
