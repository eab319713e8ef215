"""What every camera driver promises."""

import time

import numpy as np
import pytest

from hierarchy_nodes.errors import DriverError, StaleReadError, UnknownNameError


def newer(driver, stamp: float, timeout: float = 10.0):
    """The first frame that is newer than `stamp`."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        frame = driver.read(2.0)
        if frame.stamp > stamp:
            return frame
        time.sleep(0.005)
    raise AssertionError(f"no frame newer than {stamp} within {timeout} s")


def test_frames_are_whole_and_fresh(camera):
    driver = camera.connected()
    frame = driver.read(2.0)
    height, width = frame.intrinsics.height, frame.intrinsics.width
    assert frame.color.shape == (height, width, 3)
    assert frame.color.dtype == np.uint8
    assert frame.depth.shape == (height, width)
    assert frame.depth.dtype == np.float32
    assert np.isfinite(frame.depth).all()
    assert (frame.depth >= 0).all()
    # It sees the table, from less than three metres.
    assert 0.1 < np.median(frame.depth[frame.depth > 0]) < 3.0
    assert frame.color.std() > 1.0
    assert frame.frame_id
    assert abs(time.time() - frame.stamp) < 2.0
    assert frame.intrinsics.fx > 0
    assert frame.intrinsics.fy > 0
    assert np.linalg.norm(frame.camera_pose.quaternion) == pytest.approx(1.0, abs=1e-6)
    assert frame.camera_pose.position.shape == (3,)


def test_newer_frames_come_in_order(camera):
    driver = camera.connected()
    stamps = [driver.read(2.0).stamp]
    for _ in range(4):
        stamps.append(newer(driver, stamps[-1]).stamp)
    assert all(np.diff(stamps) > 0)
    assert stamps[-1] - stamps[0] < 5.0


@pytest.mark.parametrize("connected_before", [False, True])
def test_nothing_works_without_a_connection(camera, connected_before):
    driver = camera.connected() if connected_before else camera.make()
    driver.disconnect()
    with pytest.raises(DriverError) as caught:
        driver.read()
    assert not isinstance(caught.value, StaleReadError)


def test_disconnect_is_harmless_and_connect_works_again(camera):
    driver = camera.make()
    driver.disconnect()
    driver.connect()
    driver.connect()
    first = driver.read(2.0)
    driver.disconnect()
    driver.disconnect()
    driver.connect()
    assert newer(driver, first.stamp).stamp > first.stamp


def test_a_stale_frame_raises(camera):
    driver = camera.silence()
    time.sleep(0.4)
    with pytest.raises(StaleReadError) as caught:
        driver.read(max_age=0.2)
    assert caught.value.age >= 0.2


def test_a_lost_device_raises_and_says_so(camera):
    driver = camera.lose()
    if driver is None:
        return  # Read as a whole when it was connected: there is nothing left to lose.
    deadline = time.monotonic() + 10.0
    lost = None
    while lost is None and time.monotonic() < deadline:
        try:
            driver.read(max_age=0.3)
        except StaleReadError:
            time.sleep(0.05)
        except DriverError as error:
            lost = error
    assert lost is not None
    assert str(lost)


def test_a_missing_device_is_named(camera):
    driver = camera.missing()
    with pytest.raises(DriverError) as caught:
        driver.connect()
    assert len(str(caught.value)) > 10
    with pytest.raises(DriverError):
        driver.read()


def test_unknown_options_are_refused_with_the_nearest(camera):
    known = next(iter(camera.kind.Options.__dataclass_fields__))
    with pytest.raises(UnknownNameError, match=f"Did you mean '{known}'"):
        camera.make(**{f"{known}_": 1})
