"""Interrupted evaluations go on where they were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hierarchy_nodes.cli.main import main
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning import evaluation
from hierarchy_nodes.learning.evaluation import EpisodeResult, episodes, run_in_turn
from hierarchy_nodes.learning.journal import Journal

SPECS = episodes("basic", 5, 100, drop=("masks",), controller_options={"mode": "cold"})


def result(spec):
    return EpisodeResult(spec.index, spec.seed, spec.family, spec.axis, success=spec.index != 2)


def test_only_what_is_missing_is_done_again(tmp_path):
    path = tmp_path / "a" / "run.json.episodes"

    def interrupted(spec):
        if spec.index == 3:
            raise KeyboardInterrupt
        return result(spec)

    with pytest.raises(KeyboardInterrupt):
        run_in_turn(Journal(path, SPECS), interrupted, False)
    # The power went while a line was written.
    path.write_text(path.read_text() + '{"episode": {"ind')

    asked = []
    journal = Journal(path, SPECS, resume=True)
    results = run_in_turn(journal, lambda spec: asked.append(spec.index) or result(spec), False)
    assert asked == [3, 4]
    assert [replace(r, wall=0.0) for r in results] == [result(spec) for spec in SPECS]
    assert Journal(path, SPECS, resume=True).todo == []
    journal.close()
    assert not path.exists()


def test_another_run_is_not_taken_up(tmp_path):
    path = tmp_path / "episodes"
    run_in_turn(Journal(path, SPECS), result, False)
    for other in (
        episodes("basic", 5, 101, drop=("masks",), controller_options={"mode": "cold"}),
        episodes("basic", 5, 100, controller_options={"mode": "cold"}),
        episodes("basic", 5, 100, drop=("masks",)),
    ):
        with pytest.raises(ConfigError, match=r"episode 0 belongs to another run"):
            Journal(path, other, resume=True)
    # More of the same is the same run.
    more = episodes("basic", 7, 100, drop=("masks",), controller_options={"mode": "cold"})
    assert [spec.index for spec in Journal(path, more, resume=True).todo] == [5, 6]
    assert Journal(path, SPECS).todo == SPECS


def test_the_command_goes_on(tmp_path, capsys, monkeypatch):
    assert main(["evaluate", "--resume"]) == 2
    assert "--resume needs --json FILE" in capsys.readouterr().err
    done = []

    def runner(journal, *_):
        done.append([spec.index for spec in journal.todo])
        if len(done) == 1:
            journal.add(result(journal.todo[0]))
            raise KeyboardInterrupt
        return run_in_turn(journal, result, False)

    monkeypatch.setattr(evaluation, "run_in_process", runner)
    words = ["evaluate", "--suite", "basic", "--episodes", "4", "--seed", "100", "--quiet"]
    words += ["--json", str(tmp_path / "run.json")]
    assert main(words) == 130
    assert main([*words, "--resume"]) == 0
    assert done == [[0, 1, 2, 3], [1, 2, 3]]
    assert "3 of 4" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
