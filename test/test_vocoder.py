"""Voices out of a vocoder, and clips that are said again by it."""

import sys
from itertools import pairwise

import numpy as np
import pytest
import pyworld

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.stop.again import SaidAgain
from hierarchy_nodes.learning.stop.data import Clips
from hierarchy_nodes.learning.stop.vocoder import vocoded
from hierarchy_nodes.learning.stop.voices import EspeakSpeaker
from hierarchy_nodes.speech.audio import RATE


def pitch(samples):
    """Its middle, hertz."""
    found, _ = pyworld.dio(samples.astype(float), RATE)
    return np.median(found[found > 0])


def test_a_vocoder_says_the_same_from_another_throat():
    said = EspeakSpeaker("en-us").speak("a bit higher", np.random.default_rng(0))
    first, second, again = (vocoded(said, np.random.default_rng(s)) for s in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    words = [len(said) // 8 * i for i in range(9)]
    loudness = [[np.abs(x[a:b]).mean() for a, b in pairwise(words)] for x in (said, first, second)]
    pitches = [pitch(x) for x in (said, first, second)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        # Loud and soft at the same times, but at another pitch.
        assert np.corrcoef(loudness[i], loudness[j])[0, 1] > 0.5
        assert abs(np.log2(pitches[i] / pitches[j])) > 0.1
    for sound in (first, second):
        assert np.abs(sound).max() == pytest.approx(np.abs(said).max(), rel=1e-4)


def test_words_without_a_voice_go_through_a_vocoder_too():
    whispered = np.random.default_rng(0).normal(0, 0.1, RATE // 4).astype(np.float32)
    assert np.isfinite(vocoded(whispered, np.random.default_rng(0))).all()


def test_without_a_vocoder_it_is_told_where_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ConfigError, match="pyworld is not installed; run tools/voices"):
        vocoded(np.zeros(RATE, np.float32), np.random.default_rng(0))


@pytest.fixture
def clips(tmp_path):
    """A file of three words, and their samples."""
    said = [
        EspeakSpeaker(voice).speak(text, np.random.default_rng(i))
        for i, (voice, text) in enumerate((("en-us", "stop"), ("en", "shop"), ("en+f2", "left")))
    ]
    pieces = [(s * 26000).astype(np.int16) for s in said]
    whole = Clips.joined(pieces, np.array([0, 2, 3], np.uint8), np.array(["a", "b", "c"]))
    np.savez(tmp_path / "clips.npz", **vars(whole))
    return tmp_path / "clips.npz", pieces


def test_clips_that_are_said_again_are_the_same_voices(clips, tmp_path):
    path, pieces = clips
    found = SaidAgain(path, tmp_path / "again", 2.0, 0).load()
    assert len(found.starts) == 9
    for kind, voice, said in ((0, "a", pieces[0]), (2, "b", pieces[1]), (3, "c", pieces[2])):
        theirs = found.of(kind)
        assert set(found.voices_of(kind)) == {voice}
        np.testing.assert_array_equal(theirs[0], said.astype(np.float32) / 32768)
        assert all(abs(len(again) - len(said)) <= 1 for again in theirs[1:])
        assert all((again[:100] != theirs[0][:100]).any() for again in theirs[1:])


def test_none_are_said_again_without_a_share(clips, tmp_path):
    path, pieces = clips
    found = SaidAgain(path, tmp_path / "again", 0.0, 0).load()
    np.testing.assert_array_equal(found.samples, np.concatenate(pieces))


def test_what_was_said_again_of_other_clips_is_not_taken(clips, tmp_path):
    path, _ = clips
    SaidAgain(path, tmp_path / "again", 1.0, 0).load()
    with pytest.raises(ConfigError, match=r"made with share 1\.0 \(now 2\.0\)"):
        SaidAgain(path, tmp_path / "again", 2.0, 0).load()
