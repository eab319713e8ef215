"""How the cell's process and its clients talk: ZeroMQ sockets with msgpack in them.

A cell has three doors, each an address made from its name: ``arm`` (commands in), ``state``
(readings out) and ``camera`` (frames out); a fourth, ``referee``, opens only with a token.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from hardware.base import ArmState, JointCommand
from hierarchy_nodes.errors import ConfigError, DriverError
from hierarchy_nodes.types import CameraIntrinsics, Pose, RgbdFrame

VERSION = 1
CHANNELS = ("arm", "state", "camera", "referee")
DEPTH_UNIT = 1e-4  # metres per step of the 16-bit depth on the wire
IPC_LIMIT = 107  # bytes of a Unix socket's path


def runtime_folder() -> Path:
    """A folder of this user's own for sockets and locks.

    Raises:
        ConfigError: It belongs to someone else.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.access(base, os.W_OK):
        folder = Path(base) / "hierarchy"
    else:
        folder = Path(tempfile.gettempdir()) / f"hierarchy-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"{folder}: belongs to another user; set XDG_RUNTIME_DIR.")
    return folder


def address(name: str, channel: str) -> str:
    """Where the cell `name` has its door `channel`.

    ``tcp://host:port`` is used as it is: the doors are the ports from there upward.

    Raises:
        ConfigError: The name is empty, too long or has a slash in it.
    """
    index = CHANNELS.index(channel)
    if name.startswith("tcp://"):
        host, _, port = name.removeprefix("tcp://").rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"Cell '{name}': expected tcp://host:port.")
        return f"tcp://{host}:{int(port) + index}"
    if not name or "/" in name or name.startswith("."):
        raise ConfigError(f"Cell '{name}': expected a plain name or tcp://host:port.")
    path = runtime_folder() / f"{name}.{channel}"
    if len(str(path).encode()) > IPC_LIMIT:
        raise ConfigError(f"Cell '{name}': {path} is longer than {IPC_LIMIT} bytes.")
    return f"ipc://{path}"


def pack(message: dict[str, Any]) -> bytes:
    return msgpack.packb(message)


def unpack(data: bytes) -> dict[str, Any]:
    """A message.

    Raises:
        DriverError: It is malformed, or of another version of the protocol.
    """
    try:
        message = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise DriverError(f"Cell: malformed message ({error}).") from error
    if not isinstance(message, dict) or message.get("v") != VERSION:
        raise DriverError(f"Cell: message is not of version {VERSION}; restart the cell.")
    return message


def pack_command(command: JointCommand, stamp: float) -> bytes:
    return pack(
        {
            "v": VERSION,
            "do": "command",
            "t": stamp,
            "q": np.asarray(command.positions, float).tolist(),
            "dq": np.asarray(command.velocities, float).tolist(),
            "g": float(command.gripper),
        }
    )


def unpack_command(message: dict[str, Any]) -> JointCommand:
    return JointCommand(np.array(message["q"]), np.array(message["dq"]), float(message["g"]))


def pack_state(state: ArmState, holding: bool) -> bytes:
    return pack(
        {
            "v": VERSION,
            "t": state.stamp,
            "q": state.positions.tolist(),
            "dq": state.velocities.tolist(),
            "g": state.gripper,
            "hold": holding,
        }
    )


def unpack_state(data: bytes) -> ArmState:
    message = unpack(data)
    return ArmState(message["t"], np.array(message["q"]), np.array(message["dq"]), message["g"])


def topic(camera: str) -> bytes:
    """What frames of `camera` start with, for subscribing."""
    return camera.encode() + b"\0"


def pack_frame(camera: str, frame: RgbdFrame) -> bytes:
    depth = np.round(frame.depth / DEPTH_UNIT).astype(np.uint16)
    pose, lens = frame.camera_pose, frame.intrinsics
    body = {
        "v": VERSION,
        "t": frame.stamp,
        "id": frame.frame_id,
        "lens": [lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy],
        "pose": [*pose.position.tolist(), *pose.quaternion.tolist()],
        "color": frame.color.tobytes(),
        "depth": depth.tobytes(),
    }
    return topic(camera) + pack(body)


def unpack_frame(data: bytes) -> RgbdFrame:
    message = unpack(data[data.index(b"\0") + 1 :])
    width, height, *rest = message["lens"]
    pose = np.array(message["pose"])
    color = np.frombuffer(message["color"], np.uint8).reshape(height, width, 3)
    depth = np.frombuffer(message["depth"], np.uint16).reshape(height, width)
    return RgbdFrame(
        message["t"],
        message["id"],
        color,
        depth.astype(np.float32) * np.float32(DEPTH_UNIT),
        CameraIntrinsics(width, height, *rest),
        Pose(pose[:3], pose[3:]),
    )
