"""What every microphone driver promises."""

import itertools

import numpy as np
import pytest

from hierarchy_nodes.errors import DriverError, StaleReadError, UnknownNameError


def test_blocks_follow_one_another_without_a_gap(microphone):
    driver = microphone.connected()
    blocks = [driver.read() for _ in range(6)]
    for index, block in enumerate(blocks):
        assert block.sequence == index
        assert block.samples.dtype == np.int16
        assert block.samples.ndim == 2
        assert block.sample_rate > 0
    for before, after in itertools.pairwise(blocks):
        length = len(before.samples) / before.sample_rate
        assert after.stamp - before.stamp == pytest.approx(length, abs=1e-5)
    assert any(block.samples.any() for block in blocks)


@pytest.mark.parametrize("connected_before", [False, True])
def test_nothing_works_without_a_connection(microphone, connected_before):
    driver = microphone.connected() if connected_before else microphone.make()
    driver.disconnect()
    with pytest.raises(DriverError) as caught:
        driver.read()
    assert not isinstance(caught.value, StaleReadError)


def test_disconnect_is_harmless_and_connect_works_again(microphone):
    driver = microphone.make()
    driver.disconnect()
    driver.connect()
    driver.connect()
    assert driver.read().sequence == 0
    assert driver.read().sequence == 1
    driver.disconnect()
    driver.disconnect()
    driver.connect()
    assert driver.read().sequence == 0


def test_silence_of_the_device_raises(microphone):
    driver = microphone.silence()
    with pytest.raises(StaleReadError):
        driver.read(timeout=0.1)


def test_a_lost_device_raises_and_says_so(microphone):
    driver = microphone.lose()
    if driver is None:
        return  # Read as a whole when it was connected: there is nothing left to lose.
    with pytest.raises(DriverError) as caught:
        driver.read()
    assert not isinstance(caught.value, StaleReadError)


def test_a_missing_device_is_named(microphone):
    driver = microphone.missing()
    with pytest.raises(DriverError) as caught:
        driver.connect()
    assert len(str(caught.value)) > 10
    with pytest.raises(DriverError):
        driver.read()


def test_unknown_options_are_refused_with_the_nearest(microphone):
    known = next(iter(microphone.kind.Options.__dataclass_fields__))
    with pytest.raises(UnknownNameError, match=f"Did you mean '{known}'"):
        microphone.make(**{f"{known}_": 1})


def test_a_finite_source_ends_with_none(wav_file):
    from hardware.microphones.wav import WavMicrophone

    driver = WavMicrophone.from_options({"path": str(wav_file), "realtime": False})
    driver.connect()
    samples = []
    while (block := driver.read()) is not None:
        samples.append(block.samples[:, 0])
    np.testing.assert_array_equal(np.concatenate(samples), np.arange(8000))
    assert driver.read() is None
