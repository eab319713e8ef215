"""The stop spotter: what it hears, how it answers piece by piece, and what it is trained on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.stop import corpus, measure, mixing, neural_voices, voices
from hierarchy_nodes.learning.stop.data import NEAR, ClipOptions, Mixer, load, speak, targets
from hierarchy_nodes.learning.stop.detector import choose, rates
from hierarchy_nodes.learning.stop.training import StopOptions, train
from hierarchy_nodes.speech.audio import RATE, Sound
from hierarchy_nodes.speech.spotter.features import BANDS, FRAME, HOP, log_mel
from hierarchy_nodes.speech.spotter.network import SpotterConfig, SpotterNetwork
from hierarchy_nodes.speech.spotter.options import SpotterOptions
from hierarchy_nodes.speech.spotter.spotter import StopSpotter


def sine(frequency, seconds=0.5, level=0.5):
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(
        "f4"
    )


def test_bands_follow_the_mel_scale_and_the_level():
    peaks = [int(log_mel(sine(f)).mean(0).argmax()) for f in (200, 500, 1000, 3000, 6000)]
    assert peaks == sorted(set(peaks))
    loud, soft = log_mel(sine(1000, level=0.5)).max(), log_mel(sine(1000, level=0.05)).max()
    # 20 dB of 45 that a unit is.
    assert loud - soft == pytest.approx(20 / 45, abs=0.01)
    assert (log_mel(np.zeros(RATE, np.float32)) == -1).all()
    assert log_mel(np.zeros(FRAME - 1, np.float32)).shape == (0, BANDS)
    assert log_mel(np.zeros(FRAME + 2 * HOP, np.float32)).shape == (3, BANDS)


def test_an_answer_depends_on_the_past_alone():
    config = SpotterConfig(width=8, blocks=2)
    torch.manual_seed(0)
    network = SpotterNetwork(config).eval()
    frames = torch.randn(1, 60, BANDS)
    whole = network(frames)
    assert whole.shape == (1, 60 - config.context + 1)
    later = frames.clone()
    later[:, 40:] = 0
    known = 40 - config.context + 1
    assert torch.allclose(network(later)[:, :known], whole[:, :known], atol=1e-6)
    assert not torch.allclose(network(later)[:, known:], whole[:, known:], atol=1e-3)


def test_in_a_stream_nothing_is_computed_twice_and_all_is_the_same():
    config = SpotterConfig(width=8, blocks=3, kernel=3)
    torch.manual_seed(0)
    network = SpotterNetwork(config).eval()
    frames = torch.randn(2, 90, BANDS)
    past, pieces = network.nothing(2), []
    for piece in frames.split([1, 40, 2, 47], dim=1):
        logits, past = network.hear(piece, past)
        assert logits.shape == piece.shape[:2]
        pieces.append(logits)
    found = torch.cat(pieces, dim=1)[:, config.context - 1 :]
    assert torch.allclose(found, network(frames), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_that_is_not_made_for_streams_is_refused(tmp_path):
    path = tmp_path / "old.onnx"
    frames = torch.zeros(1, 20, BANDS)
    network = SpotterNetwork(SpotterConfig(width=4, blocks=1))
    torch.onnx.export(network, (frames,), path, dynamo=False, input_names=["frames"])
    path.with_suffix(".json").write_text('{"context": 9, "count": 3, "threshold": 0.5}')
    with pytest.raises(ConfigError, match="hierarchy train stop"):
        StopSpotter(SpotterOptions(str(path)))


def test_where_a_stop_is_to_be_told():
    wanted, counts = targets(2 * RATE, RATE)
    heard = (np.arange(len(wanted)) * HOP + FRAME) / RATE - 1.0
    assert heard[wanted > 0].min() == pytest.approx(0.05, abs=0.011)
    assert heard[wanted > 0].max() == pytest.approx(0.20, abs=0.011)
    assert counts[(heard > -0.1) & (heard < 0.0)].max() == 0
    assert counts[heard < -0.2].min() == counts[heard > 0.5].min() == 1
    assert targets(2 * RATE, None)[0].sum() == 0


def test_the_threshold_misses_and_mistakes_the_least():
    found = [(True, 0.95), (True, 0.9), (True, 0.6), (False, 0.7), (False, 0.1), (False, 0.0)]
    assert rates(found, 0.8) == (pytest.approx(2 / 3), 0.0)
    # All stops but one, and nothing else; as high as that goes.
    assert choose(found[:2] + found[3:]) == pytest.approx(0.9)
    assert choose([(True, 0.99), (False, 0.2)]) == pytest.approx(0.98)
    # Certainty is not asked of what is always mistaken.
    assert choose([(True, 0.6), (True, 0.7), (False, 0.2), (False, 0.55)]) == pytest.approx(0.6)
    assert 0.5 <= choose([(False, 0.3)]) <= 0.98


@pytest.mark.parametrize(
    "name", ["pico-en-GB", "hibari-heart", "kokoro-jf_alpha", "kokoro-mixture"]
)
def test_voices_that_are_nearer_to_peoples(name):
    speaker = next((s for s in neural_voices.trained() if s.name == name), None)
    if speaker is None:
        pytest.skip("tools/voices has not been run")
    rng = np.random.default_rng(0)
    word, sentence = (speaker.speak(t, rng) for t in ("stop", "put the red block on the plate"))
    assert word.dtype == np.float32
    assert 0.15 < len(word) / RATE < 1.2
    assert len(sentence) > 2 * len(word)
    assert 0.02 < np.abs(word).max() <= 1.0


def test_voices_and_words_that_are_measured_are_not_trained_on():
    assert not {s.name for s in voices.trained()} & {s.name for s in voices.measured()}
    assert not any("stop" in text.lower().split() for text in (*corpus.COMMANDS, *corpus.NEAR))
    assert len(corpus.talk()) > 1000
    kept, used = (corpus.part(corpus.NEAR, who) for who in ("measured", "trained"))
    assert sorted(kept + used) == sorted(corpus.NEAR)
    assert 0.2 < len(kept) / len(corpus.NEAR) < 0.3


@pytest.mark.parametrize("kind", mixing.NOISES)
def test_noises_are_of_one_loudness(kind):
    found = mixing.noise(kind, RATE, np.random.default_rng(0), [sine(300)])
    assert found.shape == (RATE,)
    assert np.sqrt(np.mean(found**2)) == pytest.approx(1, abs=1e-3)


FEW = ClipOptions(stops=24, around=12, near=12, commands=12, talk=12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A spotter that has hardly learned anything, and the clips it was made from."""
    out = tmp_path_factory.mktemp("stop")
    clips = speak(out / "clips.npz", FEW, 0, "trained", False)
    options = StopOptions(
        steps=6, batch=4, clips=FEW, evaluate_records=8, network=SpotterConfig(width=16, blocks=3)
    )
    return train(out, options), clips


def test_mixtures_are_seeded_and_have_a_stop_in_half_of_them(trained):
    mixer = Mixer(trained[1])
    first, again = (mixer.draw(np.random.default_rng(5)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    rng = np.random.default_rng(0)
    drawn = [mixer.draw(rng) for _ in range(60)]
    assert 18 <= sum(wanted.any() for _, wanted, _ in drawn) <= 42
    for frames, wanted, counts in drawn:
        assert frames.shape == (len(wanted), BANDS)
        assert np.isfinite(frames).all()
        assert wanted.sum() in (0, 15, 16)
        assert counts[wanted > 0].all()


def test_piece_by_piece_it_answers_as_at_once(trained):
    path, clips = trained
    sound = np.concatenate([c for kind in range(4) for c in clips.of(kind)[:3]])
    low = SpotterOptions(str(path), 1e-6, confirm_stop=False)
    whole = StopSpotter(low).push(Sound(50.0, sound))
    spotter, pieces, at = StopSpotter(low), [], 0
    rng = np.random.default_rng(0)
    while at < len(sound):
        count = int(rng.integers(1, 900))
        piece = sound[at : at + count]
        pieces += spotter.push(Sound(50.0 + at / RATE, piece))
        at += count
    assert len(whole) > 3
    assert [p.at for p in pieces] == pytest.approx([w.at for w in whole], abs=1e-6)
    assert [p.probability for p in pieces] == pytest.approx(
        [w.probability for w in whole], abs=1e-4
    )
    # Not the same word twice.
    assert np.diff([w.at for w in whole]).min() > 0.79
    spotter.reset()
    assert spotter.push(Sound(0.0, np.zeros(10, np.float32))) == []


def test_clips_that_are_broken_are_told(trained, tmp_path):
    whole = (trained[0].parent / "clips.npz").read_bytes()
    broken = tmp_path / "clips.npz"
    for count in (0, 1000):
        broken.write_bytes(whole[:count])
        with pytest.raises(ConfigError, match="Remove it"):
            load(broken)


def test_clips_that_are_not_there_or_other_ones_are_told(trained, tmp_path):
    with pytest.raises(ConfigError, match=f"hierarchy train stop --out {tmp_path}"):
        load(tmp_path / "clips.npz")
    other = replace(FEW, stops=25)
    with pytest.raises(ConfigError, match=r"made with stops 24 \(now 25\)"):
        speak(trained[0].parent / "clips.npz", other, 0, "trained", False)


def test_a_broken_record_of_how_things_were_made_is_told(tmp_path):
    (tmp_path / "clips.json").write_text("[1")
    with pytest.raises(ConfigError, match=r"clips\.json: no record"):
        speak(tmp_path / "clips.npz", FEW, 0, "trained", False)


class Marked:
    """Tells a stop whenever a piece has a sample above 0.9 in it."""

    def reset(self):
        pass

    def push(self, sound):
        return [None] if sound.samples.max() > 0.9 else []


def test_what_is_told_is_counted_once_as_heard_or_as_false():
    samples = np.zeros(10 * RATE, np.float32)
    # In time, twice for one stop, too late, and far from any.
    for second in (2.1, 4.05, 4.4, 6.9, 8.5):
        samples[round(second * RATE)] = 1.0
    said = measure.Said(samples, (2.0, 4.0, 6.0), ("one", "one", "other"))
    delays, false = measure.heard(Marked(), said)
    assert delays[:2] == pytest.approx([0.12, 0.06], abs=0.011)
    assert (delays[2], false) == (None, 2)


def test_streams_that_are_measured_have_the_noise_that_they_say(trained):
    clips = trained[1]
    clean = measure.stops(clips, 4, None, "", 7)
    noisy = measure.stops(clips, 4, 10.0, "motor", 7)
    assert clean.stops == noisy.stops
    assert len(clean.stops) == 4
    for end in clean.stops:
        last = clean.samples[round((end - 0.05) * RATE) : round(end * RATE)]
        after = clean.samples[round(end * RATE) : round((end + 0.5) * RATE)]
        assert np.abs(last).max() > 1e-3
        assert np.abs(after).max() == 0
    noise = noisy.samples - clean.samples
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(0.08 * 10**-0.5, rel=0.1)
    assert clean.voices == tuple(clips.voices[:4])
    (minute,) = measure.talk(clips, 1.0, 3, (NEAR,))
    assert len(minute) == 60 * RATE
    for source in (measure.motors, measure.babble):
        assert [len(m) for m in source(clips, 2.0, 3)] == [60 * RATE] * 2


def test_weights_that_are_none_are_refused(trained, tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.onnx cannot be used"):
        StopSpotter(SpotterOptions(str(tmp_path / "nowhere.onnx")))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    facts = json.loads(trained[0].with_suffix(".json").read_text())
    broken.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match="is no network"):
        StopSpotter(SpotterOptions(str(broken)))
    del facts["threshold"]
    broken.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match="threshold"):
        StopSpotter(SpotterOptions(str(broken)))
    broken.with_suffix(".json").write_text(json.dumps(facts | {"threshold": "high"}))
    with pytest.raises(ConfigError, match=r"broken\.onnx cannot be used.*high"):
        StopSpotter(SpotterOptions(str(broken)))
