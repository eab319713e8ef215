"""Columns and files of a data set of demonstrations: LeRobotDataset v3, with our own beside.

`action` and `observation.state` are what other tools expect; `features.*` and `action.chunk` are
what the policy learns from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierarchy_nodes.controller.diffusion.features import (
    HORIZON,
    PATH_POINTS,
    PERIOD,
    POINTS,
)
from hierarchy_nodes.errors import ConfigError

VERSION = "v3.0"
FPS = 5
CAMERA = "observation.images.front"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
COLLECTION = "meta/collection.json"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DEPTH_PATH = "depth/chunk-000/episode-{episode:06d}.npz"
PARTS, DISCARDED = "parts", "parts/discarded.jsonl"
CHUNK_FILES = 1000
POSE = ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper")


@dataclass(frozen=True)
class Column:
    """One column: how it is stored, its shape in memory, and its type there."""

    stored: str
    shape: tuple[int, ...]
    memory: str

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def arrow(self) -> pa.DataType:
        kind = {"float16": pa.float16(), "string": pa.string(), "int64": pa.int64()}.get(
            self.stored
        )
        kind = kind or pa.from_numpy_dtype(np.dtype(self.stored))
        return kind if self.size == 1 else pa.list_(kind, self.size)


def _column(stored: str, *shape: int, memory: str = "") -> Column:
    return Column(stored, shape or (1,), memory or stored)


# Points need no more than half a millimetre; poses and chunks do.
FEATURES: dict[str, Column] = {
    "points": _column("float16", POINTS, 3, memory="float32"),
    "point_colors": _column("uint8", POINTS, 3),
    "point_roles": _column("uint8", POINTS),
    "tool": _column("float32", 7),
    "joints": _column("float32", 7),
    "gripper": _column("float32", 1),
    "things": _column("float32", 3, 9),
    "things_there": _column("uint8", 3, memory="float32"),
    "path": _column("float32", PATH_POINTS, 6),
    "path_pixels": _column("float32", PATH_POINTS, 2),
    "path_gripper": _column("uint8", PATH_POINTS),
    "path_there": _column("uint8", PATH_POINTS, memory="float32"),
    "path_passed": _column("uint8", PATH_POINTS, memory="float32"),
    "closest": _column("float32", 1),
    "camera": _column("float32", 11),
    "motion": _column("float32", 6),
    "motion_gripper": _column("uint8", 1),
    "motion_there": _column("uint8", 1, memory="float32"),
    "interaction": _column("uint8", 1),
}
# The cloud as it is without masks: half of the other one is drawn from them, which gives away
# where the target is even to who is not told the roles.
PLAIN: dict[str, Column] = {
    "plain_points": FEATURES["points"],
    "plain_colors": FEATURES["point_colors"],
}
COLUMNS: dict[str, Column] = {
    "observation.state": _column("float32", 8),
    "action": _column("float32", 8),
    "action.chunk": _column("float32", HORIZON, 8),
    "done": _column("float32", 1),
    "language_motion": _column("string", 1),
    **{f"features.{name}": column for name, column in (FEATURES | PLAIN).items()},
    "timestamp": _column("float32", 1),
    "frame_index": _column("int64", 1),
    "episode_index": _column("int64", 1),
    "index": _column("int64", 1),
    "task_index": _column("int64", 1),
}


def schema() -> pa.Schema:
    """Of the data files."""
    return pa.schema([pa.field(name, column.arrow) for name, column in COLUMNS.items()])


def info(video: bool, size: tuple[int, int], **counts: int) -> dict[str, Any]:
    """The contents of ``meta/info.json``; `size` is height and width of the images."""
    features: dict[str, Any] = {
        name: {"dtype": column.stored, "shape": [column.size], "names": None}
        for name, column in COLUMNS.items()
    }
    for name in ("observation.state", "action"):
        features[name]["names"] = list(POSE)
    if video:
        height, width = size
        features[CAMERA] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.fps": float(FPS),
                "video.height": height,
                "video.width": width,
                "video.channels": 3,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "has_audio": False,
            },
        }
    return {
        "codebase_version": VERSION,
        "robot_type": "seven_joint_arm",
        **counts,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": FPS,
        "splits": {"train": f"0:{counts.get('total_episodes', 0)}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if video else None,
        "features": features,
    }


def read_info(folder: Path) -> dict[str, Any]:
    """``meta/info.json`` of a data set; ConfigError where `folder` holds none that fits."""
    path = folder / INFO
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(
            f"{folder}: no data set of demonstrations ({path}: {error}); make one with "
            "'hierarchy collect'."
        ) from error
    lacking = [name for name in COLUMNS if name not in found.get("features", {})]
    if found.get("codebase_version") != VERSION or lacking:
        raise ConfigError(
            f"{folder}: version {found.get('codebase_version')}, expected {VERSION}; missing "
            f"columns: {', '.join(lacking) or 'none'}."
        )
    for name, column in COLUMNS.items():
        if found["features"][name]["shape"] != [column.size]:
            raise ConfigError(
                f"{folder}: column '{name}' has shape {found['features'][name]['shape']}, "
                f"expected [{column.size}]; it was collected by another version (chunks of "
                f"{HORIZON} poses {PERIOD} s apart are expected here)."
            )
    return found
