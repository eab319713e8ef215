"""A suspected "stop" that is heard again: when, on what, and what the network learns from."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.pieces import Pieces
from hierarchy_nodes.learning.stop.confirming import ConfirmOptions, ConfirmTrainer
from hierarchy_nodes.learning.stop.confirming import train as train_confirmer
from hierarchy_nodes.learning.stop.data import ClipOptions, Mixer, load
from hierarchy_nodes.learning.stop.detector import rates, suspicion
from hierarchy_nodes.learning.stop.training import CLIPS, StopOptions, train
from hierarchy_nodes.learning.stop.windows import Windows, divided, draw
from hierarchy_nodes.onnx_file import export
from hierarchy_nodes.speech.along import Along, AlongConfig
from hierarchy_nodes.speech.audio import RATE, Sound
from hierarchy_nodes.speech.hearing import COLUMNS
from hierarchy_nodes.speech.spotter import confirming
from hierarchy_nodes.speech.spotter.confirming import StopConfirmer
from hierarchy_nodes.speech.spotter.features import FRAME, HOP, WINDOW
from hierarchy_nodes.speech.spotter.network import SpotterConfig
from hierarchy_nodes.speech.spotter.options import SpotterOptions
from hierarchy_nodes.speech.spotter.spotter import EVERY, StopSpotter

# Processes talk to each other on this machine alone.
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
FEW = ClipOptions(stops=12, around=12, near=12, commands=12, talk=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a spotter was trained that has hardly learned anything."""
    out = tmp_path_factory.mktemp("stop")
    network = SpotterConfig(width=8, blocks=2)
    train(out, StopOptions(steps=2, batch=2, clips=FEW, evaluate_records=8, network=network))
    return out


@pytest.fixture(scope="module")
def weights(folder, tmp_path_factory):
    options = ConfirmOptions(
        steps=2, batch=4, windows=24, held_out=0.5, network=AlongConfig(width=16, blocks=1)
    )
    return train_confirmer(folder, tmp_path_factory.mktemp("confirm"), options)


class Ears:
    """In place of a confirmer: what it was asked, and what it answers."""

    threshold = 0.5

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, samples):
        self.asked.append(samples.copy())
        return self.answers.pop(0) if self.answers else 0.0


@pytest.fixture
def ears(monkeypatch):
    def put(*answers):
        found = Ears(*answers)
        monkeypatch.setattr(confirming, "confirmer", lambda path, words: found)
        return found

    return put


def spotter_of(folder, confirm_stop=True, **options):
    options = SpotterOptions(str(folder / "stop.onnx"), confirm_stop=confirm_stop, **options)
    return StopSpotter(options)


def sure_from(spotter, monkeypatch, first, last):
    """Let the spotter's own network be sure in these frames alone."""
    count = [0]

    def hear(frames):
        numbers = np.arange(count[0], count[0] + len(frames))
        count[0] += len(frames)
        return np.where((numbers >= first) & (numbers < last), 1.0, 0.0).astype(np.float32)

    monkeypatch.setattr(spotter, "_hear", hear)


def test_it_is_asked_only_what_is_suspected_and_not_too_often(folder, ears, monkeypatch):
    listener = ears()
    spotter = spotter_of(folder)
    sure_from(spotter, monkeypatch, 100, 110)
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 3 * RATE).astype(np.float32)
    assert spotter.push(Sound(0.0, samples)) == []
    # While it is suspected, and 0.3 s after that.
    assert len(listener.asked) == -(-(10 + 30 - 1) // EVERY)
    for number, window in enumerate(listener.asked):
        end = (100 + number * EVERY) * HOP + FRAME
        whole = np.pad(samples[:end], (WINDOW, 0))[-WINDOW:]
        np.testing.assert_array_equal(window, whole)


def test_what_is_confirmed_is_told_once_and_at_once(folder, ears, monkeypatch):
    listener = ears(0.1, 0.2, 0.9)
    spotter = spotter_of(folder)
    sure_from(spotter, monkeypatch, 100, 200)
    found = []
    for begin in range(0, 3 * RATE, 320):
        found += spotter.push(Sound(5 + begin / RATE, np.zeros(320, np.float32)))
    (told,) = found
    assert told.probability == 0.9
    assert told.at == pytest.approx(5 + ((100 + 2 * EVERY) * HOP + FRAME) / RATE)
    # 0.8 s later it may be another one: until 0.3 s after frame 200.
    assert len(listener.asked) == 9


def test_pieces_of_any_size_are_judged_alike(folder, ears, monkeypatch):
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, 2 * RATE).astype(np.float32)
    asked = []
    for size in (320, 1000, 2 * RATE):
        listener = ears()
        spotter = spotter_of(folder)
        sure_from(spotter, monkeypatch, 50, 120)
        for begin in range(0, len(samples), size):
            spotter.push(Sound(begin / RATE, samples[begin : begin + size]))
        asked.append(np.stack(listener.asked))
    np.testing.assert_array_equal(asked[0], asked[1])
    np.testing.assert_array_equal(asked[0], asked[2])


def test_without_it_the_spotter_decides_alone(folder, ears, monkeypatch):
    listener = ears()
    spotter = spotter_of(folder, confirm_stop=False)
    sure_from(spotter, monkeypatch, 100, 110)
    assert len(spotter.push(Sound(0.0, np.zeros(2 * RATE, np.float32)))) == 1
    assert listener.asked == []


def test_windows_end_where_it_is_asked(folder):
    mixer, spotter = Mixer(load(folder / CLIPS)), spotter_of(folder, confirm_stop=False)
    rng = np.random.default_rng(3)
    drawn = [draw(mixer, spotter.suspicions, rng) for _ in range(80)]
    assert {samples.shape for samples, _ in drawn} == {(WINDOW,)}
    assert 16 <= sum(stop for _, stop in drawn) <= 40
    again = draw(mixer, spotter.suspicions, np.random.default_rng(3))
    np.testing.assert_array_equal(again[0], drawn[0][0])


def test_most_windows_without_a_stop_are_suspected(folder):
    mixer, rng, suspected = Mixer(load(folder / CLIPS)), np.random.default_rng(4), []

    def suspicions(sound):
        # One of three, at its very end.
        if rng.random() < 2 / 3:
            return np.array([], np.int64)
        suspected.append(sound[-WINDOW:])
        return np.array([len(sound)])

    others = [
        samples for samples, stop in (draw(mixer, suspicions, rng) for _ in range(200)) if not stop
    ]
    assert 0.5 <= len(suspected) / len(others) <= 0.75
    assert all(any(np.array_equal(s, other) for other in others) for s in suspected)


def test_voices_kept_apart_are_heard_nowhere_else(folder):
    clips = load(folder / CLIPS)
    sides = divided(clips, 0.5, seed=0)
    trained, apart = (set(clips.spoken_by(voices).voices) for voices in sides)
    assert not trained & apart
    assert trained | apart == set(clips.voices)
    assert divided(clips, 0.5, seed=0) == sides


def test_clips_by_some_voices_are_theirs(folder):
    clips = load(folder / CLIPS)
    name = clips.voices[7]
    found = clips.spoken_by([name])
    which = np.flatnonzero(clips.voices == name)
    assert len(found.starts) == len(which) > 0
    pieces = np.split(clips.samples, clips.starts[1:])
    np.testing.assert_array_equal(found.samples, np.concatenate([pieces[i] for i in which]))
    np.testing.assert_array_equal(found.kinds, clips.kinds[which])
    np.testing.assert_array_equal(np.split(found.samples, found.starts[1:])[-1], pieces[which[-1]])
    assert len(clips.spoken_by([]).samples) == 0


def test_too_few_voices_to_keep_some_apart_are_told_of(folder):
    with pytest.raises(ConfigError, match=r"of \d+ voices 1 say nothing of the kinds .*held_out"):
        divided(load(folder / CLIPS), 0.01, seed=0)


def test_as_many_stops_by_voices_apart_are_confirmed_as_were_asked_for(weights):
    drawn = Windows(*(_random_pieces(seed, 40) for seed in (0, 1)))
    options = ConfirmOptions(recall=0.9, network=AlongConfig(width=16, blocks=1))
    trainer = ConfirmTrainer(drawn, weights.parent, options, torch.device("cpu"))
    found = trainer.look(1000)
    assert len(found) == 40
    heard, _ = rates(found, trainer.threshold(found))
    assert heard == pytest.approx(0.9, abs=0.05)


def _random_pieces(seed, count):
    rng = np.random.default_rng(seed)
    frames = [rng.normal(size=(70, COLUMNS)).astype(np.float16) for _ in range(count)]
    return Pieces(frames, [number % 2 == 0 for number in range(count)])


def test_a_stream_is_suspected_as_a_whole_as_it_is_in_pieces(folder, ears):
    listener = ears()
    spotter = spotter_of(folder)
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, RATE).astype(np.float32)
    ends = spotter.suspicions(samples)
    spotter.reset()
    spotter.push(Sound(0.0, samples))
    assert len(ends) > 0
    first = np.pad(samples[: ends[0]], (WINDOW, 0))[-WINDOW:]
    np.testing.assert_array_equal(listener.asked[0], first)


def test_what_was_learned_answers_and_is_used(folder, weights):
    confirmer = StopConfirmer(str(weights))
    assert 0 < confirmer(np.zeros(WINDOW, np.float32)) < 1
    facts = json.loads(weights.with_suffix(".json").read_text())
    assert 0 < confirmer.threshold == facts["threshold"] < 1
    spotter = spotter_of(folder, confirm_weights=str(weights), stop_threshold=1e-6)
    found = spotter.push(Sound(0.0, np.random.default_rng(0).normal(0, 0.1, RATE).astype("f4")))
    assert all(0 < f.probability < 1 for f in found)


def test_windows_of_other_clips_are_not_taken_for_these(folder, weights, tmp_path):
    clips = vars(load(folder / CLIPS))
    np.savez(tmp_path / CLIPS, **clips | {"samples": clips["samples"] // 2})
    for file in folder.glob("stop.*"):
        shutil.copy(file, tmp_path)
    with pytest.raises(ConfigError, match=r"was made with clips 60 \(\w{8}\) \(now 60"):
        train_confirmer(tmp_path, weights.parent, ConfirmOptions(steps=2, windows=24, held_out=0.5))


def test_weights_that_were_trained_on_other_words_are_refused(weights, tmp_path):
    facts = json.loads(weights.with_suffix(".json").read_text())
    other = tmp_path / "other.onnx"
    other.write_bytes(weights.read_bytes())
    other.with_suffix(".json").write_text(json.dumps(facts | {"words": "12345678"}))
    with pytest.raises(ConfigError, match=r"other\.onnx was trained on other weights than those"):
        StopConfirmer(str(other))


def test_weights_for_frames_of_another_width_are_refused(weights, tmp_path):
    narrow = tmp_path / "narrow.onnx"
    network = Along(AlongConfig(width=16, blocks=1), 1, COLUMNS - 3)
    frames = {"frames": torch.zeros(1, 70, COLUMNS - 3)}
    export(network, narrow, frames, ["logits"], {"frames": {1: "time"}})
    shutil.copy(weights.with_suffix(".json"), narrow.with_suffix(".json"))
    why = rf"narrow\.onnx hears {COLUMNS - 3} numbers in a frame, of which there are {COLUMNS}\."
    with pytest.raises(ConfigError, match=why):
        StopConfirmer(str(narrow))


def test_weights_that_are_none_are_refused(folder, weights, tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.onnx cannot be used"):
        StopConfirmer(str(tmp_path / "nowhere.onnx"))
    old = tmp_path / "old.onnx"
    old.write_bytes(weights.read_bytes())
    old.with_suffix(".json").write_text("{}")
    why = r"no threshold, words beside it; .*hierarchy train confirm"
    with pytest.raises(ConfigError, match=why):
        StopConfirmer(str(old))


def test_nearly_all_stops_are_suspected():
    found = [(True, s / 1000) for s in range(1, 1001)] + [(False, 1e-5)] * 50
    assert suspicion(found) == pytest.approx(0.006, abs=1e-3)
    assert suspicion([(False, 0.4)]) == 0.0


def test_two_processes_learn_from_windows_that_the_first_one_draws(folder, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "hierarchy_nodes.cli.main", "train", "confirm", "--quiet", "--steps=2"]
    command += [f"--data={folder}", f"--out={tmp_path}", "--batch=4"]
    for option in ("windows=24", "held_out=0.5", "network.width=16", "network.blocks=1"):
        command += ["--set", option]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | LOOPBACK
    )
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads((tmp_path / "confirm.json").read_text())
    assert facts["training"]["processes"] == 2
    assert 0 < StopConfirmer(str(tmp_path / "confirm.onnx"))(np.zeros(WINDOW, np.float32)) < 1


def test_clips_without_a_spotter_say_how_to_train_one(folder, tmp_path):
    shutil.copy(folder / CLIPS, tmp_path)
    with pytest.raises(ConfigError, match=r"stop\.onnx: no such spotter.*train stop --out"):
        train_confirmer(tmp_path, tmp_path / "out", ConfirmOptions(steps=2, windows=24))
