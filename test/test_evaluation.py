"""Evaluation: which episodes, what is reported, and one that is really run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hierarchy_nodes.cli.main import main
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning import evaluation
from hierarchy_nodes.learning.evaluation import EpisodeResult, EpisodeSpec, episodes
from hierarchy_nodes.learning.statistics import grouped, latency, share


def test_seeds_are_paired_whatever_the_policy():
    specs = episodes("place", 5, 40)
    assert [s.seed for s in specs] == [40, 41, 42, 43, 44]
    assert {s.family for s in specs} == {"place"}


def test_basic_takes_all_families_and_axes_all_axes_in_equal_parts():
    basic = episodes("basic", 14, 0)
    assert sorted(s.family for s in basic) == sorted([*evaluation.FAMILIES] * 2)
    axes = episodes("axes", 49, 0)
    for axis in evaluation.AXES:
        assert sum(s.axis == axis for s in axes) == 7
        assert {s.family for s in axes if s.axis == axis} == set(evaluation.FAMILIES)
    some = episodes("axes", 14, 0, axes=("spatial", "multiple"))
    assert [s.axis for s in some] == ["spatial", "multiple"] * 7
    assert {s.family for s in some if s.axis == "multiple"} == set(evaluation.FAMILIES)
    with pytest.raises(UnknownNameError, match="spatial"):
        episodes("axes", 2, 0, axes=("spacial",))


@pytest.mark.parametrize(("seed", "count"), [(900_000, 1), (899_999, 2), (1_000_000, 5)])
def test_reserved_seeds_are_refused(seed, count):
    with pytest.raises(ConfigError, match=r"reserved range from 900000.*--final"):
        episodes("place", count, seed)
    assert len(episodes("place", count, seed, final=True)) == count


def test_the_last_free_seed_is_allowed():
    assert episodes("place", 1, 899_999)[0].seed == 899_999


def test_bad_arguments_are_named():
    with pytest.raises(UnknownNameError, match=r"stak.*Did you mean 'stack'"):
        episodes("stak", 1, 0)
    with pytest.raises(UnknownNameError, match="classical"):
        episodes("place", 1, 0, policy="magic")
    with pytest.raises(ConfigError, match="at least 1"):
        episodes("place", 0, 0)


def test_intervals_are_clopper_pearson():
    # Known values: 0 of 10 gives an upper bound of 1 - 0.025^(1/10); 8 of 10 from tables.
    assert share(0, 10)["interval"] == pytest.approx([0.0, 0.3085], abs=1e-4)
    assert share(8, 10)["interval"] == pytest.approx([0.4439, 0.9748], abs=1e-4)
    assert share(10, 10)["success_rate"] == 1.0


def test_groups_and_latencies():
    groups = grouped([("a", True), ("b", False), ("a", False)])
    assert (groups["a"]["successes"], groups["a"]["episodes"]) == (1, 2)
    assert groups["b"]["success_rate"] == 0
    assert latency([0.001 * i for i in range(1, 102)]) == {"n": 101, "p50": 51.0, "p99": 100.0}
    assert latency([]) == {"n": 0, "p50": None, "p99": None}


def result(i, success, **fields) -> EpisodeResult:
    return EpisodeResult(i, 100 + i, "place", "basic", "put it", success, **fields)


def test_summary_has_every_figure(tmp_path):
    results = [
        result(0, True, claimed=True, latencies={"controller": [0.002, 0.004]}),
        result(1, False, claimed=True, reason="block is 9 cm off", code="NONE"),
        result(2, False, reason="x", code="GRASP_FAILED", message="GRASP_FAILED: nothing"),
    ]
    summary = evaluation.summarise(results, suite="place", policy="classical", seed=100)
    path = tmp_path / "deep" / "f.json"
    write_json(path, summary)
    read = json.loads(path.read_text())
    assert read["suite"] == "place"
    assert read["episodes"] == 3
    assert read["success_rate"] == pytest.approx(1 / 3)
    low, high = read["interval"]
    assert low < 1 / 3 < high
    assert read["per_family"]["place"]["episodes"] == 3
    assert read["per_axis"]["basic"]["successes"] == 1
    assert read["latency_ms"]["controller"]["p50"] == pytest.approx(3.0)
    assert read["latency_ms"]["planner"]["n"] == 0
    assert [f["seed"] for f in read["failures"]] == [101, 102]
    assert read["failures"][1]["code"] == "GRASP_FAILED"
    assert read["claimed_but_failed"] == 1
    assert read["machine"]["cores"] >= 1


def test_a_crash_is_a_failure_with_its_place():
    def broken(spec):
        raise KeyError("cup")

    crashed = evaluation.guarded(broken, EpisodeSpec(3, "place", "basic", 7))
    assert (crashed.index, crashed.seed, crashed.success) == (3, 7, False)
    assert "KeyError: 'cup'" in crashed.reason
    assert "test_evaluation.py" in crashed.reason


def test_command_line_refuses_reserved_seeds(capsys):
    assert main(["evaluate", "--suite", "place", "--episodes", "1", "--seed", "900001"]) == 2
    assert "reserved" in capsys.readouterr().err


def test_one_episode_end_to_end(tmp_path, capsys):
    file = tmp_path / "place.json"
    arguments = ["--suite", "place", "--episodes", "1", "--seed", "2", "--workers", "1"]
    assert main(["evaluate", *arguments, "--quiet", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert figures["failures"] == []
    assert figures["success_rate"] == 1.0
    assert "1 of 1" in capsys.readouterr().out
    row = figures["results"][0]
    assert row["claimed"]
    assert 3 < row["duration"] < 60
    for part in ("planner", "segmenter", "controller"):
        assert figures["latency_ms"][part]["p50"] > 0
    assert figures["latency_ms"]["controller"]["n"] > 50


def test_the_same_seed_gives_the_same_episode():
    from hierarchy_nodes.learning.episode import run_episode

    spec = EpisodeSpec(0, "place", "basic", 4)
    first, second = run_episode(spec), run_episode(spec)
    assert first.instruction == second.instruction
    assert first.duration == second.duration
    assert first.reason == second.reason


@pytest.mark.timeout(300)
def test_one_episode_through_the_real_graph(tmp_path):
    file = tmp_path / "ros.json"
    arguments = ["--suite", "place", "--episodes", "1", "--seed", "2", "--through-ros", "--quiet"]
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "evaluate", *arguments]
    ended = subprocess.run([*command, "--json", str(file)], timeout=280, check=False)
    assert ended.returncode == 0
    figures = json.loads(file.read_text())
    assert figures["through_ros"] is True
    assert figures["success_rate"] == 1.0, figures["failures"]
    assert figures["latency_ms"]["camera_to_chunk"]["n"] > 20
