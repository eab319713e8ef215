"""A camera that shows a recording again, in its own timing and stamped anew."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.base import CameraDriver
from hierarchy_nodes.errors import DriverError, StaleReadError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.recorder import reader
from hierarchy_nodes.types import CameraIntrinsics, Pose, RgbdFrame

UNMATCHED = 30  # images kept while their partner has not come
_PIXELS: dict[str, tuple[type[Any], int, int]] = {
    # numpy type, channels, step through the channels
    "rgb8": (np.uint8, 3, 1),
    "bgr8": (np.uint8, 3, -1),
    "16UC1": (np.uint16, 1, 1),
    "32FC1": (np.float32, 1, 1),
}


@dataclass(frozen=True)
class ReplayCameraOptions:
    """Settings of the replayed camera; topics are looked for in whatever namespace."""

    recording: str = param("", "Folder or file of the recording (MCAP)")
    color: str = param("camera/color/image_raw", "Topic with the colour images")
    depth: str = param("camera/aligned_depth_to_color/image_raw", "Topic with the depth images")
    info: str = param("camera/color/camera_info", "Topic with the intrinsics")
    pose: str = param("camera/color/camera_pose", "Topic with the pose of the optical frame")
    loop: bool = param(True, "Begin again at the end; otherwise frames cease")
    rate: float = param(1.0, "Speed of the replay", unit="x", low=0.05, high=20.0)


def read_frames(options: ReplayCameraOptions) -> Iterator[RgbdFrame]:
    """The recorded frames, colour and depth matched by their stamps, with their own stamps.

    Raises:
        RecordingError: There is no recording, or a topic is missing or has an unknown encoding.
    """
    source = options.recording
    color_topic, depth_topic, info_topic, pose_topic = (
        reader.find_topic(source, ending)
        for ending in (options.color, options.depth, options.info, options.pose)
    )
    decode = reader.Decoder()
    # The latched pose and the infos may have been written after the first images.
    intrinsics = _intrinsics(decode(next(reader.records(source, [info_topic]))))
    camera_pose = _pose(decode(next(reader.records(source, [pose_topic]))).pose)
    waiting: OrderedDict[tuple[int, int], tuple[str, Any]] = OrderedDict()
    for record in reader.records(source, [color_topic, depth_topic, pose_topic]):
        message = decode(record)
        if record.topic == pose_topic:
            camera_pose = _pose(message.pose)
            continue
        key = message.header.stamp.sec, message.header.stamp.nanosec
        partner = waiting.get(key)
        if partner is None or partner[0] == record.topic:
            waiting[key] = record.topic, message
            if len(waiting) > UNMATCHED:
                waiting.popitem(last=False)
            continue
        del waiting[key]
        color, depth = message, partner[1]
        if record.topic == depth_topic:
            color, depth = depth, color
        yield RgbdFrame(
            stamp=key[0] + key[1] * 1e-9,
            frame_id=color.header.frame_id,
            color=_pixels(color),
            depth=_metres(depth),
            intrinsics=intrinsics,
            camera_pose=camera_pose,
        )


def _pixels(message: Any) -> NDArray[Any]:
    if message.encoding not in _PIXELS:
        known = ", ".join(_PIXELS)
        raise reader.RecordingError(
            f"Image encoding '{message.encoding}' is not known. Valid: {known}."
        )
    dtype, channels, step = _PIXELS[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    used = np.ascontiguousarray(rows[:, : message.width * channels * np.dtype(dtype).itemsize])
    pixels = used.view(dtype).reshape(message.height, message.width, channels)
    return pixels[..., ::step] if channels > 1 else pixels[..., 0]


def _metres(message: Any) -> NDArray[np.float32]:
    pixels = _pixels(message)
    metres = pixels.astype(np.float32) * (1e-3 if pixels.dtype == np.uint16 else 1.0)
    return np.nan_to_num(metres, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)


def _intrinsics(message: Any) -> CameraIntrinsics:
    k = message.k
    return CameraIntrinsics(message.width, message.height, k[0], k[4], k[2], k[5])


def _pose(message: Any) -> Pose:
    p, q = message.position, message.orientation
    return Pose(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))


class ReplayCamera(CameraDriver):
    """Plays a recording in a thread of its own from the moment it is connected."""

    Options = ReplayCameraOptions

    def __init__(self, options: ReplayCameraOptions) -> None:
        super().__init__(options)
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._changed = threading.Condition()
        self._frame: RgbdFrame | None = None
        self._failure = ""

    def connect(self) -> None:
        if self._thread is not None:
            return
        try:
            next(read_frames(self.options))
        except StopIteration:
            raise DriverError(
                f"replay camera: '{self.options.recording}' has no colour and depth image of "
                "the same stamp."
            ) from None
        except reader.RecordingError as error:
            raise DriverError(f"replay camera: {error}") from error
        self._ending = threading.Event()
        self._frame, self._failure = None, ""
        self._thread = threading.Thread(
            target=self._play, args=(self._ending,), name="replay", daemon=True
        )
        self._thread.start()

    def disconnect(self) -> None:
        if self._thread is not None:
            self._ending.set()
            self._thread.join(2.0)
            self._thread = None

    def read(self, max_age: float = 0.5) -> RgbdFrame:
        if self._thread is None:
            raise DriverError("replay camera: not connected.")
        with self._changed:
            self._changed.wait_for(lambda: self._frame or self._failure, timeout=max_age)
            frame, failure = self._frame, self._failure
        if failure:
            raise DriverError(f"replay camera: {failure}")
        age = max_age if frame is None else time.time() - frame.stamp
        if frame is None or age > max_age:
            raise StaleReadError("replay camera", age, max_age)
        return frame

    def _play(self, ending: threading.Event) -> None:
        begin = time.time()
        try:
            while not ending.is_set():
                last, period = 0.0, 0.0
                first: float | None = None
                for frame in read_frames(self.options):
                    first = frame.stamp if first is None else first
                    since = (frame.stamp - first) / self.options.rate
                    last, period = since, since - last
                    due = begin + since
                    if ending.wait(max(0.0, due - time.time())):
                        return
                    self._show(frame, due)
                if not self.options.loop:
                    return
                # The first frame comes as long after the last as the last after its predecessor.
                begin += last + max(period, 1e-3)
        except Exception as error:  # noqa: BLE001 - told to whoever reads
            with self._changed:
                self._failure = str(error)
                self._changed.notify_all()

    def _show(self, frame: RgbdFrame, stamp: float) -> None:
        shown = RgbdFrame(
            stamp, frame.frame_id, frame.color, frame.depth, frame.intrinsics, frame.camera_pose
        )
        with self._changed:
            self._frame = shown
            self._changed.notify_all()
