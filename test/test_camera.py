"""The mock camera, and the source that reads any camera and reaches for it again."""

import numpy as np
import pytest

from hardware.base import CAMERAS
from hardware.cameras.mock import MockCamera, MockCameraOptions
from hierarchy_nodes.camera.config import CameraConfig
from hierarchy_nodes.camera.source import CameraSource
from hierarchy_nodes.errors import ConfigError, DriverError, StaleReadError
from hierarchy_nodes.geometry import point_cloud
from hierarchy_nodes.parameters import load

START = 1000.0


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def camera(clock, **options):
    return MockCamera(MockCameraOptions(**options), clock)


def test_frames_are_the_same_every_time_and_move(clock):
    frames = []
    for _ in range(2):
        clock.now = START
        device = camera(clock)
        device.connect()
        clock.now = START + 1.0
        frames.append(device.read())
    assert np.array_equal(frames[0].color, frames[1].color)
    assert np.array_equal(frames[0].depth, frames[1].depth)
    clock.now = START + 2.0
    assert not np.array_equal(device.read().color, frames[1].color)


def test_depth_is_exact(clock):
    device = camera(clock)
    device.connect()
    frame = device.read()
    cloud, known = point_cloud(frame)
    table = known & (np.abs(frame.color.astype(int) - (150, 142, 132)).max(axis=-1) == 0)
    assert table.sum() > 10000
    assert np.abs(cloud[table][:, 2]).max() < 1e-5
    top = (np.abs(frame.color.astype(int) - (30, 60, 190)).max(axis=-1) == 0) & known
    assert np.abs(cloud[top][:, 2] - 0.012).max() < 1e-5


def test_reads_before_connecting_and_after_disconnecting_raise(clock):
    device = camera(clock)
    with pytest.raises(DriverError, match="not connected"):
        device.read()
    device.connect()
    device.read()
    device.disconnect()
    device.disconnect()
    with pytest.raises(DriverError):
        device.read()


def test_faults_begin_and_end(clock):
    device = camera(clock, fault="stop", fault_after=1.0, fault_seconds=2.0)
    device.connect()
    device.read()
    clock.now = START + 1.2
    device.read(max_age=2.0)
    clock.now = START + 2.5
    with pytest.raises(StaleReadError, match="mock camera"):
        device.read()
    clock.now = START + 3.5
    assert device.read().stamp == pytest.approx(START + 3.5, abs=0.1)


def test_late_frames_are_stale(clock):
    device = camera(clock)
    device.connect()
    device.inject("stale")
    clock.now += 1.0
    with pytest.raises(StaleReadError):
        device.read()
    with pytest.raises(ConfigError, match="Valid: none"):
        device.inject("melt")


def test_gone_device_refuses_to_connect(clock):
    device = camera(clock)
    device.connect()
    device.inject("raise")
    with pytest.raises(DriverError, match="gone"):
        device.read()
    with pytest.raises(DriverError, match="gone"):
        device.connect()
    device.inject("none")
    device.connect()
    device.read()


def test_source_hands_out_each_frame_once(clock):
    device = camera(clock, rate_hz=10.0)
    source = CameraSource(device, 0.5, 1.0, clock.now)
    stamps = []
    for step in range(100):
        clock.now = START + step * 0.01
        frame = source.poll(clock.now)
        if frame is not None:
            stamps.append(frame.stamp)
    assert 9 <= len(stamps) <= 10
    assert stamps == sorted(set(stamps))
    health = source.health(clock.now)
    assert health.ok
    assert health.message.startswith(("9.", "10."))


@pytest.mark.parametrize("fault", ["stop", "stale", "raise"])
def test_source_reports_a_stopped_camera_and_recovers(clock, fault):
    device = camera(clock)
    source = CameraSource(device, 0.5, 1.0, clock.now)
    assert source.poll(clock.now) is not None
    device.inject(fault)
    for _ in range(300):
        clock.now += 0.01
        assert source.poll(clock.now) is None or fault == "stale"
    health = source.health(clock.now)
    assert not health.ok
    assert "no frame for 3 s" in health.message or "no frame for 2 s" in health.message
    assert "reconnecting" in health.message
    device.inject("none")
    found = []
    for _ in range(150):
        clock.now += 0.01
        found.append(source.poll(clock.now))
    assert any(frame is not None for frame in found)
    assert source.health(clock.now).ok


def test_source_survives_what_a_foreign_driver_raises(clock):
    class Wild(MockCamera):
        broken = True

        def read(self, max_age=0.5):
            if self.broken:
                raise RuntimeError("libfoo: -7")
            return super().read(max_age)

    device = Wild(MockCameraOptions(), clock)
    source = CameraSource(device, 0.5, 0.2, clock.now)
    for _ in range(100):
        clock.now += 0.01
        assert source.poll(clock.now) is None
    assert "RuntimeError: libfoo: -7" in source.health(clock.now).message
    device.broken = False
    clock.now += 0.5
    assert source.poll(clock.now) is not None


def test_source_refuses_images_that_do_not_fit(clock):
    class Odd(MockCamera):
        def read(self, max_age=0.5):
            frame = super().read(max_age)
            return type(frame)(**{**frame.__dict__, "depth": frame.depth[:-1]})

    source = CameraSource(Odd(MockCameraOptions(), clock), 0.5, 1.0, clock.now)
    assert source.poll(clock.now) is None
    clock.now += 0.6
    assert "do not fit" in source.health(clock.now).message


def test_config_takes_the_options_of_its_driver():
    config, options = load(CameraConfig, {"driver": "mock", "mock": {"rate_hz": 30}})
    assert config.driver == "mock"
    assert options["driver"].rate_hz == 30.0
    assert CAMERAS.get("mock") is MockCamera
    with pytest.raises(ConfigError, match="webcam"):
        load(CameraConfig, {"driver": "webcam"})
