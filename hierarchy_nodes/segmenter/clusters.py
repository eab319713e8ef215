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
from hierarchy_nodes.types import Array, CameraIntrinsics, RgbdFrame, RobotState

# The images are small and the cores are few: threads would cost more than they bring.
cv2.setNumThreads(1)

_WINDOW = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if (dy, dx) != (0, 0)]


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

    Args:
        frame: Colour and depth; depth that is 0 or not finite is unknown.
        robot: Its body is taken out of the cloud; None leaves it in.
        options: Thresholds.
        robot_filter: Of another arm than the one in ``urdf/``.
    """
    limit = max(1, round(options.min_pixels * frame.depth.size / (320 * 240)))
    cloud = cloud_of(frame)
    height = _height(cloud, options)
    region = _over_table(cloud, options)
    with np.errstate(invalid="ignore"):
        region &= (height > options.min_height) & (height < options.z_max)
    if robot is not None:
        rows, columns = np.nonzero(region)
        own = (robot_filter or default_filter()).mask(cloud[rows, columns], robot)
        region[rows[own], columns[own]] = False
    labels = np.zeros(region.shape, np.int32)
    if region.any():
        across, down = np.flatnonzero(region.any(axis=0)), np.flatnonzero(region.any(axis=1))
        part = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
        labels[part] = _label(frame.color[part], frame.depth[part], region[part], options, limit)
    found = []
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            inside = labels[window] == index
            found.append(_describe(frame, cloud, height, inside, window))
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


def _label(
    color: NDArray[np.uint8],
    depth: NDArray[np.float32],
    region: NDArray[np.bool_],
    options: ClusterOptions,
    limit: int,
) -> NDArray[np.int32]:
    """``(H, W)`` labels: connected pixels of `region` with no step of depth or colour between.

    Pixels at a step (they may mix two things) are left out first and then given to the
    neighbour that they are most like.
    """
    depth = np.where(region, depth, np.float32(0))
    red, green, blue, light = _color_features(color)
    step = _range(depth, region) > options.gap
    for part in (red, green, blue):
        step |= _range(part, region) > options.chroma_step
    colorless = np.maximum(np.maximum(red, green), blue) < 0.42
    step |= colorless & (_range(light, region) > np.log(options.grey_step))
    feature = np.stack([red, green, blue], axis=-1)
    inner = region & ~step
    labels, count = _components(inner, limit)
    _absorb(labels, region, depth, feature, options)
    # What is all edge (a rim, a handle) and like nothing beside it is a thing of its own.
    rest, _ = _components(region & (labels == 0), limit)
    labels[rest > 0] = rest[rest > 0] + count
    return labels


def _color_features(
    color: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], ...]:
    """Normalised red, green and blue, and log brightness, ``(H, W)`` each."""
    # The constant keeps the noise of dark pixels from looking like colour.
    red, green, blue = (part.astype(np.float32) + 3.0 for part in cv2.split(color))
    total = red + green + blue
    return red / total, green / total, blue / total, np.log(total + 15.0)


def _range(values: NDArray[np.float32], region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Largest less smallest value in each 3x3 window, of the pixels of `region` only."""
    kernel = np.ones((3, 3), np.uint8)
    high = np.where(region, values, np.float32(-1e6))
    low = np.where(region, values, np.float32(1e6))
    spread: NDArray[np.float32] = cv2.dilate(high, kernel) - cv2.erode(low, kernel)
    return spread


def _components(mask: NDArray[np.bool_], limit: int) -> tuple[NDArray[np.int32], int]:
    """Labels 1..count of the connected components of at least `limit` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    keep = stats[:, cv2.CC_STAT_AREA] >= limit
    keep[0] = False
    order = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return order[labels], int(keep.sum())


def _absorb(
    labels: NDArray[np.int32],
    region: NDArray[np.bool_],
    depth: NDArray[np.float32],
    feature: NDArray[np.float32],
    options: ClusterOptions,
) -> None:
    """Give each unlabelled pixel of `region` to the label that it fits best, within 2 px, twice."""
    for _ in range(2):
        rows, columns = np.nonzero(region & (labels == 0))
        if not len(rows):
            return
        offsets = np.array(_WINDOW)
        y = np.clip(rows[:, None] + offsets[:, 0], 0, labels.shape[0] - 1)
        x = np.clip(columns[:, None] + offsets[:, 1], 0, labels.shape[1] - 1)
        other = labels[y, x]
        away = np.abs(depth[y, x] - depth[rows, columns][:, None]) / (2 * options.gap)
        unlike = np.abs(feature[y, x] - feature[rows, columns][:, None]).sum(axis=-1) / 2
        distance = np.abs(offsets).max(axis=1) * 0.05
        cost = away + unlike / options.chroma_step + distance
        cost[(other == 0) | (away > 1)] = np.inf
        best = cost.argmin(axis=1)
        pick = np.arange(len(rows))
        good = np.isfinite(cost[pick, best])
        labels[rows[good], columns[good]] = other[pick, best][good]


def _describe(
    frame: RgbdFrame,
    cloud: NDArray[np.float32],
    height: NDArray[np.float32],
    inside: NDArray[np.bool_],
    window: tuple[slice, slice],
) -> Cluster:
    mask = np.zeros(height.shape, dtype=bool)
    mask[window] = inside
    points = cloud[window][inside]
    pitch = float(np.median(frame.depth[window][inside])) / frame.intrinsics.fx
    centroid, size, yaw = upright_box(points, height[window][inside], pitch)
    depth_in = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth_in.argmax()), depth_in.shape)
    pixel = (
        float(column + window[1].start + 0.5) / mask.shape[1],
        float(row + window[0].start + 0.5) / mask.shape[0],
    )
    # Away from the border, where pixels mix, as far as the thing is large enough.
    core = depth_in >= min(1.5, float(depth_in.max()))
    color = np.median(frame.color[window][core], axis=0).astype(float)
    return Cluster(mask, points, color, centroid, size, yaw, pixel)
