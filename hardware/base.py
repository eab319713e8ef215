"""What every driver is: a small class with connect, disconnect and a few verbs.

Drivers are free of ROS. Stamps are `time.time()` seconds. Every driver's constructor takes one
frozen options dataclass (class attribute `Options`), which is filled from YAML.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.parameters import from_mapping
from hierarchy_nodes.registry import Registry
from hierarchy_nodes.types import Array, RgbdFrame


@dataclass(frozen=True)
class ArmCapabilities:
    """What an arm can do.

    Attributes:
        joint_names: N names, in the order of every joint array.
        lower, upper: ``(N,)`` joint limits, radians.
        max_velocity: ``(N,)`` rad/s.
        max_acceleration: ``(N,)`` rad/s^2.
        rate_hz: How often the device takes commands.
        watchdog: Seconds without a command after which the device holds by itself.
        gripper_width: Metres between the fingers at opening 1.
    """

    joint_names: tuple[str, ...]
    lower: Array
    upper: Array
    max_velocity: Array
    max_acceleration: Array
    rate_hz: float
    watchdog: float
    gripper_width: float


@dataclass(frozen=True)
class ArmState:
    """One reading: stamp, ``(N,)`` radians, ``(N,)`` rad/s, gripper opening in [0, 1]."""

    stamp: float
    positions: Array
    velocities: Array
    gripper: float


@dataclass(frozen=True)
class JointCommand:
    """A joint setpoint: ``(N,)`` radians, ``(N,)`` rad/s feed-forward, gripper in [0, 1]."""

    positions: Array
    velocities: Array
    gripper: float


class Device(ABC):
    """Common to all drivers."""

    Options: ClassVar[type[Any]]

    @classmethod
    def from_options(cls, options: dict[str, Any] | None = None) -> Any:
        """Make the driver from a mapping; unknown keys and bad values raise ConfigError."""
        name = f"{cls.__name__} options"
        return cls(from_mapping(cls.Options, options or {}, owner=name))

    @classmethod
    def discover(cls) -> list[str]:
        """What is attached now, one line each; empty where nothing is or nobody can tell."""
        return []

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def connect(self) -> None:
        """Reach the device. Raises DriverError with the reason; may be tried again."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the device, which holds still. Harmless when not connected."""


class ArmDriver(Device):
    """A robot arm with a gripper. `connect` never moves it."""

    @property
    @abstractmethod
    def capabilities(self) -> ArmCapabilities:
        """Known once connected."""

    @abstractmethod
    def read_state(self, max_age: float = 0.1) -> ArmState:
        """The newest reading; never blocks for long.

        Raises:
            StaleReadError: It is older than `max_age` seconds.
            DriverError: Not connected, or the device is gone.
        """

    @abstractmethod
    def command(self, command: JointCommand) -> JointCommand:
        """Send a setpoint and return what was really sent (limits applied).

        Raises:
            DriverError: Not connected, the device is gone, or the command is not finite.
        """

    @abstractmethod
    def stop(self) -> None:
        """Bring the arm to rest as fast as its limits allow and hold there."""


class CameraDriver(Device):
    """A colour camera with aligned depth."""

    @abstractmethod
    def read(self, max_age: float = 0.5) -> RgbdFrame:
        """The newest frame, waiting for the first for at most `max_age` seconds.

        Raises:
            StaleReadError: The newest frame is older than `max_age`.
            DriverError: Not connected, or the device is gone.
        """


@dataclass(frozen=True)
class AudioBlock:
    """16-bit samples ``(N, channels)``, stamped with the first one; `sequence` counts blocks."""

    stamp: float
    sample_rate: int
    sequence: int
    samples: NDArray[np.int16]


class MicrophoneDriver(Device):
    """A source of sound."""

    @abstractmethod
    def read(self, timeout: float = 1.0) -> AudioBlock | None:
        """The next block in order; None at the end of a finite source.

        Raises:
            StaleReadError: Nothing came within `timeout` seconds.
            DriverError: Not connected, or the device is gone.
        """


ARMS = Registry(
    "arm driver",
    "hardware.base:ArmDriver",
    {
        "mujoco": "hardware.arms.mujoco:MujocoArm",
        "mock": "hardware.arms.mock:MockArm",
        "replay": "hardware.arms.replay:ReplayArm",
    },
    group="hierarchy.arms",
)
CAMERAS = Registry(
    "camera driver",
    "hardware.base:CameraDriver",
    {
        "mujoco": "hardware.cameras.mujoco:MujocoCamera",
        "mock": "hardware.cameras.mock:MockCamera",
        "replay": "hardware.cameras.replay:ReplayCamera",
    },
    group="hierarchy.cameras",
)
MICROPHONES = Registry(
    "microphone driver",
    "hardware.base:MicrophoneDriver",
    {
        "sounddevice": "hardware.microphones.sounddevice:SounddeviceMicrophone",
        "wav": "hardware.microphones.wav:WavMicrophone",
        "mock": "hardware.microphones.mock:MockMicrophone",
    },
    group="hierarchy.microphones",
)
