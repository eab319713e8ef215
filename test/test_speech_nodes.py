"""A recording is played into the microphone topic; what is said comes out as corrections."""

import signal
import time
import wave

import numpy as np
import pytest
from hierarchy_interfaces import msg
from std_msgs.msg import Empty

from hardware.base import AudioBlock
from hierarchy_nodes import conversions, qos
from hierarchy_nodes.errors import DriverError
from hierarchy_nodes.microphone.source import MicrophoneSource, loudness
from hierarchy_nodes.speech.synthesis import Espeak

pytestmark = pytest.mark.timeout(240)


class Faulty:
    """A driver that plays a script: numbers of blocks, or errors."""

    def __init__(self, *script):
        self.script, self.connections = list(script), 0

    def connect(self):
        self.connections += 1

    def disconnect(self):
        pass

    def read(self, timeout):
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        return AudioBlock(0.0, 16000, step, np.full((320, 1), 3277, np.int16))


def test_lost_blocks_are_counted_over_a_new_connection():
    driver = Faulty(0, 1, 4, DriverError("unplugged"), 0, 1, RuntimeError("odd"), 0)
    source = MicrophoneSource(driver, 1.0, 1.0)
    found, told = [], []
    for now in (0.0, 0.1, 0.2, 0.3, 0.4, 1.5, 1.6, 1.7, 3.0, 3.1):
        block = source.poll(now)
        found.append(block.sequence if block is not None else None)
        told.append(source.health())
    assert found == [0, 1, 4, None, None, 5, 6, None, 7, None]
    assert "2 blocks lost" in told[2].message
    assert not told[3].ok
    assert "unplugged" in told[3].message
    assert "RuntimeError: odd" in told[7].message
    assert told[-1].ended
    assert driver.connections == 3


def test_loudness_is_relative_to_full_scale():
    assert loudness(np.full((100, 1), 32767, np.int16)) == pytest.approx(0, abs=0.01)
    assert loudness(np.full((100, 1), 3277, np.int16)) == pytest.approx(-20, abs=0.01)
    assert loudness(np.zeros((100, 1), np.int16)) == -120


@pytest.fixture
def recording(tmp_path):
    speaker = Espeak()
    gap = np.random.default_rng(0).normal(0, 0.0005, speaker.rate)
    said = [speaker.speak(text) * 0.5 for text in ("left a bit", "stop")]
    whole = np.concatenate([gap, gap, gap, said[0], gap, said[1], gap, gap])
    path = tmp_path / "said.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speaker.rate)
        file.writeframes((whole * 32767).astype("<i2").tobytes())
    return path, 3.0, len(said[0]) / speaker.rate


def test_spoken_words_become_corrections(graph, recording):
    path, begin, length = recording
    chunks = graph.listen("microphone/audio", msg.AudioChunk, qos.AUDIO)
    words = graph.listen("transcript", msg.Transcript, qos.EVENT)
    corrections = graph.listen("correction", msg.Correction, qos.EVENT)
    stops = graph.listen("stop", Empty, qos.EVENT)
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    graph.start("speech", "hierarchy_nodes.speech.node")
    graph.start("correction", "hierarchy_nodes.correction.node")
    graph.wait_for(lambda: {"speech", "correction"} <= {s.node for _, s in states}, 120)
    graph.start("microphone", "hierarchy_nodes.microphone.node", driver="wav", wav__path=str(path))
    graph.wait_for(lambda: stops and len(corrections) >= 2 and len(words) >= 3, 60)
    first, spotted, second = (m for _, m in words)
    assert "left a bit" in first.text.lower()
    assert "stop" in second.text.lower()
    assert first.engine == second.engine == "commands"
    # It is told while it is still being spoken, or right after, and once.
    assert (spotted.text, spotted.engine) == ("stop", "spotter")
    at, last = (conversions.time_from_msg(t) for t in (spotted.header.stamp, second.end))
    assert at < last + 0.3
    assert stops[0][0] < words[2][0]
    graph.spin(0.3)
    assert first.confidence > 0.5
    assert -50 < first.loudness < -5
    # It tells when the words were spoken, not when they were understood.
    earliest = chunks[0][1]
    zero = conversions.time_from_msg(earliest.header.stamp) - 0.02 * earliest.sequence
    start = conversions.time_from_msg(first.header.stamp) - zero
    end = conversions.time_from_msg(first.end) - zero
    assert begin - 0.6 < start < begin + 0.2
    assert begin + length - 0.3 < end < begin + length + 0.8
    kinds = [m.kind for _, m in corrections]
    assert kinds == ["motion", "stop"]
    assert corrections[0][1].motion.direction.y > 0.9
    numbers = [m.sequence for _, m in chunks]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    graph.wait_for(lambda: any(s.state == "done" for _, s in states if s.node == "microphone"), 20)


def test_words_outlast_a_node_that_is_held_up(graph, recording):
    path, begin, length = recording
    chunks = graph.listen("microphone/audio", msg.AudioChunk, qos.AUDIO)
    words = graph.listen("transcript", msg.Transcript, qos.EVENT)
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    process = graph.start("speech", "hierarchy_nodes.speech.node", spot_stop=False)
    graph.wait_for(lambda: states, 120)
    graph.start("microphone", "hierarchy_nodes.microphone.node", driver="wav", wav__path=str(path))
    middle = round((begin + length / 2) / 0.02)
    graph.wait_for(lambda: chunks and chunks[-1][1].sequence >= middle, 60)
    process.send_signal(signal.SIGSTOP)
    graph.spin(1.3)
    process.send_signal(signal.SIGCONT)
    graph.wait_for(lambda: words, 60)
    assert "left a bit" in words[0][1].text.lower()


def test_broken_sound_is_told_and_survived(graph):
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    sound = graph.node.create_publisher(msg.AudioChunk, "microphone/audio", qos.AUDIO)
    process = graph.start("speech", "hierarchy_nodes.speech.node")
    graph.wait_for(lambda: states and sound.get_subscription_count(), 120)
    for bad in (
        msg.AudioChunk(sample_rate=0, channels=1, samples=[1, 2, 3]),
        msg.AudioChunk(sample_rate=16000, channels=2, samples=[1, 2, 3]),
        msg.AudioChunk(sample_rate=16000, channels=1),
    ):
        before = len(states)
        sound.publish(bad)
        graph.wait_for(lambda n=before: any(s.state == "failed" for _, s in states[n:]), 20)
    good = msg.AudioChunk(sample_rate=16000, channels=1, samples=[0] * 320)
    good.header.stamp = conversions.time_to_msg(time.time())
    before = len(states)
    sound.publish(good)
    graph.wait_for(lambda: any(s.state == "idle" for _, s in states[before:]), 20)
    assert process.poll() is None
