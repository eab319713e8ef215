"""Microphone drivers: blocks in order, stamped, and honest when nothing comes."""

import wave

import numpy as np
import pytest

from hardware.base import MICROPHONES
from hardware.microphones.mock import MockMicrophone, MockMicrophoneOptions
from hardware.microphones.wav import WavMicrophone
from hierarchy_nodes.errors import ConfigError, DriverError, StaleReadError

START = 500.0


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def write(path, samples, rate=16000, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return str(path)


@pytest.fixture
def speech(tmp_path):
    samples = np.arange(2 * 1000, dtype=np.int16).reshape(-1, 2)
    return write(tmp_path / "a.wav", samples), samples


def wav(clock=None, **options):
    clock = clock or Time()
    settings = WavMicrophone.from_options(options).options
    return WavMicrophone(settings, clock, clock.sleep)


def mock(clock=None, **options):
    clock = clock or Time()
    return MockMicrophone(MockMicrophoneOptions(**options), clock, clock.sleep)


def test_wav_comes_whole_in_order_and_ends(speech):
    path, samples = speech
    clock = Time()
    device = wav(clock, path=path, block=0.02)
    device.connect()
    blocks = []
    while (block := device.read()) is not None:
        # Never before it would have been spoken.
        assert clock.now >= block.stamp + len(block.samples) / 16000 - 1e-9
        blocks.append(block)
    assert np.array_equal(np.concatenate([b.samples for b in blocks]), samples)
    assert [b.sequence for b in blocks] == list(range(4))
    assert blocks[0].stamp == START
    assert blocks[1].stamp == pytest.approx(START + 0.02)
    assert clock.now == pytest.approx(START + 1000 / 16000)
    assert device.read() is None


def test_wav_loops_without_a_gap(speech):
    path, samples = speech
    device = wav(path=path, block=0.02, loop=True)
    device.connect()
    blocks = [device.read() for _ in range(9)]
    sound = np.concatenate([b.samples for b in blocks])
    assert np.array_equal(sound[1000:2000], samples)
    ends = [b.stamp + len(b.samples) / 16000 for b in blocks]
    assert np.allclose(ends[:-1], [b.stamp for b in blocks[1:]])


def test_wav_as_fast_as_it_is_read(speech):
    clock = Time()
    device = wav(clock, path=speech[0], realtime=False)
    device.connect()
    while device.read() is not None:
        pass
    assert clock.now == START


def test_wav_in_real_time(speech):
    """With the real clock: not faster than sound."""
    import time

    device = WavMicrophone.from_options({"path": speech[0]})
    device.connect()
    begin = time.monotonic()
    while device.read() is not None:
        pass
    assert time.monotonic() - begin >= 0.055


def test_bad_files_are_named(tmp_path):
    with pytest.raises(DriverError, match="empty"):
        wav().connect()
    with pytest.raises(DriverError, match=r"missing\.wav"):
        wav(path=str(tmp_path / "missing.wav")).connect()
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(DriverError, match=r"text\.wav"):
        wav(path=str(tmp_path / "text.wav")).connect()
    path = write(tmp_path / "bytes.wav", np.zeros((10, 1), np.uint8), width=1)
    with pytest.raises(DriverError, match="8-bit"):
        wav(path=path).connect()
    with pytest.raises(ConfigError, match="block"):
        WavMicrophone.from_options({"path": "x", "block": 5.0})


@pytest.mark.parametrize("make", [wav, mock])
def test_contract(make, speech):
    options = {"path": speech[0], "loop": True} if make is wav else {}
    clock = Time()
    device = make(clock, block=0.5 if make is mock else 0.05, **options)
    device.disconnect()
    with pytest.raises(DriverError, match="not connected"):
        device.read()
    device.connect()
    with pytest.raises(StaleReadError):
        device.read(timeout=0.01)
    assert clock.now == pytest.approx(START + 0.01)
    # What came too late for one read is there for the next.
    block = device.read()
    assert block.sequence == 0
    assert block.samples.dtype == np.int16
    assert block.samples.ndim == 2
    device.disconnect()
    device.disconnect()
    with pytest.raises(DriverError):
        device.read()
    device.connect()
    assert device.read().sequence == 0


def test_mock_is_a_continuous_tone():
    device = mock(block=0.01, tone=1000.0, level=0.5, channels=2)
    device.connect()
    blocks = [device.read() for _ in range(10)]
    sound = np.concatenate([b.samples for b in blocks])
    assert sound.shape == (1600, 2)
    assert np.abs(sound).max() == pytest.approx(0.5 * 32767, rel=0.01)
    spectrum = np.abs(np.fft.rfft(sound[:, 0].astype(float)))
    assert np.fft.rfftfreq(1600, 1 / 16000)[spectrum.argmax()] == pytest.approx(1000.0)


def test_mock_faults():
    clock = Time()
    device = mock(clock, fault="stop", fault_after=0.1)
    device.connect()
    for _ in range(5):
        device.read()
    with pytest.raises(StaleReadError):
        device.read(timeout=0.2)
    device.inject("raise")
    with pytest.raises(DriverError, match="gone"):
        device.read()
    with pytest.raises(DriverError, match="gone"):
        device.connect()
    device.inject("none")
    device.connect()
    assert device.read() is not None
    with pytest.raises(ConfigError, match="Valid"):
        device.inject("hiss")


def test_registered():
    assert MICROPHONES.get("wav") is WavMicrophone
    assert MICROPHONES.get("mock") is MockMicrophone
