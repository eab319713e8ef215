"""Demonstrations on disk as arrays: every column at once, no loop over rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning import layout
from hierarchy_nodes.learning.layout import COLUMNS, FEATURES, PLAIN, Column


def load_arrays(folder: str | Path) -> dict[str, Any]:
    """All records of a data set, one after the other, M in number.

    Returns:
        Each array of `Features` by its name with a leading axis M; ``action.chunk``
        ``(M, HORIZON, 8)`` float32; ``done`` ``(M,)`` float32; ``episode_index`` and
        ``text_index`` ``(M,)`` int64; ``text``, the instructions that `text_index` counts;
        ``plain_points`` and ``plain_colors``, the cloud drawn without masks.

    Raises:
        ConfigError: No data set there, an incomplete one, or one of another version.
    """
    folder = Path(folder)
    info = layout.read_info(folder)
    files = sorted((folder / "data").glob("*/*.parquet"))
    names = [f"features.{n}" for n in FEATURES | PLAIN]
    names += ["action.chunk", "done", "episode_index", "task_index"]
    if not files:
        raise ConfigError(f"{folder}: no data files below {folder / 'data'}.")
    table = pa.concat_tables([pq.read_table(file, columns=names) for file in files])
    if table.num_rows != info["total_frames"]:
        raise ConfigError(
            f"{folder}: {table.num_rows} records in the data files, {info['total_frames']} "
            "announced in meta/info.json."
        )
    found: dict[str, Any] = {
        name: column_array(table.column(f"features.{name}"), column)
        for name, column in (FEATURES | PLAIN).items()
    }
    chunk, flat = COLUMNS["action.chunk"], Column("float32", (), "float32")
    found["action.chunk"] = column_array(table.column("action.chunk"), chunk)
    found["done"] = column_array(table.column("done"), flat)
    whole = Column("int64", (), "int64")
    found["episode_index"] = column_array(table.column("episode_index"), whole)
    found["text_index"] = column_array(table.column("task_index"), whole)
    found["text"] = read_texts(folder)
    return found


def column_array(values: pa.ChunkedArray, column: Column) -> NDArray:
    """A column as ``(rows, *shape)`` of the type that it has in memory."""
    flat = values.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks)
    if pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    array = flat.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(array.reshape(len(values), *column.shape), dtype=column.memory)


def read_texts(folder: Path) -> list[str]:
    """The instructions, in the order of their numbers."""
    table = pq.read_table(folder / layout.TASKS)
    pairs = zip(
        table.column("task_index").to_pylist(), table.column("task").to_pylist(), strict=True
    )
    return [text for _, text in sorted(pairs)]
