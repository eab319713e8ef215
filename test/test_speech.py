"""From blocks of sound to words: the stream, utterances, Whisper, and whom they are for."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from faster_whisper.transcribe import get_compression_ratio

from hardware.base import AudioBlock
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.attention import Attention, AttentionOptions
from hierarchy_nodes.speech.audio import RATE, AudioError, Sound, Stream
from hierarchy_nodes.speech.base import Heard
from hierarchy_nodes.speech.endpointing import Endpointer, EndpointingOptions
from hierarchy_nodes.speech.synthesis import Espeak, Voice
from hierarchy_nodes.speech.whisper import WhisperOptions, WhisperRecogniser


@cache
def spoken(text, voice="en-us"):
    """``(N, 1)`` int16 at the voice's rate, and that rate."""
    speaker = Espeak()
    samples = speaker.speak(text, Voice(voice))
    return (samples * 16000).astype(np.int16)[:, None], speaker.rate


def blocks(samples, rate, start=100.0, length=0.02, first=0):
    count = round(length * rate)
    return [
        AudioBlock(start + i / rate, rate, first + i // count, samples[i : i + count])
        for i in range(0, len(samples) - count + 1, count)
    ]


def silence(rate, seconds):
    noise = np.random.default_rng(0).normal(0, 10, (round(rate * seconds), 1))
    return noise.astype(np.int16)


def tone(rate, seconds, channels=1, frequency=440.0):
    wave = 8000 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)
    return np.repeat(wave.astype(np.int16)[:, None], channels, axis=1)


# The stream


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 1), (8000, 3)])
def test_any_rate_and_channels_become_one_stream(rate, channels):
    stream = Stream()
    pieces = [stream.push(b) for b in blocks(tone(rate, 1.0, channels), rate)]
    whole = np.concatenate([p.samples for p in pieces])
    assert len(whole) == pytest.approx(RATE, abs=0.02 * RATE)
    spectrum = np.abs(np.fft.rfft(whole[2000:10000]))
    assert np.argmax(spectrum) * RATE / 8000 == pytest.approx(440, abs=2)
    assert np.abs(whole[2000:]).max() == pytest.approx(8000 / 32768, rel=0.05)
    for before, after in pairwise(pieces):
        assert after.start == pytest.approx(before.end, abs=1e-9)
    assert (stream.lost, stream.restarts) == (0, 0)


def test_lost_blocks_become_silence_of_their_length():
    stream, rate = Stream(), 16000
    some = blocks(tone(rate, 1.0), rate)
    whole = np.concatenate([stream.push(b).samples for b in [*some[:10], *some[15:]]])
    assert stream.lost == 5
    assert len(whole) == pytest.approx(RATE, abs=700)
    assert np.abs(whole[3400:4600]).max() < 0.01


@pytest.mark.parametrize(
    "change",
    [
        lambda b: replace(b, sample_rate=8000),
        lambda b: replace(b, sequence=0),
        lambda b: replace(b, sequence=b.sequence + 1000, stamp=b.stamp + 20),
    ],
)
def test_what_does_not_go_on_begins_anew(change):
    stream, rate = Stream(), 16000
    some = blocks(tone(rate, 0.2), rate)
    for block in some[:5]:
        stream.push(block)
    block = change(some[5])
    assert stream.push(block).start == pytest.approx(block.stamp)
    assert (stream.restarts, stream.lost) == (1, 0)


def test_a_clock_that_was_set_is_followed():
    stream, rate = Stream(), 16000
    some = blocks(tone(rate, 1.0), rate)
    for block in some[:10]:
        stream.push(block)
    later = stream.push(replace(some[10], stamp=some[10].stamp + 5.0))
    assert later.start == pytest.approx(some[10].stamp + 5.0, abs=0.03)


def test_nonsense_is_refused():
    with pytest.raises(AudioError, match="block 3"):
        Stream().push(AudioBlock(0.0, 16000, 3, np.zeros((0, 1), np.int16)))
    with pytest.raises(AudioError, match="0 Hz"):
        Stream().push(AudioBlock(0.0, 0, 3, np.zeros((5, 1), np.int16)))


# Utterances


def utterances(samples, rate, **options):
    stream, endpointer = Stream(), Endpointer(EndpointingOptions(**options))
    found = []
    for block in blocks(samples, rate):
        found += endpointer.push(stream.push(block))
    return found, endpointer


def test_each_utterance_is_cut_out_where_it_was():
    words, rate = spoken("move the arm to the left")
    more, _ = spoken("close the gripper")
    gap = silence(rate, 1.0)
    found, endpointer = utterances(np.concatenate([gap, words, gap, more, gap]), rate)
    assert len(found) == 2
    assert not endpointer.speaking
    begins = [101.0, 102.0 + len(words) / rate]
    for sound, begin, said in zip(found, begins, (words, more), strict=True):
        assert begin - 0.6 < sound.start < begin + 0.3
        assert sound.end > begin + len(said) / rate - 0.4
        assert sound.loudness() > -40


def test_silence_and_tones_are_no_utterance():
    rate = 16000
    assert utterances(silence(rate, 3.0), rate)[0] == []
    assert utterances(tone(rate, 3.0, frequency=1000.0), rate)[0] == []


def test_what_never_ends_is_cut_and_what_breaks_off_is_flushed():
    words, rate = spoken("move the arm to the left and then a bit higher and then go on")
    endless = np.concatenate([words] * 4)
    found, endpointer = utterances(endless, rate, longest=2.0)
    assert len(found) >= 2
    assert all(len(s.samples) <= 2.1 * RATE for s in found)
    assert endpointer.speaking
    (rest,) = endpointer.flush()
    assert rest.end <= 100.0 + len(endless) / rate + 0.1
    assert not endpointer.speaking


def test_others_who_talk_on_farther_away_are_no_part_of_it():
    words, rate = spoken("move the arm to the left")
    talk, _ = spoken("we went to the market in the rain and bought a loaf of bread", "en-gb-x-rp")
    first, last = 3 * rate, 3 * rate + len(words)
    sound = (np.resize(talk, (8 * rate, 1)) * 0.08).astype(np.int16)
    sound[first:last] += words
    found, _ = utterances(sound, rate)
    assert 102.5 < found[0].start < 103.1
    assert 0 < found[0].end - (100 + last / rate) < 0.8
    assert all(later.loudness() < found[0].loudness() - 10 for later in found[1:])


def test_a_swallowed_end_is_part_of_it():
    words, rate = spoken("turn it clockwise")
    end, _ = spoken("a bit")
    sound = np.concatenate([silence(rate, 0.5), words, end // 8, silence(rate, 1.0)])
    (found,), _ = utterances(sound, rate)
    assert found.end > 100.5 + (len(words) + len(end)) / rate - 0.05


# Words


@pytest.fixture(scope="module")
def whisper():
    return WhisperRecogniser(WhisperOptions())


@pytest.mark.parametrize(
    ("text", "voice"),
    [("left a bit", "en-us"), ("no, the blue one", "en-gb-x-rp"), ("stop", "en-us+f3")],
)
def test_whisper_understands_a_synthetic_voice(whisper, text, voice):
    words, rate = spoken(text, voice)
    gap = silence(rate, 0.6)
    (sound,), _ = utterances(np.concatenate([gap, words, gap]), rate)
    heard = whisper.recognise(sound, ["blue block"])
    plain = "".join(c for c in heard.text.lower() if c.isalpha() or c == " ")
    assert plain == text.replace(",", "")
    assert heard.confidence > 0.5


def test_whisper_hears_no_words_in_noise(whisper):
    noise = np.random.default_rng(1).normal(0, 0.01, 2 * RATE).astype(np.float32)
    heard = whisper.recognise(Sound(0.0, noise))
    assert not heard.text or heard.confidence < 0.5


def test_long_speech_with_a_long_prompt_is_heard():
    words, rate = spoken("move the arm to the left and then a bit higher")
    ((once,), _) = utterances(np.concatenate([silence(rate, 0.6), words, silence(rate, 0.6)]), rate)
    sound = Sound(0.0, np.pad(once.samples, (0, 29 * RATE - len(once.samples))))
    long = WhisperRecogniser(WhisperOptions(prompt="Put the red block on the blue plate. " * 100))
    assert "left" in long.recognise(sound, ["blue block"]).text.lower()


def test_what_whisper_says_again_and_again_is_made_up(whisper, monkeypatch):
    def transcribe(text):
        ratio = get_compression_ratio(text)
        part = SimpleNamespace(
            text=text, tokens=[1], avg_logprob=-0.1, no_speech_prob=0.1, compression_ratio=ratio
        )
        return lambda *_, **__: ([part], None)

    sound = Sound(0.0, np.zeros(RATE, np.float32))
    monkeypatch.setattr(whisper._model, "transcribe", transcribe(" Left a bit." * 40))
    assert whisper.recognise(sound) == Heard("", 0.0)
    monkeypatch.setattr(whisper._model, "transcribe", transcribe(" Left a bit. Left. Stop, stop!"))
    assert whisper.recognise(sound).text == "Left a bit. Left. Stop, stop!"


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ConfigError, match=rf"{tmp_path} has no model.bin"):
        WhisperRecogniser(WhisperOptions(model=str(tmp_path)))


def test_an_unknown_voice_is_named():
    with pytest.raises(ConfigError, match="no voice 'martian'"):
        Espeak().speak("stop", Voice("martian"))


# Whom they are for


def test_everything_is_for_the_robot_unless_told_otherwise():
    assert Attention(AttentionOptions()).admit("what a day", 0.0, 1.0) == "what a day"


def test_a_name_wakes_it_for_a_while_and_stop_needs_none():
    attention = Attention(AttentionOptions("wake_word", "robot", 5.0))
    assert attention.admit("left a bit", 0.0, 1.0) == ""
    assert attention.admit("Hey robot, left a bit", 2.0, 3.0) == "left a bit"
    assert attention.admit("a bit more", 6.0, 7.0) == "a bit more"
    assert attention.admit("and higher", 11.0, 12.0) == "and higher"
    assert attention.admit("what a day", 18.0, 19.0) == ""
    assert attention.admit("Stop!", 20.0, 21.0) == "Stop!"
    assert attention.admit("robots are fine", 30.0, 31.0) == ""


def test_a_button_must_be_held_while_words_begin_or_go_on():
    attention = Attention(AttentionOptions("push_to_talk"))
    assert attention.admit("left", 0.0, 1.0) == ""
    attention.press(True, 2.0)
    assert attention.admit("left", 2.5, 3.0) == "left"
    attention.press(False, 3.5)
    assert attention.admit("right", 3.2, 4.0) == "right"
    assert attention.admit("right", 4.2, 5.0) == ""
    assert attention.admit("stop stop", 9.0, 9.5) == "stop stop"


def test_an_empty_name_is_refused():
    with pytest.raises(ConfigError, match="wake_word"):
        AttentionOptions("wake_word", " ! ")
