"""Data sets: what is written comes back, files grow by new files, and bad ones are named."""

from __future__ import annotations

import json

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from hardware.cell.eye import intrinsics
from hierarchy_nodes.controller.diffusion.features import HORIZON, Features
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.geometry import IDENTITY
from hierarchy_nodes.learning import layout
from hierarchy_nodes.learning.assembly import assemble
from hierarchy_nodes.learning.dataset import load_arrays
from hierarchy_nodes.learning.demonstrator import Record
from hierarchy_nodes.learning.parts import read_parts, write_part
from hierarchy_nodes.types import RgbdFrame

SIZE = (48, 64)


def records(count, seed, video=False):
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        features = {
            name: rng.integers(0, 2, column.shape).astype(column.memory)
            if column.stored == "uint8"
            else rng.uniform(-1, 1, column.shape).astype(column.memory)
            for name, column in (layout.FEATURES | layout.PLAIN).items()
        }
        frame = None
        if video:
            color = np.full((*SIZE, 3), 40 + 10 * k + 60 * (seed % 3), np.uint8)
            depth = np.full(SIZE, 0.5 + 0.001 * k, np.float32)
            frame = RgbdFrame(0.0, "c", color, depth, intrinsics(SIZE[1], SIZE[0]), IDENTITY)
        chunk = rng.uniform(-1, 1, (HORIZON, 8)).astype(np.float32)
        found.append(Record(features, "", chunk, k == count - 1, "move arm up", frame))
    return found


def write(folder, number, count, text, video=False):
    made = records(count, number, video)
    write_part(folder / layout.PARTS, number, made, {"text": text, "seed": number}, video)
    return made


def test_every_field_of_the_features_has_a_column():
    from dataclasses import fields

    assert set(layout.FEATURES) == {f.name for f in fields(Features)} - {"text"}


def test_what_is_written_comes_back(tmp_path):
    first = write(tmp_path, 0, 5, "press it")
    second = write(tmp_path, 1, 3, "push it")
    info = assemble(tmp_path, False, SIZE)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, 8, 2)
    arrays = load_arrays(tmp_path)
    both = first + second
    for name, column in (layout.FEATURES | layout.PLAIN).items():
        wanted = np.stack([r.features[name] for r in both])
        assert arrays[name].shape == (8, *column.shape)
        assert arrays[name].dtype == wanted.dtype
        assert np.abs(arrays[name].astype(float) - wanted).max() < 5e-4
    for name in ("tool", "camera", "things"):
        assert np.array_equal(arrays[name], np.stack([r.features[name] for r in both]))
    assert np.array_equal(arrays["action.chunk"], np.stack([r.chunk for r in both]))
    assert arrays["episode_index"].tolist() == [0] * 5 + [1] * 3
    assert arrays["done"].tolist() == [0, 0, 0, 0, 1, 0, 0, 1]
    assert arrays["text"] == ["press it", "push it"]
    assert arrays["text_index"].tolist() == [0] * 5 + [1] * 3
    assert read_parts(tmp_path / layout.PARTS) == []


def test_a_second_run_adds_to_the_first(tmp_path):
    write(tmp_path, 0, 4, "a")
    assemble(tmp_path, False, SIZE)
    write(tmp_path, 1, 2, "b")
    write(tmp_path, 2, 2, "a")
    info = assemble(tmp_path, False, SIZE)
    assert (info["total_episodes"], info["total_frames"]) == (3, 8)
    arrays = load_arrays(tmp_path)
    assert arrays["text"] == ["a", "b"]
    assert arrays["text_index"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    rows = pq.read_table(tmp_path / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    spans = [(r["dataset_from_index"], r["dataset_to_index"]) for r in rows]
    assert spans == [(0, 4), (4, 6), (6, 8)]
    assert [r["data/file_index"] for r in rows] == [0, 1, 1]
    stats = json.loads((tmp_path / layout.STATS).read_text())
    action = np.concatenate([c[:1] for c in arrays["action.chunk"]])
    assert np.allclose(stats["action"]["mean"], action.mean(axis=0), atol=1e-5)
    assert np.allclose(stats["action"]["std"], action.std(axis=0), atol=1e-5)
    assert stats["action"]["count"] == [8]


def test_videos_of_episodes_are_joined_without_a_gap(tmp_path):
    write(tmp_path, 0, 4, "a", video=True)
    write(tmp_path, 1, 3, "a", video=True)
    assemble(tmp_path, True, SIZE)
    path = tmp_path / "videos/observation.images.front/chunk-000/file-000.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        times = [round(float(f.pts * stream.time_base), 3) for f in frames]
    assert times == [round(k / layout.FPS, 3) for k in range(7)]
    shades = [float(f.to_ndarray(format="rgb24").mean()) for f in frames]
    assert shades == pytest.approx([40, 50, 60, 70, 100, 110, 120], abs=4)
    rows = pq.read_table(tmp_path / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    begins = [r["videos/observation.images.front/from_timestamp"] for r in rows]
    assert begins == pytest.approx([0.0, 0.8])
    depth = np.load(tmp_path / "depth/chunk-000/episode-000001.npz")["depth"]
    assert (depth.shape, depth.dtype) == ((3, *SIZE), np.uint16)
    assert depth[2, 0, 0] == 502


def test_half_written_parts_do_not_count(tmp_path):
    write(tmp_path, 0, 2, "a")
    (tmp_path / layout.PARTS / "0000001.part").write_bytes(b"half")
    assert [part.number for part in read_parts(tmp_path / layout.PARTS)] == [0]


def test_what_is_no_data_set_is_named(tmp_path):
    with pytest.raises(ConfigError, match="hierarchy collect"):
        load_arrays(tmp_path)
    write(tmp_path, 0, 2, "a")
    assemble(tmp_path, False, SIZE)
    path = tmp_path / layout.INFO
    info = json.loads(path.read_text())
    info["total_frames"] = 5
    path.write_text(json.dumps(info))
    with pytest.raises(ConfigError, match="2 records in the data files, 5"):
        load_arrays(tmp_path)
    info["features"]["action.chunk"]["shape"] = [64]
    path.write_text(json.dumps(info))
    with pytest.raises(ConfigError, match=r"action\.chunk"):
        load_arrays(tmp_path)
