"""Things on the table, found in one RGB-D image: no learning, no names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import open3d as o3d
from numpy.typing import NDArray
from transforms3d.quaternions import quat2mat

from hierarchy_nodes.parameters import param
from hierarchy_nodes.robot_filter import RobotFilter, default_filter
from hierarchy_nodes.segmenter.boxes import upright_box
from hierarchy_nodes.segmenter.ranks import median
from hierarchy_nodes.segmenter.regions import (
    CHROMA_SCALE,
    LIGHT_SCALE,
    Features,
    color_features,
    join_hollow,
    label_regions,
    pixels_of,
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
    height = height_over_table(cloud, options)
    table = over_table(cloud, options)
    raised = table & (height > options.min_height) & (height < options.z_max)
    flat = table & (np.abs(height) <= options.min_height)
    if robot is not None:
        pixels = np.flatnonzero(raised)
        own = (robot_filter or default_filter()).mask(cloud.reshape(3, -1)[:, pixels].T, robot)
        raised.reshape(-1)[pixels[own]] = False
    features = color_features(frame.color)
    patches = _patches(features, flat, options)
    labels = label_regions(features, frame.depth, raised, patches, options, limit)
    things = join_hollow(pixels_of(labels), features, cloud, height, options)
    found = [describe(frame, cloud, height, pixels, options) for pixels in things]
    return sorted(found, key=lambda c: len(c.points), reverse=True)


@lru_cache(maxsize=4)
def _rays(camera: CameraIntrinsics, quaternion: bytes) -> NDArray[np.float32]:
    """``(3, H, W)`` directions of the pixels in the base frame, of unit depth."""
    u = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    v = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    local = np.stack([*np.meshgrid(u, v), np.ones((camera.height, camera.width))])
    turned = np.tensordot(quat2mat(np.frombuffer(quaternion)), local, 1)
    return turned.astype(np.float32)


def cloud_of(frame: RgbdFrame) -> NDArray[np.float32]:
    """``(3, H, W)`` base-frame points, metres; NaN where the depth is unknown."""
    quaternion = np.ascontiguousarray(frame.camera_pose.quaternion, dtype=float)
    depth = frame.depth.astype(np.float32)
    np.copyto(depth, np.float32(np.nan), where=~((depth > 0) & (depth < np.inf)))
    cloud = _rays(frame.intrinsics, quaternion.tobytes()) * depth
    cloud += frame.camera_pose.position.astype(np.float32)[:, None, None]
    return cloud


def over_table(cloud: NDArray[np.float32], options: ClusterOptions) -> NDArray[np.bool_]:
    """``(H, W)`` which points of the cloud lie in the table region, at any height."""
    x, y, _ = cloud
    return (x > options.x_min) & (x < options.x_max) & (np.abs(y) < options.y_max)


def height_over_table(cloud: NDArray[np.float32], options: ClusterOptions) -> NDArray[np.float32]:
    """``(H, W)`` height of each point over the table: its plane where found, else z = 0."""
    z = cloud[2]
    # Every third pixel of every third row is plenty for a plane.
    thin = cloud[:, ::3, ::3]
    near = np.flatnonzero(over_table(thin, options) & (np.abs(thin[2]) < options.plane_offset))
    near = near[:: max(1, len(near) // 1500)]
    sample = thin.reshape(3, -1)[:, near].T.astype(float)
    if len(sample) < 100:
        return z
    o3d.utility.random.seed(0)
    points = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(sample))
    # All 60 tries are made: when it would stop sooner, its threads' timing decides.
    plane, inliers = points.segment_plane(options.plane_tolerance, 3, 60, 1.0)
    if len(inliers) < 0.3 * len(sample):
        return z
    # What RANSAC found is already fitted to all inliers by least squares.
    plane = plane if plane[2] > 0 else -plane
    normal, middle = plane[:3], sample.mean(axis=0)
    level = middle[2] - (normal @ middle + plane[3]) / normal[2]
    # Lower than a thin plate's top or not at all: the plate itself may fill the view.
    if normal[2] < np.cos(np.radians(5.0)) or abs(level) > options.plane_offset / 2:
        return z
    height = normal.astype(np.float32) @ cloud.reshape(3, -1) + np.float32(plane[3])
    return height.reshape(z.shape)


def _patches(
    features: Features, flat: NDArray[np.bool_], options: ClusterOptions
) -> NDArray[np.bool_]:
    """Pixels of the table top `flat` that are of another colour than most of it."""
    differs = np.zeros_like(flat)
    sample = np.flatnonzero(flat)
    if len(sample) < 100:
        return differs
    sample = sample[::5]
    step = round(options.patch_step * CHROMA_SCALE)
    for part in features.chroma:
        usual = int(median(part.reshape(-1)[sample]))
        differs |= (part > usual + step) | (part < usual - step)
    # Darker must be much darker, or every shadow would be a thing.
    light = float(median(features.light.reshape(-1)[sample]))
    differs |= features.light > light + 0.3 * LIGHT_SCALE
    differs |= features.light < light - 1.2 * LIGHT_SCALE
    # The lowest few millimetres of things that stand on the table are thin lines.
    width = 2 * round(flat.shape[1] / 320) + 1
    kernel = np.ones((width, width), np.uint8)
    opened = cv2.morphologyEx((differs & flat).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return opened.astype(bool)


def describe(
    frame: RgbdFrame,
    cloud: NDArray[np.float32],
    height: NDArray[np.float32],
    pixels: NDArray[np.intp],
    options: ClusterOptions,
) -> Cluster:
    """The thing whose pixels have these flat indices, in ascending order."""
    shape = frame.depth.shape
    mask = np.zeros(shape, dtype=bool)
    mask.reshape(-1)[pixels] = True
    points = np.ascontiguousarray(cloud.reshape(3, -1)[:, pixels].T)
    pitch = float(median(frame.depth.reshape(-1)[pixels])) / frame.intrinsics.fx
    support = _support(frame.depth, height, pixels, options)
    centroid, size, yaw = upright_box(points, height.reshape(-1)[pixels], pitch, support)
    depth_in = _depth_in(pixels, shape)
    row, column = divmod(int(pixels[depth_in.argmax()]), shape[1])
    pixel = ((column + 0.5) / shape[1], (row + 0.5) / shape[0])
    # Away from the border, where pixels mix, as far as the thing is large enough.
    core = pixels[depth_in >= min(1.5, float(depth_in.max()))]
    color = median(frame.color.reshape(-1, 3)[core].T)
    return Cluster(mask, points, color, centroid, size, yaw, pixel)


def _depth_in(pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """How far inside of their region the `pixels` are, in pixels."""
    rows, columns = np.divmod(pixels, shape[1])
    # In a frame of their own, one pixel wider than they are.
    rows -= rows[0] - 1
    columns -= columns.min() - 1
    inside = np.zeros((rows[-1] + 2, columns.max() + 2), np.uint8)
    inside[rows, columns] = 1
    away = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    return np.asarray(away[rows, columns], np.float32)


def _support(
    depth: NDArray[np.float32],
    height: NDArray[np.float32],
    pixels: NDArray[np.intp],
    options: ClusterOptions,
) -> float | None:
    """Height of what a thing stands on: of what is seen right below its lower edge.

    None where nothing is seen there, or only things far behind (it hangs in the air).
    """
    width = depth.shape[1]
    lowest = np.full(width, -1)
    # The pixels come from top to bottom, and the last one in a column stays.
    lowest[pixels % width] = pixels
    lowest = lowest[lowest >= 0]
    reach = 3 * max(1, round(width / 320))
    below = lowest[:, None] + width * np.arange(1, reach + 1)
    inside_image = below < depth.size
    below[~inside_image] = 0
    depth, height = depth.reshape(-1), height.reshape(-1)
    near = inside_image & (np.abs(depth[below] - depth[lowest][:, None]) < options.gap)
    levels = np.where(near, height[below], np.inf).min(axis=1)
    levels = levels[np.isfinite(levels)]
    if len(levels) < max(2, 0.3 * len(lowest)):
        return None
    level = float(median(levels))
    return 0.0 if level < options.min_height else level
