"""From single episodes to one LeRobotDataset: what is new is added in files of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hierarchy_nodes.files import whole, write_json
from hierarchy_nodes.learning import layout
from hierarchy_nodes.learning.dataset import column_array, read_texts
from hierarchy_nodes.learning.layout import CAMERA, COLUMNS
from hierarchy_nodes.learning.parts import Part, join_videos, read_parts

_FILE_BYTES = 100 * 2**20
_QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)


def assemble(folder: Path, video: bool, size: tuple[int, int]) -> dict[str, Any]:
    """Add the finished parts below `folder` to its data set; returns the new ``meta/info.json``."""
    parts = read_parts(folder / layout.PARTS)
    before = layout.read_info(folder) if (folder / layout.INFO).exists() else None
    episodes = before["total_episodes"] if before else 0
    frames = before["total_frames"] if before else 0
    texts = read_texts(folder) if before else []
    numbers = {text: i for i, text in enumerate(texts)}
    file_index = len(list((folder / "data").glob("*/*.parquet")))
    rows: list[dict[str, Any]] = []
    for group in _groups(parts):
        chunk, file = divmod(file_index, layout.CHUNK_FILES)
        place = {"chunk_index": chunk, "file_index": file}
        spans = None
        if video:
            target = folder / layout.VIDEO_PATH.format(video_key=CAMERA, **place)
            spans = join_videos([part.video for part in group], target)
        path = folder / layout.DATA_PATH.format(**place)
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            whole(path) as draft,
            pq.ParquetWriter(draft, layout.schema(), compression="zstd") as writer,
        ):
            for i, part in enumerate(group):
                text = part.about["text"]
                task = numbers.setdefault(text, len(numbers))
                table = _numbered(pq.read_table(part.data), episodes, frames, task)
                writer.write_table(table)
                row = _episode(table, part, episodes, frames, text, place)
                if spans is not None:
                    start, end = spans[i]
                    row |= {
                        f"videos/{CAMERA}/chunk_index": chunk,
                        f"videos/{CAMERA}/file_index": file,
                        f"videos/{CAMERA}/from_timestamp": start,
                        f"videos/{CAMERA}/to_timestamp": end,
                    }
                    depth = folder / layout.DEPTH_PATH.format(episode=episodes)
                    depth.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(part.depth, depth)
                rows.append(row)
                episodes, frames = episodes + 1, frames + table.num_rows
        file_index += 1
    if rows:
        _write_episodes(folder, rows)
    _write_tasks(folder, list(numbers))
    _write_stats(folder)
    info = layout.info(
        video, size, total_episodes=episodes, total_frames=frames, total_tasks=len(numbers)
    )
    # This makes the additions count; the parts are no longer needed after it.
    write_json(folder / layout.INFO, info)
    for part in parts:
        for file_path in (part.data, part.video, part.depth):
            file_path.unlink(missing_ok=True)
    return info


def _groups(parts: list[Part]) -> list[list[Part]]:
    """Files of about `_FILE_BYTES`."""
    groups: list[list[Part]] = []
    filled = 0
    for part in parts:
        if not groups or filled > _FILE_BYTES:
            groups.append([])
            filled = 0
        groups[-1].append(part)
        filled += part.data.stat().st_size
    return groups


def _numbered(table: pa.Table, episode: int, first: int, task: int) -> pa.Table:
    count = table.num_rows
    values = {
        "episode_index": np.full(count, episode),
        "index": first + np.arange(count),
        "task_index": np.full(count, task),
    }
    for name, array in values.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(array, pa.int64()))
    return table.cast(layout.schema())


def _episode(
    table: pa.Table, part: Part, episode: int, first: int, text: str, place: dict[str, int]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "episode_index": episode,
        "tasks": [text],
        "length": table.num_rows,
        "data/chunk_index": place["chunk_index"],
        "data/file_index": place["file_index"],
        "dataset_from_index": first,
        "dataset_to_index": first + table.num_rows,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
        "number": part.number,
        "about": json.dumps(part.about),
    }
    for name, found in _statistics(table).items():
        for key, value in found.items():
            row[f"stats/{name}/{key}"] = value.tolist()
    return row


def _statistics(table: pa.Table) -> dict[str, dict[str, NDArray]]:
    """Per numeric column: min, max, mean, std, quantiles ``(size,)`` and count ``(1,)``."""
    found = {}
    for name, column in COLUMNS.items():
        # Features have statistics of their own, made in training; here they would outgrow the data.
        if column.stored == "string" or name.startswith("features."):
            continue
        rows = column_array(table.column(name), column).reshape(table.num_rows, column.size)
        rows = rows.astype(np.float64)
        found[name] = {
            "min": rows.min(axis=0),
            "max": rows.max(axis=0),
            "mean": rows.mean(axis=0),
            "std": rows.std(axis=0),
            "count": np.array([table.num_rows]),
        }
        for share, values in zip(_QUANTILES, np.quantile(rows, _QUANTILES, axis=0), strict=True):
            found[name][f"q{round(share * 100):02d}"] = values
    return found


def _write_episodes(folder: Path, rows: list[dict[str, Any]]) -> None:
    """All episodes in one file, as readers that concatenate them expect."""
    path = folder / layout.EPISODES_PATH.format(chunk_index=0, file_index=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if path.exists():
        table = pa.concat_tables([pq.read_table(path), table], promote_options="default")
    with whole(path) as draft:
        pq.write_table(table, draft, compression="zstd")


def _write_tasks(folder: Path, texts: list[str]) -> None:
    """A table whose index, for those who read it with pandas, is the text."""
    path = folder / layout.TASKS
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "task_index": pa.array(range(len(texts)), pa.int64()),
            "task": pa.array(texts, pa.string()),
        }
    )
    columns = [
        ("task_index", "int64", "int64"),
        ("task", "unicode", "object"),
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            {
                "name": name,
                "field_name": name,
                "pandas_type": kind,
                "numpy_type": numpy,
                "metadata": None,
            }
            for name, kind, numpy in columns
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def _write_stats(folder: Path) -> None:
    """Of all episodes together, from those of each."""
    path = folder / layout.EPISODES_PATH.format(chunk_index=0, file_index=0)
    if not path.exists():
        return
    table = pq.read_table(path)
    stats: dict[str, dict[str, Any]] = {}
    for name, column in COLUMNS.items():
        if f"stats/{name}/mean" not in table.column_names:
            continue

        def rows(key: str, name: str = name) -> NDArray:
            return np.array(table.column(f"stats/{name}/{key}").to_pylist(), dtype=np.float64)

        count = rows("count")
        weight = count / count.sum()
        mean = (rows("mean") * weight).sum(axis=0)
        variance = (weight * (rows("std") ** 2 + (rows("mean") - mean) ** 2)).sum(axis=0)
        stats[name] = {
            "min": rows("min").min(axis=0).tolist(),
            "max": rows("max").max(axis=0).tolist(),
            "mean": mean.tolist(),
            "std": np.sqrt(variance).tolist(),
            "count": [int(count.sum())],
        }
        for share in _QUANTILES:
            key = f"q{round(share * 100):02d}"
            stats[name][key] = (rows(key) * weight).sum(axis=0).tolist()
        assert len(stats[name]["mean"]) == column.size
    write_json(folder / layout.STATS, stats)
