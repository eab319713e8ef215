"""Things on the table, found in one RGB-D image: no learning, no names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import open3d as o3d
from numpy.typing import NDArray
from scipy import ndimage
from transforms3d.quaternions import quat2mat

from hierarchy_nodes.parameters import param
from hierarchy_nodes.robot_filter import RobotFilter, default_filter
from hierarchy_nodes.segmenter.boxes import upright_box
from hierarchy_nodes.segmenter.regions import (
    CHROMA_SCALE,
    LIGHT_SCALE,
    Features,
    color_features,
    join_hollow,
    label_regions,
)
from hierarchy_nodes.types import Array, CameraIntrinsics, RgbdFrame, RobotState

# The images are small and the cores are few: threads would cost more than they bring.
cv2.setNumThreads(1)


@dataclass(frozen=True)
class ClusterOptions:
    """How things are told from the table and from each other."""

    x_min: float = param(0.2, "Table region, nearest x", unit="m", low=-5.0, high=5.0)
    x_max: float = param(0.85, "Table region, farthest x", unit="m", low=-5.0, high=5.0)
    y_max: float = param(0.45, "Table region, largest |y|", unit="m", low=0.01, high=5.0)
    z_max: float = param(0.45, "Table region, largest height", unit="m", low=0.01, high=5.0)
    min_height: float = param(
        0.005, "Points lower over the table plane belong to the table", unit="m", low=0.0, high=0.1
    )
    plane_tolerance: float = param(
        0.004, "Thickness of the table plane", unit="m", low=0.0005, high=0.05
    )
    plane_offset: float = param(
        0.03, "How far the table plane may be from z = 0", unit="m", low=0.001, high=0.2
    )
    gap: float = param(
        0.016, "Depth step between neighbour pixels that parts two things", unit="m", low=0.002
    )
    chroma_step: float = param(
        0.075, "Step of normalised r, g or b that parts two things", low=0.01, high=1.0
    )
    grey_step: float = param(
        1.7, "Ratio of brightness that parts two colourless things", low=1.1, high=10.0
    )
    patch_step: float = param(
        0.1, "Difference of normalised r, g or b from the table that makes a flat patch", low=0.01
    )
    min_pixels: int = param(
        22, "Smallest thing, in pixels of a 320x240 image", unit="px", low=1, high=10000
    )


DEFAULTS = ClusterOptions()


@dataclass(frozen=True)
class Cluster:
    """One thing as seen.

    Attributes:
        mask: ``(H, W)`` bool.
        points: ``(N, 3)`` float32, base frame, metres; one a pixel of the mask.
        color: ``(3,)`` median RGB, 0..255.
        centroid: ``(3,)`` middle of the upright bounding box, base frame, metres.
        size: ``(3,)`` its length, width (length >= width) and height, metres.
        yaw: Of its longer side about z, radians in (-pi/2, pi/2].
        pixel: Normalised (x, y) of a pixel well inside the mask.
    """

    mask: NDArray[np.bool_]
    points: NDArray[np.float32]
    color: Array
    centroid: Array
    size: Array
    yaw: float
    pixel: tuple[float, float]


def find_clusters(
    frame: RgbdFrame,
    robot: RobotState | None = None,
    options: ClusterOptions = DEFAULTS,
    robot_filter: RobotFilter | None = None,
) -> list[Cluster]:
    """The things on the table, largest (in pixels) first.

    Flat patches of another colour than the table's (a zone painted on it) count as things.

    Args:
        frame: Colour and depth; depth that is 0 or not finite is unknown.
        robot: Its body is taken out of the cloud; None leaves it in.
        options: Thresholds.
        robot_filter: Of another arm than the one in ``urdf/``.
    """
    limit = max(1, round(options.min_pixels * frame.depth.size / (320 * 240)))
    cloud = cloud_of(frame)
    height = _height(cloud, options)
    table = _over_table(cloud, options)
    with np.errstate(invalid="ignore"):
        raised = table & (height > options.min_height) & (height < options.z_max)
        flat = table & (np.abs(height) <= options.min_height)
    if robot is not None:
        rows, columns = np.nonzero(raised)
        own = (robot_filter or default_filter()).mask(cloud[rows, columns], robot)
        raised[rows[own], columns[own]] = False
    features = color_features(frame.color)
    patches = _patches(features, flat, options)
    labels = label_regions(features, frame.depth, raised, patches, options, limit)
    join_hollow(labels, features, cloud, height, options)
    found = []
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            inside = labels[window] == index
            if np.count_nonzero(inside) >= limit:
                found.append(_describe(frame, cloud, height, inside, window, options))
    return sorted(found, key=lambda c: len(c.points), reverse=True)


@lru_cache(maxsize=4)
def _rays(camera: CameraIntrinsics, quaternion: bytes) -> NDArray[np.float32]:
    """``(H, W, 3)`` directions of the pixels in the base frame, of unit depth."""
    u = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    v = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    local = np.stack([*np.meshgrid(u, v), np.ones((camera.height, camera.width))], axis=-1)
    return (local @ quat2mat(np.frombuffer(quaternion)).T).astype(np.float32)


def cloud_of(frame: RgbdFrame) -> NDArray[np.float32]:
    """``(H, W, 3)`` base-frame points, metres; NaN where the depth is unknown."""
    quaternion = np.ascontiguousarray(frame.camera_pose.quaternion, dtype=float)
    known = np.isfinite(frame.depth) & (frame.depth > 0)
    depth = np.where(known, frame.depth, np.float32(np.nan)).astype(np.float32)
    cloud = _rays(frame.intrinsics, quaternion.tobytes()) * depth[..., None]
    cloud += frame.camera_pose.position.astype(np.float32)
    return cloud


def _over_table(cloud: NDArray[np.float32], options: ClusterOptions) -> NDArray[np.bool_]:
    x, y = cloud[..., 0], cloud[..., 1]
    with np.errstate(invalid="ignore"):
        return (x > options.x_min) & (x < options.x_max) & (np.abs(y) < options.y_max)


def _height(cloud: NDArray[np.float32], options: ClusterOptions) -> NDArray[np.float32]:
    """Height of each point over the table: its plane where one is found, else z = 0."""
    z = cloud[..., 2]
    # Every third pixel of every third row is plenty for a plane.
    thin = cloud[::3, ::3]
    with np.errstate(invalid="ignore"):
        near = _over_table(thin, options) & (np.abs(thin[..., 2]) < options.plane_offset)
    sample = thin[near]
    sample = sample[:: max(1, len(sample) // 1500)].astype(float)
    if len(sample) < 100:
        return z
    o3d.utility.random.seed(0)
    points = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(sample))
    plane, inliers = points.segment_plane(options.plane_tolerance, 3, 60)
    if len(inliers) < 0.3 * len(sample):
        return z
    # RANSAC finds the plane, least squares over its inliers makes it exact.
    flat = sample[inliers]
    middle = flat.mean(axis=0)
    normal = np.linalg.svd(flat - middle, full_matrices=False)[2][2]
    normal = normal if normal[2] > 0 else -normal
    tilted = normal[2] < np.cos(np.radians(5.0)) or abs(plane[2]) < np.cos(np.radians(8.0))
    # Lower than a thin plate's top or not at all: the plate itself may fill the view.
    if tilted or abs(middle[2]) > options.plane_offset / 2:
        return z
    return cloud @ normal.astype(np.float32) - np.float32(normal @ middle)


def _patches(
    features: Features, flat: NDArray[np.bool_], options: ClusterOptions
) -> NDArray[np.bool_]:
    """Pixels of the table top `flat` that are of another colour than most of it."""
    if np.count_nonzero(flat) < 100:
        return np.zeros_like(flat)
    differs = np.zeros_like(flat)
    step = round(options.patch_step * CHROMA_SCALE)
    for part in features.chroma:
        usual = int(np.median(part[flat][::5]))
        differs |= (part > usual + step) | (part < usual - step)
    # Darker must be much darker, or every shadow would be a thing.
    light = float(np.median(features.light[flat][::5]))
    differs |= features.light > light + 0.3 * LIGHT_SCALE
    differs |= features.light < light - 1.2 * LIGHT_SCALE
    # The lowest few millimetres of things that stand on the table are thin lines.
    width = 2 * round(flat.shape[1] / 320) + 1
    kernel = np.ones((width, width), np.uint8)
    opened = cv2.morphologyEx((differs & flat).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return opened.astype(bool)


def _describe(
    frame: RgbdFrame,
    cloud: NDArray[np.float32],
    height: NDArray[np.float32],
    inside: NDArray[np.bool_],
    window: tuple[slice, slice],
    options: ClusterOptions,
) -> Cluster:
    rows, columns = frame.depth.shape
    mask = np.zeros((rows, columns), dtype=bool)
    mask[window] = inside
    points = cloud[window][inside]
    pitch = float(np.median(frame.depth[window][inside])) / frame.intrinsics.fx
    support = _support(frame.depth, height, inside, window, options)
    centroid, size, yaw = upright_box(points, height[window][inside], pitch, support)
    depth_in = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = divmod(int(depth_in.argmax()), inside.shape[1])
    pixel = (
        float(column + window[1].start + 0.5) / columns,
        float(row + window[0].start + 0.5) / rows,
    )
    # Away from the border, where pixels mix, as far as the thing is large enough.
    core = depth_in >= min(1.5, float(depth_in.max()))
    color = np.median(frame.color[window][core], axis=0).astype(float)
    return Cluster(mask, points, color, centroid, size, yaw, pixel)


def _support(
    depth: NDArray[np.float32],
    height: NDArray[np.float32],
    inside: NDArray[np.bool_],
    window: tuple[slice, slice],
    options: ClusterOptions,
) -> float | None:
    """Height of what a thing stands on: of what is seen right below its lower edge.

    None where nothing is seen there, or only things far behind (it hangs in the air).
    """
    rows, columns = np.nonzero(inside)
    last = np.full(inside.shape[1], -1)
    np.maximum.at(last, columns, rows)
    across = np.flatnonzero(last >= 0)
    y, x = last[across] + window[0].start, across + window[1].start
    reach = 3 * max(1, round(depth.shape[1] / 320))
    below = y[:, None] + np.arange(1, reach + 1)
    inside_image = below < depth.shape[0]
    below = np.minimum(below, depth.shape[0] - 1)
    near = inside_image & (np.abs(depth[below, x[:, None]] - depth[y, x][:, None]) < options.gap)
    levels = np.where(near, height[below, x[:, None]], np.inf).min(axis=1)
    levels = levels[np.isfinite(levels)]
    if len(levels) < max(2, 0.3 * len(across)):
        return None
    level = float(np.median(levels))
    return 0.0 if level < options.min_height else level
