"""One episode on disk, as a worker leaves it: whole, or not there at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hierarchy_nodes.files import whole
from hierarchy_nodes.learning.demonstrator import Record
from hierarchy_nodes.learning.layout import COLUMNS, FEATURES, FPS, PLAIN, Column


@dataclass(frozen=True)
class Part:
    """The files of one episode, and what is known about it."""

    number: int
    data: Path
    video: Path
    depth: Path
    about: dict[str, Any]


def write_part(
    folder: Path, number: int, records: Sequence[Record], about: dict[str, Any], video: bool
) -> int:
    """Write an episode; returns its size in bytes.

    Args:
        folder: Of the parts.
        number: Counts the episodes that were asked for, not only the kept ones.
        records: At least one.
        about: Plain values: task, seed and so on.
        video: Write the images too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{number:07d}"
    if video:
        frames = [r.frame for r in records if r.frame is not None]
        _write_video(stem.with_suffix(".mp4"), [f.color for f in frames])
        depth = np.stack([np.round(f.depth * 1000).astype(np.uint16) for f in frames])
        with whole(stem.with_suffix(".npz")) as draft, draft.open("wb") as file:
            np.savez_compressed(file, depth=depth)
    table = _table(records).replace_schema_metadata({"about": json.dumps(about)})
    # The data file comes last and makes the part valid.
    data = stem.with_suffix(".parquet")
    with whole(data) as draft:
        pq.write_table(table, draft, compression="zstd")
    return data.stat().st_size


def read_parts(folder: Path) -> list[Part]:
    """All whole episodes, by number."""
    found = []
    for data in sorted(folder.glob("*.parquet")):
        metadata = pq.read_schema(data).metadata or {}
        about = json.loads(metadata.get(b"about", b"{}"))
        number = int(data.stem)
        found.append(Part(number, data, data.with_suffix(".mp4"), data.with_suffix(".npz"), about))
    return found


def _table(records: Sequence[Record]) -> pa.Table:
    count = len(records)
    columns: dict[str, pa.Array] = {}
    for name, column in (FEATURES | PLAIN).items():
        stacked = np.stack([r.features[name] for r in records])
        columns[f"features.{name}"] = _arrow(stacked, column)
    tool = np.stack([r.features["tool"] for r in records])
    grip = np.stack([r.features["gripper"] for r in records])
    chunks = np.stack([r.chunk for r in records])
    zero = np.zeros(count, dtype=np.int64)
    values: dict[str, NDArray] = {
        "observation.state": np.concatenate([tool, grip], axis=1),
        "action": chunks[:, 0],
        "action.chunk": chunks,
        "done": np.array([r.done for r in records], dtype=np.float32),
        "timestamp": np.arange(count, dtype=np.float32) / FPS,
        "frame_index": np.arange(count, dtype=np.int64),
        "episode_index": zero,
        "index": zero,
        "task_index": zero,
    }
    for name, array in values.items():
        columns[name] = _arrow(array, COLUMNS[name])
    columns["language_motion"] = pa.array([r.motion for r in records], pa.string())
    return pa.table({name: columns[name] for name in COLUMNS})


def _arrow(array: NDArray, column: Column) -> pa.Array:
    flat = np.ascontiguousarray(array).reshape(-1).astype(column.stored)
    values = pa.array(flat)
    return values if column.size == 1 else pa.FixedSizeListArray.from_arrays(values, column.size)


def _write_video(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    """H.264 without reordered pictures, so that files can be joined as they are."""
    with whole(path) as draft, av.open(str(draft), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "bf": "0", "g": "2", "threads": "1"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def join_videos(parts: Sequence[Path], path: Path) -> list[tuple[float, float]]:
    """One file of several, without encoding anew; where each begins and ends, seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spans = []
    begin = 0.0
    with whole(path) as draft, av.open(str(draft), "w", format="mp4") as out:
        stream = None
        for part in parts:
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(video)
                base = video.time_base
                offset = round(begin / base)
                count = 0
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    out.mux(packet)
                    count += 1
            spans.append((begin, begin + count / FPS))
            begin += count / FPS
    return spans
