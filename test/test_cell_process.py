"""The cell as its own process, through the drivers: what a real device would do to us."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hardware.arms.mujoco import MujocoArm
from hardware.base import JointCommand
from hardware.cameras.mujoco import MujocoCamera
from hardware.cell import protocol
from hardware.cell.client import RefereeClient
from hardware.cell.scene import ObjectSpec, SceneSpec
from hardware.cell.tasks import TaskSpec, sample
from hierarchy_nodes.errors import ConfigError, DriverError, StaleReadError

STILL = np.zeros(7)


class Process:
    """A cell process that can be killed and started again."""

    def __init__(self, name, token=""):
        self.name, self.token = name, token
        self.start()

    def start(self):
        command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "cell", "--name", self.name]
        if self.token:
            command += ["--referee-token", self.token]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert "ready" in line, line

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@pytest.fixture
def name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("HIERARCHY_REFEREE_TOKEN", raising=False)
    return "t"


@pytest.fixture
def cell(name):
    running = Process(name, token="secret")
    yield running
    running.end()


@pytest.fixture
def arm(cell):
    driver = MujocoArm.from_options({"cell": cell.name})
    driver.connect()
    yield driver
    driver.disconnect()


def eventually(check, seconds=8.0):
    """Call until it neither raises a DriverError nor returns something false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = check()
            if result:
                return result
        except DriverError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "nothing within the time"
        time.sleep(0.02)


def test_setpoint_reaches_the_arm_and_comes_back(arm):
    start = arm.read_state(1.0)
    assert abs(time.time() - start.stamp) < 1.0
    target = start.positions + 0.1
    sent = arm.command(JointCommand(target, STILL, 0.5))
    assert np.allclose(sent.positions, target)

    def there():
        arm.command(JointCommand(target, STILL, 0.5))
        state = arm.read_state(1.0)
        return np.allclose(state.positions, target, atol=5e-3) and abs(state.gripper - 0.5) < 0.05

    eventually(there)


def test_the_cell_holds_when_commands_end(arm):
    start = arm.read_state(1.0).positions
    far = start.copy()
    far[0] += 2.5
    arm.command(JointCommand(far, STILL, 1.0))
    time.sleep(1.0)
    held = arm.read_state(1.0).positions
    time.sleep(0.5)
    later = arm.read_state(1.0)
    assert 0.0 < held[0] - start[0] < 1.0
    assert np.allclose(later.positions, held, atol=1e-3)
    assert np.allclose(later.velocities, 0.0, atol=1e-2)


def test_stop_stops(arm):
    start = arm.read_state(1.0).positions
    far = start.copy()
    far[0] += 2.5
    deadline = time.monotonic() + 0.15
    while time.monotonic() < deadline:
        arm.command(JointCommand(far, STILL, 1.0))
        time.sleep(0.01)
    arm.stop()
    time.sleep(0.4)
    state = arm.read_state(1.0)
    assert np.abs(state.velocities).max() < 0.02
    assert state.positions[0] < far[0] - 0.5


def test_killed_cell_makes_reads_raise_and_comes_back(cell, arm):
    camera = MujocoCamera.from_options({"cell": cell.name})
    camera.connect()
    frame = camera.read(2.0)
    assert frame.color.shape == (240, 320, 3)
    assert frame.frame_id == "camera_color_optical_frame"
    cell.end(signal.SIGKILL)
    time.sleep(0.7)
    with pytest.raises(DriverError, match="is gone"):
        arm.read_state()
    with pytest.raises(DriverError):
        arm.command(JointCommand(np.zeros(7), STILL, 1.0))
    with pytest.raises(StaleReadError):
        camera.read(0.5)
    time.sleep(1.5)
    with pytest.raises(DriverError, match="is gone"):
        camera.read(0.5)
    cell.start()  # the dead one's sockets and lock do not stand in the way
    assert eventually(lambda: arm.read_state(1.0)).stamp > frame.stamp
    assert eventually(lambda: camera.read(1.0)).stamp > frame.stamp
    camera.disconnect()
    camera.disconnect()


def test_frames_are_those_of_the_scene(cell):
    from hardware.cell.cell import Cell

    camera = MujocoCamera.from_options({"cell": cell.name, "camera": "side"})
    with pytest.raises(DriverError, match="not connected"):
        camera.read()
    camera.connect()
    frame = camera.read(2.0)
    camera.disconnect()
    twin = Cell(sample("place", 1)[0])
    own = twin.capture("side")
    twin.close()
    assert np.abs(frame.color.astype(int) - own.color).mean() < 1.0
    both = (frame.depth > 0) & (own.depth > 0)
    assert np.median(np.abs(frame.depth - own.depth)[both]) < 1e-3


def test_referee_needs_the_token(cell):
    with pytest.raises(DriverError, match="wrong referee token"):
        RefereeClient(cell.name, "guess").verdict()
    with pytest.raises(DriverError, match="wrong referee token"):
        RefereeClient(cell.name).verdict()
    referee = RefereeClient(cell.name, "secret")
    assert not referee.verdict().success
    assert referee.reset("stack", 5) == sample("stack", 5)[1]
    with pytest.raises(DriverError, match="stak"):
        referee.reset("stak", 5)


def test_referee_lays_scenes_and_moves_things(cell, arm):
    scene = SceneSpec(
        (
            ObjectSpec.make("red", "block", (0.45, 0.10)),
            ObjectSpec.make("blue", "plate", (0.50, -0.15)),
        )
    )
    task = TaskSpec("place", "put the red block on the blue plate", "red_block", "blue_plate", "on")
    referee = RefereeClient(cell.name, "secret")
    assert referee.reset_to(scene, task) == task
    assert referee.scene == scene
    assert not referee.verdict().success
    referee.perturb("red_block", (0.50, -0.15, 0.04))
    eventually(lambda: referee.verdict().success)
    assert arm.read_state(1.0).stamp > 0
    with pytest.raises(DriverError, match="red_block"):
        referee.perturb("green_block", (0.5, 0.0, 0.04))


def test_blind_camera_reads_stale_then_recovers(cell):
    camera = MujocoCamera.from_options({"cell": cell.name})
    camera.connect()
    RefereeClient(cell.name, "secret").blind(1.5)
    time.sleep(1.0)
    with pytest.raises(StaleReadError):
        camera.read(0.5)
    eventually(lambda: camera.read(0.5))
    camera.disconnect()


def test_no_token_no_referee(name):
    cell = Process(name)
    try:
        with pytest.raises(DriverError, match="no answer"):
            RefereeClient(name, "secret", timeout=0.5).verdict()
    finally:
        assert cell.end(signal.SIGINT) == 0


def test_a_second_cell_of_the_name_is_refused(cell):
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "cell", "--name", cell.name]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert f"'{cell.name}' is already running" in second.stderr
    assert "Traceback" not in second.stderr


def test_absent_cell_is_named(name):
    arm = MujocoArm.from_options({"cell": "nobody", "connect_timeout": 0.2})
    with pytest.raises(DriverError, match="hierarchy cell --name nobody"):
        arm.connect()
    arm.disconnect()


def test_addresses(name):
    assert protocol.address("tcp://127.0.0.1:5600", "camera") == "tcp://127.0.0.1:5602"
    for bad in ("", "a/b", "tcp://nohost", "x" * 200):
        with pytest.raises(ConfigError):
            protocol.address(bad, "arm")


def test_command_older_than_the_watchdog_is_dropped(arm):
    import zmq

    start = arm.read_state(1.0).positions
    with zmq.Context.instance().socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(protocol.address("t", "arm"))
        late = JointCommand(start + 0.2, STILL, 0.0)
        socket.send(protocol.pack_command(late, time.time() - 1.0))
        socket.send(b"rubbish")
        time.sleep(0.5)
    assert np.allclose(arm.read_state(1.0).positions, start, atol=1e-3)
