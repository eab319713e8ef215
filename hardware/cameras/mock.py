"""A made-up camera: boxes on a table, exact depth, and faults on demand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transforms3d.quaternions import quat2mat

from hardware.base import CameraDriver
from hierarchy_nodes.errors import ConfigError, DriverError, StaleReadError
from hierarchy_nodes.geometry import look_at, project
from hierarchy_nodes.parameters import param
from hierarchy_nodes.types import Array, CameraIntrinsics, Pose, RgbdFrame

FAULTS = ("none", "stop", "stale", "raise")
TABLE_COLOR = (150, 142, 132)


@dataclass(frozen=True)
class Box:
    """An upright box: centre (x, y, z) and size in metres, yaw in radians, RGB colour."""

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    color: tuple[int, int, int]
    yaw: float = 0.0


def render(
    boxes: Sequence[Box], camera: CameraIntrinsics, camera_pose: Pose
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
    """Cast one ray a pixel on the boxes and on the table plane z = 0.

    Returns:
        Colour ``(H, W, 3)`` RGB, depth ``(H, W)`` in metres (0 = nothing hit) and which box it is
        ``(H, W)``: its index + 1, 0 for the table.
    """
    u = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    v = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    local = np.stack([*np.meshgrid(u, v), np.ones((camera.height, camera.width))], axis=-1)
    rays = local @ quat2mat(camera_pose.quaternion).T
    origin = camera_pose.position
    with np.errstate(divide="ignore"):
        depth = np.where(rays[..., 2] < -1e-9, -origin[2] / rays[..., 2], np.inf)
    lights = np.array([0.7, 0.82, 1.0])  # of faces across x, y and z
    shade = np.broadcast_to(np.array(TABLE_COLOR, float), rays.shape).copy()
    which = np.zeros(depth.shape, np.int32)
    for index, box in enumerate(boxes, start=1):
        window = _window(box, camera, camera_pose)
        near, axis = _hit(box, origin, rays[window])
        seen = near < depth[window]
        depth[window][seen] = near[seen]
        which[window][seen] = index
        shade[window][seen] = lights[axis[seen], None] * np.array(box.color, float)
    known = np.isfinite(depth) & (depth < 10.0)
    return (
        np.where(known[..., None], shade, 90).astype(np.uint8),
        np.where(known, depth, 0).astype(np.float32),
        which,
    )


def _window(box: Box, camera: CameraIntrinsics, camera_pose: Pose) -> tuple[slice, slice]:
    """The part of the image in which the box can be."""
    reach = float(np.hypot(box.size[0], box.size[1])) / 2
    x, y, z = box.center
    corners = np.array(
        [
            [x + sx * reach, y + sy * reach, z + sz * box.size[2] / 2]
            for sx in (-1, 1)
            for sy in (-1, 1)
            for sz in (-1, 1)
        ]
    )
    pixels, depths = project(corners, camera, camera_pose)
    if np.any(depths < 0.01):
        return slice(0, camera.height), slice(0, camera.width)
    scaled = pixels * [camera.width, camera.height]
    low = np.clip(np.floor(scaled.min(axis=0)).astype(int), 0, None)
    high = np.clip(np.ceil(scaled.max(axis=0)).astype(int) + 1, 0, None)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _hit(box: Box, origin: Array, rays: Array) -> tuple[Array, NDArray[np.intp]]:
    """Depth at which each ray enters the box (inf = misses) and through which axis' face."""
    turn = np.array(
        [[np.cos(box.yaw), np.sin(box.yaw), 0], [-np.sin(box.yaw), np.cos(box.yaw), 0], [0, 0, 1]]
    )
    start, direction = turn @ (origin - box.center), rays @ turn.T
    half = np.array(box.size) / 2
    safe = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    first, second = (-half - start) / safe, (half - start) / safe
    enter, leave = np.minimum(first, second), np.maximum(first, second)
    near = enter.max(axis=-1)
    hit = (near <= leave.min(axis=-1)) & (near > 0)
    return np.where(hit, near, np.inf), enter.argmax(axis=-1)


def front_camera(width: int = 320, height: int = 240) -> tuple[CameraIntrinsics, Pose]:
    """In front of the robot, looking back at the table; a vertical view of 48 degrees."""
    focal = height / 2 / np.tan(np.radians(24.0))
    camera = CameraIntrinsics(width, height, focal, focal, width / 2, height / 2)
    return camera, look_at([1.10, 0.0, 0.75], [0.45, 0.0, 0.02])


@dataclass(frozen=True)
class MockCameraOptions:
    """Settings of the mock camera."""

    width: int = param(320, "Image width", unit="px", low=16, high=4096)
    height: int = param(240, "Image height", unit="px", low=16, high=4096)
    rate_hz: float = param(15.0, "Frames a second", unit="Hz", low=0.1, high=240.0)
    frame_id: str = param("camera_color_optical_frame", "Name of the optical frame")
    fault: str = param(
        "none",
        "What goes wrong: stop (no new frames), stale (frames come 5 s late), raise (device gone)",
        choices=FAULTS,
    )
    fault_after: float = param(2.0, "When, counted from the first connect", unit="s", low=0.0)
    fault_seconds: float = param(0.0, "For how long; 0 = for good", unit="s", low=0.0)


class MockCamera(CameraDriver):
    """A red block that circles, a blue plate and a green block, the same every time."""

    Options = MockCameraOptions

    def __init__(self, options: MockCameraOptions, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options)
        self._clock = clock
        self._camera, self._pose = front_camera(options.width, options.height)
        self._connected = False
        self._first: float | None = None
        self._injected: str | None = None
        self._frame: RgbdFrame | None = None

    def inject(self, fault: str) -> None:
        """Let something go wrong from now on, or ``none`` to repair it."""
        if fault not in FAULTS:
            raise ConfigError(f"Unknown fault '{fault}'. Valid: {', '.join(FAULTS)}.")
        self._injected = fault

    def connect(self) -> None:
        if self._fault(self._clock()) == "raise":
            raise DriverError("mock camera: the device is gone.")
        self._connected = True
        self._first = self._clock() if self._first is None else self._first

    def disconnect(self) -> None:
        self._connected = False

    def read(self, max_age: float = 0.5) -> RgbdFrame:
        now = self._clock()
        fault = self._fault(now)
        if not self._connected or self._first is None:
            raise DriverError("mock camera: not connected.")
        if fault == "raise":
            self._connected = False
            raise DriverError("mock camera: the device is gone.")
        number = int((now - self._first) * self.options.rate_hz)
        stamp = self._first + number / self.options.rate_hz
        late = 5.0 if fault == "stale" else 0.0
        if self._frame is None or (fault != "stop" and stamp - late > self._frame.stamp):
            self._frame = self._make(stamp - late, number)
        age = now - self._frame.stamp
        if fault == "stale":
            age = max(age, late)
        if age > max_age:
            raise StaleReadError("mock camera", age, max_age)
        return self._frame

    def boxes(self, number: int) -> list[Box]:
        """The scene of frame `number`."""
        turn = 2 * np.pi * number / (10 * self.options.rate_hz)
        x, y = 0.45 + 0.06 * np.cos(turn), -0.12 + 0.06 * np.sin(turn)
        return [
            Box((x, y, 0.02), (0.04, 0.04, 0.04), (200, 30, 30), yaw=turn / 4),
            Box((0.45, 0.14, 0.006), (0.14, 0.14, 0.012), (30, 60, 190)),
            Box((0.58, 0.02, 0.025), (0.05, 0.05, 0.05), (30, 150, 50), yaw=0.4),
        ]

    def _fault(self, now: float) -> str:
        if self._injected is not None:
            return self._injected
        since = -1.0 if self._first is None else now - self._first - self.options.fault_after
        lasts = self.options.fault_seconds or np.inf
        return self.options.fault if 0 <= since < lasts else "none"

    def _make(self, stamp: float, number: int) -> RgbdFrame:
        color, depth, _ = render(self.boxes(number), self._camera, self._pose)
        return RgbdFrame(stamp, self.options.frame_id, color, depth, self._camera, self._pose)
