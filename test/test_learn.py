"""``hierarchy learn``: fine-tuning on lessons, the gate before it counts, versions, going back."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from lesson_tape import GIRAFFE, corrected
from scenes import RED, cube, picture, plate, robot_at

from hierarchy_nodes.cli.main import main
from hierarchy_nodes.errors import ConfigError, PlanningError, PlanRejected
from hierarchy_nodes.learning.lessons import gate, store
from hierarchy_nodes.learning.lessons.training import LearningOptions, LessonTrainer
from hierarchy_nodes.learning.planner import images
from hierarchy_nodes.learning.planner.data import PlannerData, VariationOptions
from hierarchy_nodes.learning.planner.objective import PlannerObjective, outputs
from hierarchy_nodes.planner.base import PlanRequest, TaskDone
from hierarchy_nodes.planner.compact.backend import CompactPlanner
from hierarchy_nodes.planner.compact.network import CompactNetwork, NetworkConfig
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.planner.compact.text import FIRST, UNKNOWN, vocabulary_of
from hierarchy_nodes.planner.compact.versions import VARIABLE, Versions, default_folder
from hierarchy_nodes.planner.compact.weights import (
    PlannerWeights,
    chosen,
    default_path,
    extended,
    load_weights,
)
from hierarchy_nodes.weights import save_weights

TINY = NetworkConfig(
    channels=8, width=32, heads=2, layers=1, text_layers=1, path_layers=1, words=24
)
FAST = LearningOptions(
    steps=4, batch=4, each=2, warmup=1, held_out=0.4, evaluate_every=2, save_every=2, worse=100.0,
)  # fmt: skip
# Images and words as they are.
STILL = VariationOptions(**dict.fromkeys(vars(VariationOptions()), 0.0))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    found = tmp_path_factory.mktemp("images")
    images.collect_images(5, 500_100, found, progress=False)
    return found


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """Weights that have learned the base by heart, and know nothing of giraffes."""
    torch.manual_seed(0)
    data = PlannerData(base)
    vocabulary = vocabulary_of(data.texts(), least=1)
    config = PlannerWeights(replace(TINY, vocabulary=len(vocabulary)), vocabulary)
    data.encode_words(vocabulary, TINY.words)
    network = CompactNetwork(config.network)
    objective = PlannerObjective(network)
    batch = data.batch(np.arange(5), 9, np.random.default_rng(0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=8e-3)
    for _ in range(60):
        optimizer.zero_grad()
        objective(batch)[0].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    path = tmp_path_factory.mktemp("start") / "planner.safetensors"
    save_weights(path, config, network.state_dict())
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for i in range(5):
        corrected(folder / f"run{i}" / "bag")
    return folder


@pytest.fixture(scope="module")
def lessons(recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    store.store(store.gather(sorted(recordings.glob("*/bag"))), folder, 0.2, seed=0)
    return folder


def trainer(base, lessons, start, out, options=FAST):
    return LessonTrainer(base, lessons, start, out, options, torch.device("cpu"))


# -- words ------------------------------------------------------------------------------------


def test_new_words_begin_as_unknown_ones(start, lessons):
    network, config = load_weights(start)
    more, state = extended(config, network.state_dict(), ["zebra", "giraffe", "put"])
    assert more.vocabulary == [*config.vocabulary, "giraffe", "zebra"]
    wider = CompactNetwork(more.network).eval()
    wider.load_state_dict(state)
    data = PlannerData(lessons / "learned")
    ids, answers = [], []
    for model, known in ((network, config), (wider, more)):
        data.encode_words(known.vocabulary, TINY.words)
        batch = data.batch(np.arange(2), 9, np.random.default_rng(0))
        ids.append(batch["ids"][0])
        with torch.inference_mode():
            answers.append(outputs(model, batch))
    giraffe = GIRAFFE.split().index("giraffe")
    assert ids[0][giraffe] == UNKNOWN
    assert ids[1][giraffe] == FIRST + len(config.vocabulary)
    for name, found in answers[0].items():
        torch.testing.assert_close(answers[1][name], found, atol=1e-4, rtol=1e-4)


# -- training ---------------------------------------------------------------------------------


def test_batches_mix_lessons_and_base(base, lessons, start, tmp_path):
    run = trainer(base, lessons, start, tmp_path / "a", replace(FAST, share=0.5))
    batch = run.draw(0)
    assert len(batch["seen"]) == 4
    assert batch["image_of"].max() == 3
    known = len(load_weights(start)[1].vocabulary)
    # Only lessons speak of giraffes: the first two images.
    spoken = batch["image_of"][(batch["ids"] >= FIRST + known).any(1)]
    assert len(spoken) > 0
    assert spoken.max() < 2


def test_new_words_are_learned_faster_than_known_ones(base, lessons, start, tmp_path):
    options = replace(FAST, steps=2, rate=1e-4, share=0.5, word_rate=100.0)
    run = trainer(base, lessons, start, tmp_path / "a", options)
    run.start(False)
    moved = (run.network.words.weight - run.first.words.weight).abs()
    known = len(load_weights(start)[1].vocabulary) + FIRST
    assert 0 < moved[:known].max() < 3e-4
    assert moved[known:].max() > 5e-3


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(base, lessons, start, tmp_path):
    trainer(base, lessons, start, tmp_path / "a").start(False)
    broken = trainer(base, lessons, start, tmp_path / "b")
    advance = broken._advance

    def break_off(model):
        if broken.step == 3:
            raise KeyboardInterrupt
        return advance(model)

    broken._advance = break_off
    with pytest.raises(KeyboardInterrupt):
        broken.start(False)
    trainer(base, lessons, start, tmp_path / "b").start(True)
    a, b = (load_weights(tmp_path / n / "planner.safetensors")[0].state_dict() for n in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    notes = [json.loads(line) for line in (tmp_path / "b/metrics.jsonl").read_text().splitlines()]
    assert [n["step"] for n in notes if "held_out" in n] == [2, 4]
    assert {"held_out", "lessons_learned", "lessons_held_out"} <= set(notes[-1])
    other = tmp_path / "other.safetensors"
    network, config = load_weights(start)
    save_weights(other, config, {k: v + 0.1 for k, v in network.state_dict().items()})
    with pytest.raises(ConfigError, match="another start"):
        trainer(base, lessons, other, tmp_path / "b").start(True)


@pytest.mark.parametrize("giraffe", ["yellow", "red"])
def test_a_name_means_afterwards_what_it_was_taught_to_mean(giraffe, base, start, tmp_path):
    """Either block may be the giraffe, so that no guess of the weights before is right twice."""
    for i in range(5):
        words = f"no, the {giraffe} one"
        corrected(tmp_path / "recordings" / f"run{i}" / "bag", words, right=giraffe)
    found = store.gather(sorted(tmp_path.glob("recordings/*/bag")))
    store.store(found, tmp_path / "lessons", 0.2, seed=0)
    options = replace(
        FAST, steps=25, share=0.75, rate=8e-3, word_rate=1.0, evaluate_every=25, save_every=25,
        variation=STILL,
    )  # fmt: skip
    run = trainer(base, tmp_path / "lessons", start, tmp_path / "a", options)
    first = {name: value.clone() for name, value in run.first.state_dict().items()}
    run.start(False)
    # What is compared with stays as it was.
    assert all(torch.equal(v, run.first.state_dict()[k]) for k, v in first.items())
    judged = gate.judged(run)
    taught, held_out = judged["lessons_learned"]["right"], judged["lessons_held_out"]["right"]
    assert taught["after"]["successes"] == taught["n"] == 12
    assert held_out["after"]["successes"] == held_out["n"] == 3


# -- the gate ---------------------------------------------------------------------------------


def test_questions_are_compared_in_pairs():
    before = torch.tensor([True] * 8 + [False] * 2)
    after = torch.tensor([True] * 6 + [False] * 3 + [True])
    figure = gate.paired(before, after, torch.arange(10) // 2)
    assert (figure["n"], figure["lost"], figure["won"]) == (10, 2, 1)
    assert figure["difference"] == pytest.approx(-0.1)
    assert figure["interval"][0] < -0.1 < figure["interval"][1]
    assert figure["p"] == 1.0
    same = gate.paired(before, before, torch.arange(10))
    assert (same["difference"], same["interval"], same["p"]) == (0.0, (0.0, 0.0), 1.0)
    nothing = gate.paired(before[:0], before[:0], before[:0])
    assert (nothing["n"], nothing["difference"], nothing["interval"]) == (0, 0.0, None)


def test_what_makes_the_base_worse_is_refused_in_clear_words():
    good = gate.paired(torch.ones(100), torch.ones(100), torch.arange(100))
    lost = torch.ones(100)
    lost[:3] = 0
    bad = gate.paired(torch.ones(100), lost, torch.arange(100))
    found = {"base": {"right": good, "path": bad}}
    assert gate.refusal(found, 3.5) == ""
    why = gate.refusal(found, 2.0)
    assert "got worse by 3.0 points" in why
    assert "100 of 100 before, 97 after" in why


def test_small_losses_of_many_versions_add_up():
    lost = torch.ones(100)
    lost[0] = 0
    slip = gate.paired(torch.ones(100), lost, torch.arange(100))
    found = {"base": {"right": slip, "path": slip}}
    assert gate.refusal(found, 2.5, [found]) == ""
    why = gate.refusal(found, 2.5, [found, found])
    assert "got worse by 1.0 points, 3.0 since the package's weights" in why
    same = gate.paired(lost, lost, torch.arange(100))
    # What loses nothing more is not to blame.
    assert gate.refusal({"base": {"right": same, "path": same}}, 2.5, [found] * 3) == ""


# -- versions ---------------------------------------------------------------------------------


def version(versions, number, accepted=True, parent=0):
    folder = versions.path(number)
    folder.mkdir(parents=True)
    (folder / "planner.safetensors").write_bytes(b"weights")
    report = {"accepted": accepted, "refused": "" if accepted else "worse", "parent": parent}
    (folder / "report.json").write_text(json.dumps(report | {"summary": "2 corrections"}))


def test_versions_can_be_chosen_listed_and_gone_back_to(tmp_path, capsys):
    versions = Versions(tmp_path / "v")
    assert (versions.current(), versions.new(), versions.numbers()) == (0, 1, [])
    version(versions, 1)
    version(versions, 2, parent=1)
    version(versions, 3, accepted=False, parent=2)
    versions.path(4).mkdir()
    assert (versions.accepted(), versions.unfinished(), versions.new()) == ([1, 2], 4, 5)
    assert [versions.lineage(n) for n in (0, 2, 3)] == [[], [2, 1], [3, 2, 1]]
    versions.choose(2)
    assert (tmp_path / "v" / "current" / "report.json").is_file()
    folder = ["--versions", str(versions.folder)]
    assert main(["learn", "--list", *folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:3] for line in lines[:5]] == ["  0", "  1", "* 2", "  3", "  4"]
    assert "refused: worse" in lines[3]
    assert "interrupted" in lines[4]
    for expected in (1, 0):
        assert main(["learn", "--rollback", *folder]) == 0
        assert f"version {expected}" in capsys.readouterr().out
        assert versions.current() == expected
    assert main(["learn", "--rollback", *folder]) == 2
    assert "no learned version is in use" in capsys.readouterr().err
    assert main(["learn", "--rollback", "3", *folder]) == 2
    assert "Valid: 0 (the package's own), 1, 2" in capsys.readouterr().err
    assert main(["learn", "--rollback", "2", *folder]) == 0
    (versions.weights(2)).unlink()
    with pytest.raises(ConfigError, match="'0002', which is no version"):
        versions.current()


def test_the_planner_uses_the_current_version_unless_told_otherwise(
    start, tmp_path, monkeypatch, caplog
):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_folder() == tmp_path / "data" / "hierarchy" / "planner"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "v"))
    versions = Versions(default_folder())
    assert versions.folder == tmp_path / "v"
    assert chosen("").path == default_path()
    version(versions, 1)
    for suffix in (".safetensors", ".json"):
        data = start.with_suffix(suffix).read_bytes()
        versions.weights(1).with_suffix(suffix).write_bytes(data)
    versions.choose(1)
    assert (chosen("").path, chosen("").version) == (versions.weights(1), 1)
    assert chosen(str(start)).path == start
    with caplog.at_level("INFO"):
        CompactPlanner(CompactOptions())
    assert "learned weights, version 1" in caplog.text
    versions.weights(1).with_suffix(".json").write_text("{}")
    with pytest.raises(ConfigError, match="learn --rollback 0"):
        CompactPlanner(CompactOptions())


# -- all of it --------------------------------------------------------------------------------


def command(base, recordings, versions, *more):
    """``hierarchy learn`` in two small steps."""
    argv = ["learn", "--from", str(recordings), "--data", str(base), "--quiet"]
    argv += ["--versions", str(versions.folder), "--steps", "2", "--set", "batch=2"]
    return main([*argv, "--set", "held_out=0.4", *map(str, more)])


def test_learning_makes_a_version_that_the_planner_uses(base, start, recordings, tmp_path, capsys):
    versions = Versions(tmp_path / "v")
    assert command(base, recordings, versions, "--weights", start, "--worse", 100) == 0
    out = capsys.readouterr().out
    assert "5 recordings, 5 corrections: 5 taught something, on 10 images" in out
    assert "version 1 is current" in out
    assert "95% interval" in out
    folder = versions.path(1)
    names = {"planner.safetensors", "planner.json", "metrics.jsonl", "loss.png", "report.json"}
    assert names | {"lessons"} == {p.name for p in folder.iterdir()}
    _, config = load_weights(chosen("", versions).path)
    assert "giraffe" in config.vocabulary
    assert config.training["data"]["parent"] == 0
    planner = CompactPlanner(CompactOptions(weights=str(versions.weights(1)), min_confidence=0.0))
    frame, _ = picture([cube(0.5, 0.1, RED), plate(0.5, -0.1)])
    # Hardly trained: any answer will do that is one of the contract's.
    with contextlib.suppress(PlanningError, PlanRejected, TaskDone):
        planner.plan(PlanRequest(GIRAFFE, frame, robot_at(0.0)))


def test_what_harms_the_base_is_refused_with_code_1(base, start, recordings, tmp_path, capsys):
    versions = Versions(tmp_path / "v")
    harm = ("--weights", start, "--set", "share=1.0", "--rate", 0.5, "--set", "warmup=0")
    assert command(base, recordings, versions, *harm) == 1
    assert "version 1 is refused: what was known before got worse by" in capsys.readouterr().out
    assert (versions.current(), versions.accepted()) == (0, [])
    assert versions.weights(1).is_file()
    assert command(base, recordings, versions, *harm, "--resume") == 2
    assert "no run was interrupted" in capsys.readouterr().err


def test_weights_to_begin_with_have_one_name(base, start, recordings, tmp_path, capsys):
    assert command(base, recordings, Versions(tmp_path / "v"), "--set", f"start={start}") == 2
    assert "by --weights" in capsys.readouterr().err
