"""What kind of thing a cluster of points is, from its box, its outline and its hollow."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.segmenter.boxes import upright_box
from hierarchy_nodes.segmenter.clusters import Cluster


def name_shape(cluster: Cluster) -> tuple[str, ...]:
    """Shape names that fit, the likeliest first."""
    length, width, height = cluster.size
    top = float(cluster.centroid[2] + height / 2)
    if height < 0.004:
        return ("zone", "plate")
    if width > 0.1 and top < 0.07:
        return _wide(cluster, top)
    if length > 0.11 and top > 0.06 and width > 0.02:
        return ("drawer",)
    if top - max(0.0, cluster.centroid[2] - height / 2) > 1.7 * length and height > 0.075:
        return ("bottle", "cylinder")
    if length > 1.75 * width and length > 0.055:
        return ("bar", "block")
    hollow = hollowness(cluster)
    if hollow > 0.35 and length > 0.045:
        return ("cup", "cylinder", "bowl")
    residual, radius = sphere_fit(cluster.points)
    if residual < 0.0011 and 0.3 * length < radius < 0.75 * length:
        return ("ball", "cylinder", "block")
    fill, solid = outline(cluster)
    if solid < 0.88 and length > 0.05:
        return ("cross", "block")
    if fill < 0.86:
        return ("cylinder", "block", "ball", "cup")
    return ("block", "cylinder")


def _wide(cluster: Cluster, top: float) -> tuple[str, ...]:
    if top < 0.018:
        return ("plate", "tray", "zone")
    if top < 0.035:
        return ("tray", "plate", "bowl")
    return ("bowl", "tray", "plate")


def hollowness(cluster: Cluster) -> float:
    """Share of the points near the middle of the footprint that lie well below the top."""
    points = cluster.points
    radius = float(cluster.size[1]) / 2
    near = np.linalg.norm(points[:, :2] - cluster.centroid[:2], axis=1) < 0.6 * radius
    if near.sum() < 4:
        return 1.0 if len(points) > 40 else 0.0
    top = cluster.centroid[2] + cluster.size[2] / 2
    return float((points[near, 2] < top - 0.012).mean())


def sphere_fit(points: NDArray[Any]) -> tuple[float, float]:
    """Root mean square residual and radius of the algebraic least-squares sphere, metres."""
    points = np.asarray(points, dtype=float)
    middle = points.mean(axis=0)
    local = points - middle
    system = np.column_stack([2 * local, np.ones(len(local))])
    solution, *_ = np.linalg.lstsq(system, (local**2).sum(axis=1), rcond=None)
    center = solution[:3]
    radius = float(np.sqrt(max(solution[3] + center @ center, 1e-12)))
    distance = np.linalg.norm(local - center, axis=1)
    # A trimmed mean: a few border pixels mix two surfaces.
    error = np.sort((distance - radius) ** 2)[: max(1, int(0.9 * len(points)))]
    return float(np.sqrt(error.mean())), radius


def outline(cluster: Cluster) -> tuple[float, float]:
    """Of the top face: its hull's share of its smallest rectangle (disc 0.79, square 1.0), and
    its own share of its hull (cross 0.78)."""
    top = cluster.centroid[2] + cluster.size[2] / 2
    face = cluster.points[cluster.points[:, 2] > top - 0.008][:, :2].astype(np.float32)
    if len(face) < 6:
        return 1.0, 1.0
    scale = 2000.0  # half a millimetre a pixel
    pixels = np.round((face - face.min(axis=0)) * scale).astype(np.int32)
    hull = cv2.convexHull(pixels.reshape(-1, 1, 2))
    area = float(cv2.contourArea(hull))
    _, sides, _ = cv2.minAreaRect(pixels.astype(np.float32))
    canvas = np.zeros(tuple(pixels.max(axis=0)[::-1] + 1), np.uint8)
    canvas[pixels[:, 1], pixels[:, 0]] = 1
    reach = 13
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    closed = cv2.morphologyEx(np.pad(canvas, reach), cv2.MORPH_CLOSE, kernel)
    return area / max(sides[0] * sides[1], 1.0), float(closed.sum()) / max(area, 1.0)


def footprint_overlap(first: Cluster, second: Cluster) -> float:
    """Overlap of the two footprint rectangles as a share of the smaller one.

    Wide things count a little larger: the walls of a bowl are seen with gaps between them.
    """
    grow = 0.02 if max(first.size[1], second.size[1]) > 0.1 else 0.0
    rectangles = []
    for c in (first, second):
        sides = np.maximum(c.size[:2], 0.004) + grow
        rectangles.append((c.centroid[:2].tolist(), sides.tolist(), float(np.degrees(c.yaw))))
    kind, corners = cv2.rotatedRectangleIntersection(rectangles[0], rectangles[1])
    if kind == cv2.INTERSECT_NONE or corners is None or len(corners) < 3:
        return 0.0
    area = float(cv2.contourArea(cv2.convexHull(corners)))
    return area / min(r[1][0] * r[1][1] for r in rectangles)


def merge(first: Cluster, second: Cluster) -> Cluster:
    """Both as one; colour and pixel are those of `first`."""
    points = np.concatenate([first.points, second.points])
    height = points[:, 2]
    centroid, size, yaw = upright_box(points, height, 0.003)
    return Cluster(
        mask=first.mask | second.mask,
        points=points,
        color=first.color,
        centroid=centroid,
        size=size,
        yaw=yaw,
        pixel=first.pixel,
    )
