"""How a simulated person sounds, and how an in-process stack hears it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hardware.base import AudioBlock
from hierarchy_nodes.errors import UnknownNameError
from hierarchy_nodes.learning.hearing import Hearing
from hierarchy_nodes.learning.person.voice import BLOCK, Microphone, Place, Speech, Voice, voices
from hierarchy_nodes.learning.person.wording import MEASURED, TUNED
from hierarchy_nodes.learning.stop.mixing import loud
from hierarchy_nodes.learning.stop.voices import EspeakSpeaker
from hierarchy_nodes.speech.audio import RATE
from hierarchy_nodes.speech.base import Heard
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.listening import Listener
from hierarchy_nodes.types import SPOTTER

PLAIN = Place(ratio=60.0)


def speaker(place=PLAIN, seed=0):
    return Voice(EspeakSpeaker("en-us"), place, np.random.default_rng(seed))


def test_voices_for_measuring_are_never_those_for_trying():
    assert not {v.name for v in voices(MEASURED)} & {v.name for v in voices(TUNED)}
    with pytest.raises(UnknownNameError, match="tuned"):
        voices("tund")


def test_people_and_places_differ_and_can_be_drawn_again():
    drawn = [Voice.draw(np.random.default_rng(seed)) for seed in range(30)]
    again = Voice.draw(np.random.default_rng(3))
    assert (again.speaker.name, again.place) == (drawn[3].speaker.name, drawn[3].place)
    # eSpeak's voices flutter: the same sentence is never quite the same sound.
    seconds = again.speak("left a bit").seconds
    assert drawn[3].speak("left a bit").seconds == pytest.approx(seconds, rel=0.03)
    assert len({v.speaker.name for v in drawn}) > 10
    assert len({v.place.noise for v in drawn}) > 3
    assert np.ptp([v.place.level for v in drawn]) > 10


def test_words_are_as_loud_as_the_place_has_it_and_the_echo_is_no_word():
    dry, wet = (speaker(Place(level=-25.0, echoes=e)).speak("move left") for e in (None, 5))
    assert 20 * np.log10(loud(dry.samples)) == pytest.approx(-25, abs=6)
    assert dry.seconds == wet.seconds == pytest.approx(len(dry.samples) / RATE)
    assert len(wet.samples) > len(dry.samples)


def test_blocks_are_numbered_stamped_and_hold_what_is_said():
    microphone = Microphone(Place(ratio=80.0), np.random.default_rng(0), start=5.0)
    words = (0.3 * np.sin(np.arange(1000) / 3)).astype(np.float32)
    assert microphone.due == pytest.approx(5.02)
    end = microphone.say(Speech(words, 1000 / RATE), 5.03)
    blocks = [microphone.read() for _ in range(6)]
    assert [b.sequence for b in blocks] == list(range(6))
    assert [b.stamp for b in blocks] == pytest.approx([5.0 + 0.02 * i for i in range(6)])
    sound = np.concatenate([b.samples[:, 0] for b in blocks]) / 32767
    first = round(0.03 * RATE)
    assert sound[first : first + 1000] == pytest.approx(words, abs=1e-3)
    assert np.abs(sound[:first]).max() < 1e-3
    assert end == pytest.approx(5.03 + 1000 / RATE)
    assert blocks[0].samples.shape == (BLOCK, 1)


def test_what_is_said_too_late_is_heard_from_now_on():
    microphone = Microphone(Place(ratio=80.0), np.random.default_rng(0))
    for _ in range(10):
        microphone.read()
    end = microphone.say(Speech(np.full(BLOCK, 0.5, np.float32), 0.02), 0.05)
    assert end == pytest.approx(0.22)
    assert np.abs(microphone.read().samples).min() > 10_000


def test_noise_goes_on_while_nobody_speaks():
    quiet, noisy = (
        Microphone(Place(level=-20.0, ratio=ratio, noise="babble"), np.random.default_rng(1))
        for ratio in (40.0, 10.0)
    )
    levels = [np.std(np.concatenate([m.read().samples for _ in range(50)])) for m in (quiet, noisy)]
    assert levels[1] > 10 * levels[0] > 0


class Stack:
    """As much of an in-process stack as ears need."""

    def __init__(self):
        self.time, self.plan, self.said, self._later = 0.0, None, [], []

    def after(self, seconds, action):
        self._later.append((self.time + seconds, action))

    def say(self, text, stamp, confidence):
        self.said.append((self.time, text, stamp, confidence))
        return []

    def run(self, ears, seconds):
        for _ in range(round(seconds / 0.008)):
            self.time += 0.008
            for due in [pair for pair in self._later if pair[0] <= self.time]:
                self._later.remove(due)
                due[1]()
            ears(self)


class Parrot:
    """A recogniser that always hears the same."""

    def __init__(self, text="left a bit"):
        self.text, self.names = text, []

    def recognise(self, sound, names=()):
        self.names.append(names)
        return Heard(self.text, 0.8)


def test_words_come_to_the_stack_after_the_end_of_the_utterance():
    microphone = Microphone(PLAIN, np.random.default_rng(0))
    stack, parrot, told = Stack(), Parrot(), []
    stack.plan = SimpleNamespace(prompts=[SimpleNamespace(label="red block")])
    ears = Hearing(microphone, recogniser=parrot)
    ears.told = told.append
    stack.run(ears, 0.5)
    assert not ears.busy(stack.time)
    end = microphone.say(speaker().speak("move a bit to the left"), stack.time)
    stack.run(ears, 0.6)
    assert ears.busy(stack.time)
    stack.run(ears, 3.0)
    ((at, text, stamp, confidence),) = stack.said
    assert (text, confidence) == ("left a bit", 0.8)
    silence = SpeechConfig().silence
    assert end + 0.5 * silence < at < end + silence + 0.6
    assert 0.1 < stamp < 0.6
    assert parrot.names == [("red block",)]
    assert (told[0].at, told[0].engine) == (at, "commands")


def test_silence_is_not_told():
    microphone = Microphone(PLAIN, np.random.default_rng(0))
    stack, ears = Stack(), Hearing(microphone, recogniser=Parrot(""))
    microphone.say(speaker().speak("hello there"), 0.3)
    stack.run(ears, 3.0)
    assert len(ears.seconds) == 1
    assert stack.said == []


class Spotter:
    """Hears "stop" half a second into the stream."""

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1

    def push(self, sound):
        hit = sound.start <= 0.5 < sound.end
        return [SimpleNamespace(at=sound.end, probability=0.9)] if hit else []


def test_a_spotted_stop_does_not_wait_for_the_end_of_the_utterance():
    microphone = Microphone(PLAIN, np.random.default_rng(0))
    stack, told = Stack(), []
    ears = Hearing(microphone, recogniser=Parrot("stop"), spotter=Spotter())
    ears.told = told.append
    microphone.say(speaker().speak("stop the arm right there please"), 0.2)
    stack.run(ears, 3.0)
    assert [text for _, text, _, _ in stack.said] == ["stop", "stop"]
    assert stack.said[0][0] < 0.55
    assert [words.engine for words in told] == [SPOTTER, "commands"]


def block(sequence, stamp, rate=RATE):
    return AudioBlock(stamp, rate, sequence, np.zeros((rate // 50, 1), np.int16))


def test_a_listener_begins_anew_with_the_stream():
    spotter = Spotter()
    listener = Listener(SpeechConfig(), spotter)
    assert listener.push(block(0, 0.0)).utterances == ()
    listener.push(block(2, 0.04))
    assert (listener.lost, spotter.resets) == (1, 0)
    assert listener.push(block(0, 9.0, 8000)).stops == ()
    assert spotter.resets == 1
    assert not listener.speaking


def test_a_listener_leaves_out_what_is_too_quiet():
    said = speaker(Place(level=-20.0, ratio=60.0)).speak("move to the left")
    found = {}
    for least in (-60.0, -5.0):
        microphone = Microphone(PLAIN, np.random.default_rng(0))
        microphone.say(said, 0.5)
        listener = Listener(SpeechConfig(least_loudness=least))
        found[least] = [u for _ in range(150) for u in listener.push(microphone.read()).utterances]
    assert len(found[-60.0]) == 1
    assert found[-5.0] == []
