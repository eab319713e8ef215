"""Action-free images with instructions and their answers, as parquet files that others can read.

One row an image: ``image`` and ``things`` (which pixel shows which thing) as ``{bytes, path}``,
as Hugging Face's ``datasets`` keeps images; ``regions``, which pixel belongs to which thing as the
depth image has it, and the ``geometry`` of these; the arm's and camera's ``state``; ``tasks``, a
list of instructions with their answers (see ``answers.Wish``).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from hardware.cell.scene import NOVEL_COLORS
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole, write_json
from hierarchy_nodes.learning.evaluation import RESERVED_SEED
from hierarchy_nodes.learning.parallel import spread
from hierarchy_nodes.learning.planner.answers import Wish
from hierarchy_nodes.learning.planner.kinds import HELD_OUT_SHAPES
from hierarchy_nodes.learning.planner.settings import Drafter
from hierarchy_nodes.learning.planner.stage import Stage
from hierarchy_nodes.learning.planner.texture import HELD_OUT_PATTERNS
from hierarchy_nodes.learning.planner.wishes import Wisher
from hierarchy_nodes.planner.compact.inputs import STATE, state_of
from hierarchy_nodes.planner.compact.things import GEOMETRY, MOST, geometry_of
from hierarchy_nodes.segmenter.clusters import find_clusters
from hierarchy_nodes.types import RgbdFrame, RobotState

# Demonstrations have the seeds below, evaluation those below 100000.
FIRST_SEED, LAST_SEED = 500_000, RESERVED_SEED - 1
META, SHARDS = "planner_images.json", "data"
SHARD, TASKS, QUALITY = 100, 6, 92

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TASK = pa.struct(
    [
        ("text", pa.string()),
        ("corrections", pa.list_(pa.struct([("role", pa.string()), ("phrase", pa.string())]))),
        ("before", pa.list_(pa.int16(), 2)),
        ("status", pa.string()),
        ("interaction", pa.string()),
        ("family", pa.string()),
        ("how", pa.string()),
        ("targets", pa.list_(pa.int16())),
        ("goal", pa.int16()),
        ("avoid", pa.list_(pa.int16())),
        ("more", pa.bool_()),
        ("path", pa.list_(pa.list_(pa.float32(), 4))),
    ]
)
SCHEMA = pa.schema(
    [
        ("seed", pa.int64()),
        ("image", _IMAGE),
        ("things", _IMAGE),
        ("regions", _IMAGE),
        ("geometry", pa.list_(pa.list_(pa.float32(), GEOMETRY))),
        ("labels", pa.list_(pa.string())),
        ("state", pa.list_(pa.float32(), STATE)),
        ("tasks", pa.list_(_TASK)),
    ]
)


@dataclass(frozen=True)
class Shard:
    """One file: images with seeds from `first`, `count` of them."""

    number: int
    first: int
    count: int


def shards(images: int, seed: int) -> list[Shard]:
    """The files of a data set; image i has seed ``seed + i``.

    Raises:
        ConfigError: No images, or seeds that others need.
    """
    if images < 1:
        raise ConfigError(f"images must be at least 1, got {images}.")
    if seed < FIRST_SEED or seed + images - 1 > LAST_SEED:
        raise ConfigError(
            f"seeds {seed} to {seed + images - 1}: images for the planner use {FIRST_SEED} to "
            f"{LAST_SEED}; the others are for demonstrations and evaluation."
        )
    return [
        Shard(i, seed + first, min(SHARD, images - first))
        for i, first in enumerate(range(0, images, SHARD))
    ]


@lru_cache(maxsize=1)
def _stage() -> tuple[Stage, Drafter]:
    stage = Stage()
    return stage, Drafter(stage.kinematics)


def row(seed: int) -> dict[str, Any]:
    """One image with its instructions; the same seed gives the same."""
    stage, drafter = _stage()
    rng = np.random.default_rng([seed, 7])
    while True:
        setting = drafter.draw(rng)
        picture = stage.show(setting)
        assert picture is not None  # It was asked for.
        wishes = Wisher(stage, setting, picture, rng).draw(TASKS)
        if wishes:
            break
    frame, robot = picture.frame, picture.robot
    state = state_of(robot, frame.intrinsics, frame.camera_pose, bool(setting.held))
    return {
        "seed": seed,
        **look(frame, robot, picture.things, str(seed)),
        "labels": [f"{item.color} {item.kind}" for item in setting.items],
        "state": state.tolist(),
        "tasks": [_plain(wish) for wish in wishes],
    }


def look(
    frame: RgbdFrame, robot: RobotState, things: NDArray[np.uint8], name: str
) -> dict[str, Any]:
    """The columns of a row that tell what is seen.

    Args:
        frame: Of the camera. robot: At that time.
        things: ``(H, W)`` 0, or the number of a thing + 1.
        name: Of the image.
    """
    clusters = find_clusters(frame, robot)[:MOST]
    regions = np.zeros(things.shape, np.uint8)
    for number, cluster in reversed(list(enumerate(clusters, 1))):
        regions[cluster.mask] = number
    bgr = cv2.cvtColor(frame.color, cv2.COLOR_RGB2BGR)
    _, image = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    columns: dict[str, Any] = {"image": {"bytes": image.tobytes(), "path": f"{name}.jpg"}}
    for column, numbers in (("things", things), ("regions", regions)):
        _, png = cv2.imencode(".png", numbers)
        columns[column] = {"bytes": png.tobytes(), "path": f"{name}.{column}.png"}
    return columns | {"geometry": geometry_of(clusters).tolist()}


def _plain(wish: Wish) -> dict[str, Any]:
    return vars(wish) | {
        "interaction": str(wish.interaction),
        "corrections": [{"role": role, "phrase": phrase} for role, phrase in wish.corrections],
        "path": [list(point) for point in wish.path],
    }


def write_shard(shard: Shard, folder: Path) -> Shard:
    """Make one file."""
    rows = [row(shard.first + i) for i in range(shard.count)]
    with whole(path_of(folder, shard)) as draft:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), draft, compression="zstd")
    return shard


def path_of(folder: Path, shard: Shard) -> Path:
    """Where a shard is kept."""
    return folder / SHARDS / f"train-{shard.number:05d}.parquet"


def collect_images(
    images: int,
    seed: int,
    folder: Path,
    workers: int = 1,
    ray_address: str = "",
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Make images into `folder`; returns figures about what it holds.

    Raises:
        ConfigError: `folder` holds some already and `resume` is not set, or holds others.
    """
    todo = shards(images, seed)
    if (folder / META).exists():
        known = json.loads((folder / META).read_text(encoding="utf-8"))
        if not resume:
            raise ConfigError(f"{folder} holds images already; add --resume, or choose another.")
        if known["seed"] != seed:
            raise ConfigError(f"{folder} begins with seed {known['seed']}, not {seed}.")
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    write_json(folder / META, {"seed": seed})
    left = [s for s in todo if not _complete(path_of(folder, s), s)]
    begin = time.perf_counter()
    known = images - sum(s.count for s in left)
    with tqdm(total=images, initial=known, unit="image", disable=not progress) as bar:
        for done in spread(partial(write_shard, folder=folder), left, workers, ray_address):
            bar.update(done.count)
    wall = time.perf_counter() - begin
    figures = summary(folder) | {
        "seed": seed,
        "made_now": sum(s.count for s in left),
        "wall_s": round(wall, 1),
        "held_out": {
            "shapes": HELD_OUT_SHAPES,
            "colors": NOVEL_COLORS,
            "textures": HELD_OUT_PATTERNS,
            "sentences": "all but the first of each list in hardware.cell.phrases.TEMPLATES",
        },
    }
    write_json(folder / META, figures)
    return figures


def _complete(path: Path, shard: Shard) -> bool:
    return path.exists() and pq.read_metadata(path).num_rows == shard.count


def files_of(folder: Path) -> list[Path]:
    """The data files; ConfigError where there are none."""
    files = sorted((folder / SHARDS).glob("train-*.parquet"))
    if not files or not (folder / META).exists():
        raise ConfigError(
            f"{folder}: no images for the planner; make some with 'hierarchy collect --images N'."
        )
    return files


def summary(folder: Path) -> dict[str, Any]:
    """How many images and tasks, and of which sorts."""
    counts: dict[str, Counter[str]] = {n: Counter() for n in ("status", "family", "how")}
    images = size = 0
    for path in files_of(folder):
        table = pq.read_table(path, columns=["tasks"])
        images += table.num_rows
        size += path.stat().st_size
        for tasks in table.column("tasks").to_pylist():
            for task in tasks:
                for name, count in counts.items():
                    count[task[name]] += 1
    found: dict[str, Any] = {name: dict(count.most_common()) for name, count in counts.items()}
    return {"images": images, "tasks": sum(counts["status"].values()), "bytes": size} | found
