"""What the contract tests need to know of each driver: its options, its device, its faults.

A newly registered driver needs a case here; without one its contract tests fail and say so.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from graph import ROOT

from hardware.base import ARMS, CAMERAS, MICROPHONES, ArmState
from hierarchy_nodes.environment import prepare

prepare()

START = 1_700_000_000.0


class CellProcess:
    """A simulated cell in a process of its own, as a real controller box would be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "cell", "--name", self.name]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert "ready" in self.process.stdout.readline()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def cell() -> Iterator[CellProcess]:
    running = CellProcess(f"contract-{os.getpid()}")
    yield running
    running.kill()


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> Path:
    """A folder with ``whole`` (3 s of arm and camera) and ``gap`` (nothing from 0.1 s to 1.5 s)."""
    from rclpy.serialization import serialize_message

    from hardware.arms.mock import MockArm
    from hardware.cameras.mock import MockCamera
    from hierarchy_nodes import conversions
    from hierarchy_nodes.recorder.recording import Limits, Recording
    from hierarchy_nodes.recorder.writer import Topic
    from hierarchy_nodes.types import RobotState

    folder = tmp_path_factory.mktemp("recordings")
    arm = MockArm.from_options()
    names = list(arm.capabilities.joint_names)
    arm.connect()
    home = arm.read_state()
    for name, gap in (("whole", (9.0, 9.0)), ("gap", (0.1, 1.5))):
        recording = Recording(folder / name, Limits(min_free=0))

        def store(topic: str, kind: str, message: Any, stamp: float, to=recording) -> None:
            nanoseconds = int(stamp * 1e9)
            to.add(Topic(f"/{topic}", kind), serialize_message(message), nanoseconds, nanoseconds)

        clock = [START]
        camera = MockCamera(MockCamera.Options(width=64, height=48), clock=lambda c=clock: c[0])
        camera.connect()
        for tick in range(375):
            now = tick / 125
            clock[0] = stamp = START + now
            if gap[0] < now < gap[1]:
                continue
            velocities = np.full_like(home.positions, 0.1)
            state = RobotState(
                stamp, home.positions + 0.1 * now, velocities, 0.5, camera.read(10.0).camera_pose
            )
            message = conversions.joint_state_to_msg(state, names, "gripper")
            store("joint_states", "sensor_msgs/msg/JointState", message, stamp)
            if tick % 12 == 0:
                frame = camera.read(10.0)
                images = "sensor_msgs/msg/Image"
                depth = np.round(frame.depth * 1000).astype(np.uint16)
                info = conversions.camera_info_to_msg(frame.intrinsics, stamp, frame.frame_id)
                pose = conversions.pose_stamped(stamp, "base_link", frame.camera_pose)
                store("camera/color/camera_pose", "geometry_msgs/msg/PoseStamped", pose, stamp)
                store("camera/color/camera_info", "sensor_msgs/msg/CameraInfo", info, stamp)
                color = conversions.image_to_msg(frame.color, "rgb8", stamp, frame.frame_id)
                store("camera/color/image_raw", images, color, stamp)
                depths = conversions.image_to_msg(depth, "16UC1", stamp, frame.frame_id)
                store("camera/aligned_depth_to_color/image_raw", images, depths, stamp)
        recording.close()
    return folder


class Case:
    """A driver under test.

    Attributes:
        options: As in a configuration file.
        outside: Whether the device lives outside of this process.
        obeys: Whether the device does what it is told (a recording does not).
        absent: Options under which there is no device to connect to.
    """

    outside = False
    obeys = True
    absent: dict[str, Any] | None = None

    def __init__(self, kind: type[Any], options: dict[str, Any]) -> None:
        self.kind, self.options = kind, options
        self._made: list[Any] = []
        self._cleanup: list[Callable[[], object]] = []

    def make(self, **options: Any) -> Any:
        driver = self.kind.from_options(self.options | options)
        self._made.append(driver)
        return driver

    def connected(self, **options: Any) -> Any:
        driver = self.make(**options)
        driver.connect()
        return driver

    def boundary(self, driver: Any) -> ArmState:
        """What the device itself has: its newest command, or where it is."""
        event = driver.device_log[-1]
        return ArmState(event.stamp, event.positions, event.velocities, event.gripper)

    def silence(self) -> Any:
        """A connected driver whose device gives nothing new."""
        driver = self.connected()
        if hasattr(driver, "inject"):
            driver.inject("stop")
        else:
            driver.inject_stale()
        driver_read(driver)
        return driver

    def lose(self) -> Any:
        """A connected driver whose device is gone for good; None where it was read as a whole."""
        driver = self.connected()
        if hasattr(driver, "inject"):
            driver.inject("raise")
        else:
            driver.inject_drop()
        return driver

    def missing(self) -> Any:
        """A driver whose device cannot be reached."""
        if self.absent is not None:
            return self.make(**self.absent)
        driver = self.make()
        if hasattr(driver, "inject"):
            driver.inject("raise")
            return driver
        return self.make(refused_connects=1)

    def close(self) -> None:
        for driver in self._made:
            driver.disconnect()
        for clean in self._cleanup:
            clean()


def driver_read(driver: Any) -> None:
    """Let a driver that makes its readings on demand make one."""
    if hasattr(driver, "read_state"):
        driver.read_state(max_age=1e9)
    elif hasattr(driver, "boxes"):
        driver.read(1e9)


class CellCase(Case):
    outside = True
    absent: ClassVar = {"cell": "nobody-here", "connect_timeout": 0.3}

    def __init__(self, kind: type[Any], cell: CellProcess) -> None:
        # A first image takes long where others load the machine.
        super().__init__(kind, {"cell": cell.name, "connect_timeout": 20.0})
        self.cell = cell
        self._observer: Any = None

    def boundary(self, driver: Any) -> ArmState:
        if self._observer is None:
            self._observer = self.connected()
        return self._observer.read_state(max_age=1.0)

    def silence(self) -> Any:
        driver = self.connected()
        driver_read(driver)
        self._cleanup.append(lambda: self.cell.signal(signal.SIGCONT))
        self.cell.signal(signal.SIGSTOP)
        return driver

    def lose(self) -> Any:
        other = CellProcess(f"{self.cell.name}-lost")
        try:
            return self.connected(cell=other.name)
        finally:
            other.kill()


class ReplayCase(Case):
    obeys = False
    absent: ClassVar = {"recording": "/nowhere/recording"}

    def __init__(self, kind: type[Any], folder: Path) -> None:
        super().__init__(kind, {"recording": str(folder / "whole")})
        self._folder = folder

    def silence(self) -> Any:
        driver = self.connected(recording=str(self._folder / "gap"))
        time.sleep(0.3)
        return driver

    def lose(self) -> Any:
        copy = self._folder / f"lost-{time.monotonic_ns()}"
        shutil.copytree(self._folder / "whole", copy)
        driver = self.connected(recording=str(copy), rate=20.0)
        shutil.rmtree(copy)
        return None if hasattr(driver, "read_state") else driver


class WavCase(Case):
    absent: ClassVar = {"path": "/nowhere/words.wav"}

    def silence(self) -> Any:
        # Blocks that take longer than anybody waits for them.
        return self.connected(block=1.0)

    def lose(self) -> Any:
        return None


class PortAudioCase(Case):
    """The real library on a made-up ALSA device that hears what is written into a file.

    Nothing paces that device, so it hears faster than real ones do.
    """

    absent: ClassVar = {"device": "nobody's microphone"}

    def silence(self) -> Any:
        driver = self.connected()
        driver._blocks = _Deaf()
        return driver

    def lose(self) -> Any:
        driver = self.connected()
        driver._stream.abort()
        driver._blocks.queue.clear()
        return driver


class _Deaf(queue.Queue):
    def put_nowait(self, item: Any) -> None:
        """Nothing arrives."""


@pytest.fixture(scope="session")
def sound_card(tmp_path_factory) -> Iterator[None]:
    """A made-up microphone for PortAudio, which looks for devices when it is loaded."""
    import sounddevice

    folder = tmp_path_factory.mktemp("alsa")
    said = 8000 * np.sin(np.arange(16000 * 60) / 16000 * 2 * np.pi * 440)
    said.astype("<i2").tofile(folder / "said.raw")
    (folder / "asound.conf").write_text(
        f"""
        pcm.nothing {{ type null }}
        pcm.said {{
          type file
          slave.pcm "nothing"
          file "/dev/null"
          infile "{folder / "said.raw"}"
          format "raw"
        }}
        pcm.spoken {{ type plug slave.pcm "said" }}
        pcm.default {{ type plug slave.pcm "said" }}
        """
    )
    before = os.environ.get("ALSA_CONFIG_PATH")
    os.environ["ALSA_CONFIG_PATH"] = str(folder / "asound.conf")
    sounddevice._terminate()
    sounddevice._initialize()
    yield
    if before is None:
        del os.environ["ALSA_CONFIG_PATH"]
    else:
        os.environ["ALSA_CONFIG_PATH"] = before
    sounddevice._terminate()
    sounddevice._initialize()


@pytest.fixture(scope="session")
def wav_file(tmp_path_factory) -> Path:
    """Half a second of counting samples."""
    path = tmp_path_factory.mktemp("wav") / "count.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.arange(8000, dtype="<i2").tobytes())
    return path


def _case(request: pytest.FixtureRequest, registry: Any, makers: dict[str, Any]) -> Iterator[Case]:
    name = request.param
    kind = registry.get(name)
    assert name in makers, f"describe the {registry.kind} '{name}' in {__file__}"
    case = makers[name](kind)
    yield case
    case.close()


@pytest.fixture(params=sorted(ARMS.targets()))
def arm(request) -> Iterator[Case]:
    value = request.getfixturevalue
    yield from _case(
        request,
        ARMS,
        {
            "mujoco": lambda kind: CellCase(kind, value("cell")),
            "mock": lambda kind: Case(kind, {}),
            "replay": lambda kind: ReplayCase(kind, value("recordings")),
        },
    )


@pytest.fixture(params=sorted(CAMERAS.targets()))
def camera(request) -> Iterator[Case]:
    value = request.getfixturevalue
    yield from _case(
        request,
        CAMERAS,
        {
            "mujoco": lambda kind: CellCase(kind, value("cell")),
            "mock": lambda kind: Case(kind, {"width": 64, "height": 48}),
            "replay": lambda kind: ReplayCase(kind, value("recordings")),
        },
    )


@pytest.fixture(params=sorted(MICROPHONES.targets()))
def microphone(request) -> Iterator[Case]:
    value = request.getfixturevalue
    yield from _case(
        request,
        MICROPHONES,
        {
            "mock": lambda kind: Case(kind, {}),
            "sounddevice": lambda kind: (
                value("sound_card"),
                PortAudioCase(kind, {"device": "spoken"}),
            )[1],
            "wav": lambda kind: WavCase(kind, {"path": str(value("wav_file"))}),
        },
    )
