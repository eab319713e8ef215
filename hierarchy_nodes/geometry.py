"""Poses, rays and pixels. Quaternions are (w, x, y, z); rotation maths is transforms3d's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hierarchy_nodes.types import Array, CameraIntrinsics, PathPoint, Pose, RgbdFrame

IDENTITY = Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))


def matrix(pose: Pose) -> Array:
    """`pose` as a ``(4, 4)`` homogeneous matrix."""
    result = np.eye(4)
    result[:3, :3] = quaternions.quat2mat(pose.quaternion)
    result[:3, 3] = pose.position
    return result


def pose_from_matrix(transform: Array) -> Pose:
    """A ``(4, 4)`` homogeneous matrix as a pose."""
    return Pose(transform[:3, 3].copy(), quaternions.mat2quat(transform[:3, :3]))


def top_down(position: ArrayLike, yaw: float = 0.0) -> Pose:
    """The tool pointing straight down at `position`, its fingers opening along `yaw` + 90 deg."""
    quaternion = euler2quat(np.pi, 0.0, yaw, axes="sxyz")
    return Pose(np.asarray(position, dtype=float), np.asarray(quaternion))


def slerp(start: Array, end: Array, fraction: float) -> Array:
    """Spherical interpolation between unit quaternions, the short way round."""
    cosine = float(start @ end)
    end = end if cosine >= 0 else -end
    angle = math.acos(min(1.0, abs(cosine)))
    if angle < 1e-6:
        return end
    blend = math.sin((1 - fraction) * angle) * start + math.sin(fraction * angle) * end
    return blend / math.sqrt(float(blend @ blend))


def angle_between(first: Array, second: Array) -> float:
    """Angle in radians between two orientations given as unit quaternions."""
    return float(2 * np.arccos(min(1.0, abs(float(first @ second)))))


def look_at(position: ArrayLike, target: ArrayLike) -> Pose:
    """An optical frame (z forward, x right, y down) at `position` that looks at `target`."""
    origin = np.asarray(position, dtype=float)
    forward = np.asarray(target, dtype=float) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    transform = np.eye(4)
    transform[:3, 0], transform[:3, 1], transform[:3, 2] = right, np.cross(forward, right), forward
    transform[:3, 3] = origin
    return pose_from_matrix(transform)


def project(points: Array, camera: CameraIntrinsics, camera_pose: Pose) -> tuple[Array, Array]:
    """Base-frame points ``(N, 3)`` to normalised image points ``(N, 2)`` and depths ``(N,)``.

    Points behind the camera have a depth <= 0 and a meaningless image point.
    """
    rotation = quaternions.quat2mat(camera_pose.quaternion)
    local = (np.atleast_2d(points) - camera_pose.position) @ rotation
    depth = local[:, 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    u = (camera.fx * local[:, 0] / safe + camera.cx) / camera.width
    v = (camera.fy * local[:, 1] / safe + camera.cy) / camera.height
    return np.stack([u, v], axis=1), depth


def ray(x: float, y: float, camera: CameraIntrinsics, camera_pose: Pose) -> Array:
    """Direction ``(3,)`` in the base frame of the pixel at normalised (x, y).

    Scaled so that the point at depth d lies at ``camera_pose.position + d * ray``.
    """
    local = np.array(
        [(x * camera.width - camera.cx) / camera.fx, (y * camera.height - camera.cy) / camera.fy, 1]
    )
    return quaternions.quat2mat(camera_pose.quaternion) @ local


def deproject(point: PathPoint, camera: CameraIntrinsics, camera_pose: Pose) -> Array:
    """The 3D point ``(3,)`` of a path point with a depth, base frame."""
    return camera_pose.position + point.depth * ray(point.x, point.y, camera, camera_pose)


def on_plane(x: float, y: float, camera: CameraIntrinsics, camera_pose: Pose, z: float) -> Array:
    """Where the ray of the pixel at normalised (x, y) meets the horizontal plane at height `z`."""
    direction = ray(x, y, camera, camera_pose)
    scale = (z - camera_pose.position[2]) / direction[2]
    return camera_pose.position + scale * direction


def point_cloud(frame: RgbdFrame) -> tuple[Array, NDArray[np.bool_]]:
    """The depth image as ``(H, W, 3)`` base-frame points, and ``(H, W)`` where they are known."""
    camera = frame.intrinsics
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    depth = frame.depth.astype(float)
    local = np.stack(
        [(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], axis=-1
    )
    rotation = quaternions.quat2mat(frame.camera_pose.quaternion)
    return local @ rotation.T + frame.camera_pose.position, frame.depth > 0


def yaw_of(quaternion: Array) -> float:
    """Rotation about the base z axis of the tool's x axis, radians."""
    x_axis = quaternions.quat2mat(quaternion)[:, 0]
    return float(np.arctan2(x_axis[1], x_axis[0]))


def beside_segment(point: Array, start: Array, end: Array) -> tuple[float, float]:
    """Distance of a point ``(D,)`` from a segment, and the share of the segment behind it.

    The share, in [0, 1], ends where the segment is nearest to `point`.
    """
    way, off = end - start, point - start
    length = float(way @ way)
    share = min(max(float(off @ way) / length, 0.0), 1.0) if length > 1e-12 else 0.0
    rest = off - share * way
    return math.sqrt(float(rest @ rest)), share


def segment_distance(point: Array, start: Array, end: Array) -> float:
    """Distance of a point ``(D,)`` from the segment `start` to `end`."""
    return beside_segment(point, start, end)[0]
