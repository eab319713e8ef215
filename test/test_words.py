"""The words of corrections: what is said in training, from scores to sentences, the recogniser."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import ctranslate2
import numpy as np
import pytest
import torch

from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.pieces import Pieces
from hierarchy_nodes.learning.stop.voices import EspeakSpeaker
from hierarchy_nodes.learning.words import sayings
from hierarchy_nodes.learning.words.data import SpokenOptions, heard, numbered, speak
from hierarchy_nodes.learning.words.phrases import MEASURED, TUNED
from hierarchy_nodes.learning.words.training import WordsOptions, WordsTrainer, train
from hierarchy_nodes.onnx_file import export, read
from hierarchy_nodes.speech.along import AlongConfig
from hierarchy_nodes.speech.audio import RATE, Sound
from hierarchy_nodes.speech.base import Heard
from hierarchy_nodes.speech.commands.decoding import Usage, sentences
from hierarchy_nodes.speech.commands.network import WordsNetwork
from hierarchy_nodes.speech.commands.recogniser import CommandOptions, CommandRecogniser
from hierarchy_nodes.speech.commands.whisper_encoder import WhisperEncoder
from hierarchy_nodes.speech.hearing import COLUMNS, FRAMES, WIDTH, Hearing
from hierarchy_nodes.speech.mel import BANDS, log_mel
from hierarchy_nodes.speech.whisper import WhisperRecogniser, packaged
from hierarchy_nodes.types import CorrectionKind


def scores(path, rivals=()):
    """Log-probabilities with 0.9 for each of `path`, and 0.08 for ``{place: word}``."""
    found = np.full((len(path), 6), 0.01)
    for place, word in dict(rivals).items():
        found[place, word] = 0.08
    found[np.arange(len(path)), path] = 0.9
    return np.log(found / found.sum(axis=1, keepdims=True)).astype("f4")


def test_words_are_read_once_and_the_same_word_twice_with_a_pause():
    found = sentences(scores([0, 3, 3, 0, 3, 2, 2, 0]))[0]
    assert found.words == (3, 3, 2)
    assert 0.8 < found.sure < 1.0
    silent = sentences(scores([0, 0]))[0]
    assert (silent.words, silent.sure) == ((), 1.0)


def test_the_next_sentence_differs_in_what_was_least_sure():
    found = sentences(scores([0, 3, 0, 2, 0], {3: 5}), 8)
    assert [s.words for s in found][:2] == [(3, 2), (3, 5)]
    assert len({s.words for s in found}) == len(found) == 8
    assert found[0].sure > found[1].sure


def test_a_sentence_is_as_likely_as_all_ways_to_say_it():
    random = np.random.default_rng(0).dirichlet(np.full(3, 5.0), 5)
    shares = {}
    for path in itertools.product(range(3), repeat=5):
        words = tuple(word for word, _ in itertools.groupby(path) if word)
        share = np.prod(random[np.arange(5), path])
        shares[words] = shares.get(words, 0.0) + share
    found = sentences(np.log(random).astype("f4"), 1000)
    assert {s.words for s in found} == set(shares)
    for sentence in found:
        assert np.exp(sentence.score) == pytest.approx(shares[sentence.words], rel=1e-4)


def test_how_people_speak_decides_between_words_that_sound_alike():
    heard = scores([0, 1, 0, 3, 0], {3: 2})
    words = ("", "a", "bit", "bat", "", "")
    pairs = {"": {"a": 1.0}, "a": {"bit": 1.0}, "bit": {"": 0.5}, "bat": {"": 0.5}}
    shares = {"bit": 0.3, "bat": 0.3}
    plain = sentences(heard)[0]
    usual = sentences(heard, follows=Usage(words, pairs, shares, 1.0).follows)[0]
    assert (plain.words, usual.words) == ((1, 3), (1, 2))


def test_measured_phrases_are_never_said_in_training_but_all_their_words_are():
    assert not set(MEASURED) & set(TUNED)
    rng = np.random.default_rng(0)
    said = [sayings.say(rng) for _ in range(6000)]
    plain = {text.replace(" ,", "") for text in said}
    assert not plain & {" ".join(w for w in sayings.words_of(p) if w != ",") for p in MEASURED}
    words = {word for text in said for word in text.split()}
    assert {w for p in MEASURED for w in sayings.words_of(p)} <= words


def test_measured_phrases_are_not_even_said_among_words_that_nobody_expects():
    rng = np.random.default_rng(0)
    said = [sayings.say(rng, sayings.UNEXPECTED) for _ in range(6000)]
    assert not {t.replace(" ,", "") for t in said} & set(MEASURED)
    pairs, _ = sayings.usage()

    def unexpected(text):
        words = [w if w in sayings.vocabulary() else sayings.OTHER for w in text.split()]
        return any(b not in pairs.get(a, {}) for a, b in itertools.pairwise(["", *words]))

    assert 0.2 < np.mean([unexpected(t) for t in said]) < 0.4


def test_what_is_said_is_mostly_understood_or_is_other_talk():
    rng = np.random.default_rng(1)
    said = [sayings.say(rng) for _ in range(400)]
    unknown = [t for t in said if any(c.kind == "unknown" for c in parse(t, 0.0))]
    assert 0.05 < len(unknown) / len(said) < 0.4
    assert "zebra" not in sayings.vocabulary()
    words = [sayings.vocabulary()[n - 1] for n in numbered("the zebra, left")]
    assert words == ["the", sayings.OTHER, ",", "left"]


@pytest.fixture(scope="module")
def encoder():
    found = WhisperEncoder()
    found.read(packaged())
    return found.eval()


@torch.no_grad()
def test_the_encoder_is_whispers(encoder):
    said = EspeakSpeaker("en-us").speak("stop, a bit to the left", np.random.default_rng(0))
    mel = log_mel(said)[None]
    model = ctranslate2.models.Whisper(str(packaged()), device="cpu", compute_type="float32")
    theirs = np.array(model.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True))
    ours = encoder(torch.from_numpy(mel)).numpy()
    assert ours.shape == theirs.shape == (1, mel.shape[2] // 2, WIDTH)
    np.testing.assert_allclose(ours, theirs, atol=0.02)


@torch.no_grad()
def test_padding_is_not_heard(encoder):
    mel = torch.rand(2, BANDS, 120)
    mel[0, :, 80:] = 0.0
    alone = encoder(mel[:1, :, :80])[0]
    beside = encoder(mel, torch.tensor([80, 120]))
    torch.testing.assert_close(beside[0, :40], alone, atol=1e-4, rtol=1e-4)
    assert not beside[0, 40:].any()


def test_only_an_encoder_of_this_size_is_read(encoder, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.bin: no encoder of a Whisper tiny model"):
        encoder.read(tmp_path)
    (tmp_path / "model.bin").write_bytes((packaged() / "model.bin").read_bytes()[:100_000])
    with pytest.raises(ConfigError, match=r"model\.bin: no encoder of a Whisper tiny model"):
        encoder.read(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that has hardly learned anything."""
    out = tmp_path_factory.mktemp("words")
    options = WordsOptions(
        steps=4, batch=4, evaluate_records=4, network=AlongConfig(width=16, blocks=2),
        spoken=SpokenOptions(sentences=14, quick=10),
    )  # fmt: skip
    return train(out, options), options


def test_what_was_spoken_is_kept(trained):
    path, options = trained
    again = speak(path.parent / "sentences", options.spoken, options.seed, False)
    assert len(again) == len(again.arrays) == 24
    for samples, text in zip(again.arrays, again.labels, strict=True):
        # Sounds of speech, of a plausible length for its words.
        assert 0.15 + len(samples) / RATE > 0.1 * len(numbered(text))
        assert np.abs(samples).max() > 300
    assert len(set(again.labels)) > 15


def test_what_was_spoken_otherwise_is_not_taken(trained):
    path, options = trained
    other = replace(options.spoken, quick=30)
    with pytest.raises(ConfigError, match=r"made with sentences 10 \(now 30\)"):
        speak(path.parent / "sentences", other, options.seed, False)


def test_a_sentence_is_heard_in_another_way_every_time():
    said = EspeakSpeaker("en-us").speak("a bit higher", np.random.default_rng(0))
    first, second = (heard(said, np.random.default_rng(s), 6.0, [said]) for s in (1, 2))
    again = heard(said, np.random.default_rng(1), 6.0, [said])
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(second)
    for sound in (first, second):
        assert np.abs(sound).max() <= 1.0
        assert len(sound) > 0.7 * len(said)


def test_what_is_learned_is_heard(trained):
    path, _ = trained
    hearing = Hearing(str(path))
    sound = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    frames = hearing.frames(sound)
    assert frames.shape == (2 * FRAMES, COLUMNS)
    scores = hearing.scores(sound)
    assert scores.shape == (FRAMES, len(hearing.vocabulary) + 1)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1.0, rtol=1e-4)
    assert len(hearing.scores(sound[:1])) == 2
    stop = 1 + hearing.vocabulary.index("stop")
    said, nothing, other = 4 * frames[::2, WIDTH:].T
    np.testing.assert_allclose(said, np.maximum(scores[:, stop], -12), rtol=1e-4)
    np.testing.assert_allclose(nothing, np.maximum(scores[:, 0], -12), rtol=1e-4)
    others = [i for i in range(1, scores.shape[1]) if i != stop]
    np.testing.assert_allclose(other, np.maximum(scores[:, others].max(1), -12), rtol=1e-4)
    assert len(hearing.frames(np.pad(sound, (0, 40 * RATE)))) == 29 * FRAMES
    # It is sent along with the package.
    assert path.stat().st_size < 20e6


def test_weights_that_do_not_know_stop_are_refused(trained, tmp_path):
    path, _ = trained
    other = tmp_path / "other.onnx"
    other.write_bytes(path.read_bytes())
    facts = json.loads(path.with_suffix(".json").read_text())
    facts["vocabulary"] = ["halt" if word == "stop" else word for word in facts["vocabulary"]]
    other.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match=r'other\.onnx does not know the word "stop"'):
        Hearing(str(other))


@pytest.mark.parametrize("small", [True, False])
@torch.no_grad()
def test_a_network_goes_on_from_what_was_learned(small, trained, tmp_path):
    path, options = trained
    network = WordsNetwork(options.network, len(sayings.vocabulary()) + 1).eval()
    read(network, path)
    mel = {"mel": torch.rand(1, BANDS, 100)}
    again = tmp_path / "again.onnx"
    export(network, again, mel, ["scores", "frames"], {"mel": {2: "time"}}, small=small)
    other = WordsNetwork(options.network, len(sayings.vocabulary()) + 1).eval()
    read(other, again)
    for ours, theirs in zip(network(mel["mel"]), other(mel["mel"]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.02)
    fresh = WordsNetwork(options.network, len(sayings.vocabulary()) + 1).eval()
    assert (fresh(mel["mel"])[0] - other(mel["mel"])[0]).abs().max() > 0.5


@torch.no_grad()
def test_words_that_the_weights_do_not_know_are_new(trained, tmp_path):
    path, options = trained
    facts = json.loads(path.with_suffix(".json").read_text())
    at = facts["vocabulary"].index("left")
    facts["vocabulary"][at] = "larboard"
    other = tmp_path / "other.onnx"
    other.write_bytes(path.read_bytes())
    other.with_suffix(".json").write_text(json.dumps(facts))
    said = Pieces([np.zeros(RATE, np.int16)] * 20, ["stop"] * 20)
    make = replace(options, start=str(path)), replace(options, start=str(other), seed=1)
    same, new = (WordsTrainer(said, tmp_path, o, torch.device("cpu")).average for o in make)
    differ = (same.along.out.weight != new.along.out.weight).any(dim=1)
    assert differ.nonzero().flatten().tolist() == [at + 1]
    first, second = (n.encoder.layers[3].attention.out.weight for n in (same, new))
    torch.testing.assert_close(first, second, atol=0.0, rtol=0.0)


@torch.no_grad()
def test_weights_at_the_start_count_as_much_as_they_are_told_to(trained, tmp_path):
    path, options = trained
    said = Pieces([np.zeros(RATE, np.int16)] * 20, ["stop"] * 20)
    with pytest.raises(ConfigError, match="kept: without start there is nothing to keep"):
        WordsTrainer(said, tmp_path, replace(options, kept=0.25), torch.device("cpu"))
    options = replace(options, start=str(path), kept=0.25)
    trainer = WordsTrainer(said, tmp_path, options, torch.device("cpu"))
    before = trainer.average.along.out.bias.clone()
    trainer.average.along.out.bias += 4.0
    trainer.write({})
    written = WordsNetwork(options.network, len(sayings.vocabulary()) + 1)
    read(written, tmp_path / "words.onnx")
    torch.testing.assert_close(written.along.out.bias, before + 3.0)
    torch.testing.assert_close(trainer.average.along.out.bias, before + 4.0)


def test_only_weights_of_such_a_network_are_gone_on_from(trained, tmp_path):
    path, options = trained
    other = replace(options, start=str(path), network=AlongConfig(width=24, blocks=2))
    said = Pieces([np.zeros(RATE, np.int16)] * 20, ["stop"] * 20)
    with pytest.raises(ConfigError, match=r"words\.onnx: no weights of a WordsNetwork"):
        WordsTrainer(said, tmp_path, other, torch.device("cpu"))
    nothing = replace(other, start=str(tmp_path / "nothing.onnx"))
    with pytest.raises(ConfigError, match=r"nothing\.onnx cannot be used"):
        WordsTrainer(said, tmp_path, nothing, torch.device("cpu"))


def test_what_the_network_does_not_know_whisper_writes_down(trained):
    recogniser = CommandRecogniser(CommandOptions(words=str(trained[0]), sure=0.9))
    speaker, rng = EspeakSpeaker("en-us"), np.random.default_rng(0)
    said = np.pad(speaker.speak("stop", rng) * 0.3, RATE // 4)
    assert "stop" in recogniser.recognise(Sound(0.0, said)).text.lower()
    assert recogniser.recognise(Sound(0.0, np.zeros(RATE, np.float32))).text == ""


def heard_as(recogniser, *places):
    """The recogniser hears these words, ``{word: probability}``, one after the other."""
    words = ["", *recogniser._hearing.vocabulary]
    rows = np.full((2 * len(places) + 1, len(words)), 1e-6)
    rows[::2, 0] = 1.0
    for row, place in enumerate(places):
        for word, probability in place.items():
            rows[2 * row + 1, words.index(word)] = probability
    scores = np.log(rows).astype("f4")
    vocabulary = recogniser._hearing.vocabulary
    recogniser._hearing = SimpleNamespace(scores=lambda samples: scores, vocabulary=vocabulary)


def test_what_is_in_view_is_rather_what_was_meant(trained):
    recogniser = CommandRecogniser(CommandOptions(words=str(trained[0])))
    heard_as(
        recogniser, {"no": 0.99}, {"the": 0.9}, {"yellow": 0.9}, {"bowl": 0.42, "ball": 0.5}
    )  # fmt: skip
    sound = Sound(0.0, np.zeros(RATE, np.float32))
    assert recogniser.recognise(sound, ["yellow bowl", "red cup"]).text == "no the yellow bowl"
    assert recogniser.recognise(sound, ["yellow ball", "red cup"]).text == "no the yellow ball"


def test_what_was_perhaps_a_word_is_one(trained):
    sound = Sound(0.0, np.zeros(RATE, np.float32))
    texts = []
    for longer in (0.0, 3.0):
        recogniser = CommandRecogniser(CommandOptions(words=str(trained[0]), longer=longer))
        heard_as(recogniser, {"left": 0.9}, {"a": 0.15, "": 0.8}, {"bit": 0.15, "": 0.8})
        texts.append(recogniser.recognise(sound).text)
    assert texts == ["left", "left a bit"]


def test_words_that_whisper_imagines_are_left_out(trained, monkeypatch):
    recogniser = CommandRecogniser(CommandOptions(words=str(trained[0])))
    written = Heard("The warning stop system, it's left", 0.7)
    monkeypatch.setattr(WhisperRecogniser, "recognise", lambda self, sound, names: written)
    sound = Sound(0.0, np.zeros(RATE, np.float32))
    # Each word is there in the network's opinion, but below what it is sure of.
    there = {"the": 0.05}, {"its": 0.05}, {"left": 0.05}
    heard_as(recogniser, {"stop": 0.05}, *there)
    assert recogniser.recognise(sound) == written
    heard_as(recogniser, *there)
    found = recogniser.recognise(sound)
    assert found == Heard("The warning \u2026 system, it's left", 0.0)
    assert not any(c.kind == CorrectionKind.STOP for c in parse(found.text, 0.0))


def test_words_without_a_network_are_refused(trained, tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.onnx cannot be used"):
        CommandRecogniser(CommandOptions(words=str(tmp_path / "nowhere.onnx")))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    broken.with_suffix(".json").write_text(
        json.dumps({"vocabulary": ["a"], "pairs": {}, "shares": {}})
    )
    with pytest.raises(ConfigError, match="is no network"):
        CommandRecogniser(CommandOptions(words=str(broken)))
