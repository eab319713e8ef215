"""The replay drivers give back what was recorded, in its timing, and obey stop and watchdog."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from hierarchy_nodes.environment import prepare

prepare()

from rclpy.serialization import serialize_message  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from hardware.arms.replay import ReplayArm  # noqa: E402
from hardware.base import JointCommand  # noqa: E402
from hardware.cameras.replay import ReplayCamera  # noqa: E402
from hierarchy_nodes import conversions  # noqa: E402
from hierarchy_nodes.errors import DriverError, StaleReadError  # noqa: E402
from hierarchy_nodes.recorder.recording import Limits, Recording  # noqa: E402
from hierarchy_nodes.recorder.writer import Topic  # noqa: E402
from hierarchy_nodes.types import CameraIntrinsics, Pose  # noqa: E402

NAMES = [f"joint_{i}" for i in range(1, 8)]
CAMERA = CameraIntrinsics(32, 24, 30.0, 30.0, 16.0, 12.0)
POSE = Pose(np.array([1.0, 0.0, 0.5]), np.array([1.0, 0.0, 0.0, 0.0]))
START = 1_700_000_000.0


def stored(recording: Recording, topic: str, kind: str, message, stamp: float) -> None:
    data = serialize_message(message)
    recording.add(Topic(f"/robot1/{topic}", kind), data, int(stamp * 1e9), int(stamp * 1e9))


@pytest.fixture
def arm_bag(tmp_path) -> Path:
    """Two seconds at 125 Hz: every joint goes from 0 to 0.2, the gripper closes; 0.4 s gap."""
    recording = Recording(tmp_path / "arm", Limits(min_free=0))
    for i in range(250):
        if 150 <= i < 200:
            continue
        names = [*reversed(NAMES), "gripper"]  # another order than the driver's
        place = [i / 250 * 0.2 * (7 - j) / 7 for j in range(7)]
        message = JointState(name=names, position=[*place, 1 - i / 250], velocity=[0.1] * 8)
        message.header.stamp = conversions.time_to_msg(START + i / 125)
        stored(recording, "joint_states", "sensor_msgs/msg/JointState", message, START + i / 125)
    recording.close()
    return tmp_path / "arm"


def arm(bag: Path, **options) -> tuple[ReplayArm, list[float]]:
    clock = [100.0]
    driver = ReplayArm(ReplayArm.Options(recording=str(bag), **options), clock=lambda: clock[0])
    driver.connect()
    return driver, clock


def still(value: float = 0.0) -> JointCommand:
    return JointCommand(np.full(7, value), np.zeros(7), 0.5)


def test_arm_follows_the_recording(arm_bag):
    driver, clock = arm(arm_bag)
    clock[0] += 1.0
    state = driver.read_state()
    assert state.stamp == pytest.approx(101.0, abs=0.01)
    assert state.positions[6] == pytest.approx(0.1, abs=2e-3)
    assert state.positions[0] == pytest.approx(0.1 / 7, abs=2e-3)
    assert state.gripper == pytest.approx(0.5, abs=0.01)
    clock[0] += 1.0 + 0.1
    assert driver.read_state().positions[6] == pytest.approx(0.01, abs=2e-3)


def test_arm_without_loop_stays_at_the_end(arm_bag):
    driver, clock = arm(arm_bag, loop=False, rate=2.0)
    clock[0] += 0.5
    assert driver.read_state().positions[6] == pytest.approx(0.1, abs=2e-3)
    clock[0] += 10
    state = driver.read_state()
    assert state.positions[6] == pytest.approx(0.2, abs=2e-3)
    assert not state.velocities.any()


def test_arm_gap_in_the_recording_is_stale(arm_bag):
    driver, clock = arm(arm_bag)
    clock[0] += 1.4
    with pytest.raises(StaleReadError):
        driver.read_state()


def test_arm_command_is_returned_and_logged(arm_bag):
    driver, _ = arm(arm_bag)
    sent = driver.command(still(100.0))
    assert np.all(sent.positions <= driver.capabilities.upper)
    assert driver.device_log[-1].kind == "command"
    assert driver.device_log[-1].positions is sent.positions
    with pytest.raises(DriverError, match="finite"):
        driver.command(still(float("nan")))


def test_arm_stop_freezes_until_the_next_command(arm_bag):
    driver, clock = arm(arm_bag)
    driver.command(still())
    clock[0] += 0.05
    driver.stop()
    assert driver.device_log[-1].kind == "stop"
    before = driver.read_state()
    clock[0] += 1.0
    after = driver.read_state()
    assert np.array_equal(before.positions, after.positions)
    assert not after.velocities.any()
    assert after.stamp == pytest.approx(before.stamp + 1.0)
    driver.command(still())
    clock[0] += 0.05
    assert driver.read_state().positions[6] > after.positions[6]


def test_arm_watchdog_freezes_when_commands_cease(arm_bag):
    driver, clock = arm(arm_bag)
    driver.command(still())
    clock[0] += 1.0
    held = driver.read_state()
    watchdog = driver.capabilities.watchdog
    assert held.positions[6] == pytest.approx(0.1 * watchdog, abs=2e-3)
    clock[0] += 1.0
    assert np.array_equal(driver.read_state().positions, held.positions)


def test_not_connected_and_bad_recordings(tmp_path, arm_bag):
    driver, _ = arm(arm_bag)
    driver.disconnect()
    driver.disconnect()
    with pytest.raises(DriverError, match="not connected"):
        driver.read_state()
    with pytest.raises(DriverError, match="not connected"):
        driver.command(still())
    with pytest.raises(DriverError, match="nowhere"):
        ReplayArm.from_options({"recording": str(tmp_path / "nowhere")}).connect()
    with pytest.raises(DriverError, match=r"camera/color/image_raw.*joint_states"):
        ReplayCamera.from_options({"recording": str(arm_bag)}).connect()
    with pytest.raises(DriverError, match="no recording is named"):
        ReplayArm.from_options().connect()
    recording = Recording(tmp_path / "other", Limits(min_free=0))
    kind = "sensor_msgs/msg/JointState"
    stored(recording, "joint_states", kind, JointState(name=["a"], position=[0.0]), START)
    recording.close()
    with pytest.raises(DriverError, match="no joint joint_1"):
        ReplayArm.from_options({"recording": str(tmp_path / "other")}).connect()


def image(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 255, (24, 32, 3)).astype(np.uint8)


@pytest.fixture
def camera_bag(tmp_path) -> Path:
    """Ten frames at 20 Hz; the fourth has lost its depth; the pose was recorded last."""
    recording = Recording(tmp_path / "camera", Limits(min_free=0))
    frame = "camera_color_optical_frame"
    for i in range(10):
        stamp = START + i / 20
        message = conversions.image_to_msg(image(i), "rgb8", stamp, frame)
        stored(recording, "camera/color/image_raw", "sensor_msgs/msg/Image", message, stamp)
        if i != 3:
            depth = np.full((24, 32), 1000 + i, np.uint16)
            message = conversions.image_to_msg(depth, "16UC1", stamp, frame)
            topic = "camera/aligned_depth_to_color/image_raw"
            stored(recording, topic, "sensor_msgs/msg/Image", message, stamp + 0.001)
        info = conversions.camera_info_to_msg(CAMERA, stamp, frame)
        stored(recording, "camera/color/camera_info", "sensor_msgs/msg/CameraInfo", info, stamp)
    pose = conversions.pose_stamped(START, "base_link", POSE)
    stored(recording, "camera/color/camera_pose", "geometry_msgs/msg/PoseStamped", pose, START + 1)
    recording.close()
    return tmp_path / "camera"


def collect(driver: ReplayCamera, count: int, timeout: float = 20.0) -> list:
    frames: list = []
    deadline = time.monotonic() + timeout
    while len(frames) < count and time.monotonic() < deadline:
        frame = driver.read(max_age=5.0)
        if not frames or frame is not frames[-1]:
            frames.append(frame)
        time.sleep(0.002)
    return frames


def test_camera_shows_recorded_frames_in_their_timing(camera_bag):
    driver = ReplayCamera.from_options({"recording": str(camera_bag), "loop": False, "rate": 0.5})
    driver.connect()
    connected = time.time()
    frames = collect(driver, 9)
    assert len(frames) == 9
    seen = [round(float(f.depth[0, 0]) * 1000) - 1000 for f in frames]
    assert seen == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    for i, frame in zip(seen, frames, strict=True):
        assert np.array_equal(frame.color, image(i))
        assert frame.stamp - frames[0].stamp == pytest.approx(i / 10, abs=1e-3)
        assert frame.intrinsics == CAMERA
        assert np.array_equal(frame.camera_pose.position, POSE.position)
    assert abs(frames[0].stamp - connected) < 2.0
    time.sleep(0.3)
    with pytest.raises(StaleReadError):
        driver.read(max_age=0.2)
    driver.disconnect()
    driver.disconnect()
    with pytest.raises(DriverError, match="not connected"):
        driver.read()


def test_camera_loops_with_rising_stamps(camera_bag):
    driver = ReplayCamera.from_options({"recording": str(camera_bag), "rate": 4.0})
    driver.connect()
    frames = collect(driver, 25)
    driver.disconnect()
    stamps = [frame.stamp for frame in frames]
    assert len(stamps) == 25
    assert all(b > a for a, b in itertools.pairwise(stamps))
