"""Patterns on the table, painted into rendered images where the table is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transforms3d import quaternions

from hierarchy_nodes.types import Array, RgbdFrame


@dataclass(frozen=True)
class Texture:
    """A pattern between the table's colour and another.

    Attributes:
        pattern: A key of `PATTERNS`.
        size: Of its parts, metres. turn: Radians. seed: Of what is random in it.
        color: Multiplies the table's colour where the pattern is strongest.
    """

    pattern: str
    size: float
    turn: float
    seed: int
    color: tuple[float, float, float]


def _stripes(x: Array, y: Array, rng: np.random.Generator) -> Array:
    return 0.5 + 0.5 * np.sin(2 * math.pi * x)


def _planks(x: Array, y: Array, rng: np.random.Generator) -> Array:
    rows = np.floor(x).astype(int)
    tones = rng.random(64)
    seam = np.abs(x - np.round(x)) < 0.04
    grain = 0.15 * np.sin(9 * x + 2 * np.sin(1.3 * y))
    return np.clip(0.7 * tones[rows % 64] + grain, 0, 1) * ~seam + seam


def _noise(x: Array, y: Array, rng: np.random.Generator) -> Array:
    total = np.zeros_like(x)
    for k in (1.0, 2.3, 4.1):
        a, b, c, d = rng.uniform(0, 2 * math.pi, 4)
        total += np.sin(k * x * 3 + a + np.sin(k * y + b)) * np.sin(k * y * 3 + c + d * 0.2) / k
    return np.clip(0.5 + 0.4 * total, 0, 1)


def _dots(x: Array, y: Array, rng: np.random.Generator) -> Array:
    return (np.hypot(x - np.round(x), y - np.round(y)) < 0.25).astype(float)


def _checker(x: Array, y: Array, rng: np.random.Generator) -> Array:
    return ((np.floor(x) + np.floor(y)) % 2).astype(float)


def _rings(x: Array, y: Array, rng: np.random.Generator) -> Array:
    return 0.5 + 0.5 * np.sin(2 * math.pi * np.hypot(x, y))


PATTERNS: dict[str, Callable[[Array, Array, np.random.Generator], Array]] = {
    "stripes": _stripes,
    "planks": _planks,
    "noise": _noise,
    "dots": _dots,
    "checker": _checker,
    "rings": _rings,
}
# Kept for evaluation.
HELD_OUT_PATTERNS = ("checker", "rings")
TRAINING_PATTERNS = tuple(name for name in PATTERNS if name not in HELD_OUT_PATTERNS)


def draw_texture(rng: np.random.Generator, patterns: tuple[str, ...]) -> Texture:
    """A random one of `patterns`."""
    color = np.clip(rng.uniform(0.6, 1.25) + rng.uniform(-0.15, 0.15, 3), 0.4, 1.4)
    return Texture(
        patterns[rng.integers(len(patterns))],
        float(rng.uniform(0.02, 0.15)),
        float(rng.uniform(0, math.pi)),
        int(rng.integers(2**31)),
        (float(color[0]), float(color[1]), float(color[2])),
    )


def paint(frame: RgbdFrame, where: NDArray[np.bool_], texture: Texture) -> None:
    """Paint `texture` into the frame's colours at the pixels `where`, which show z = 0."""
    camera, pose = frame.intrinsics, frame.camera_pose
    rows, columns = np.nonzero(where)
    if not len(rows):
        return
    local = np.stack(
        [
            (columns + 0.5 - camera.cx) / camera.fx,
            (rows + 0.5 - camera.cy) / camera.fy,
            np.ones(len(rows)),
        ],
        axis=1,
    )
    rays = local @ quaternions.quat2mat(pose.quaternion).T
    at = pose.position + rays * (-pose.position[2] / np.minimum(rays[:, 2:], -1e-6))
    cos, sin = math.cos(texture.turn), math.sin(texture.turn)
    x = (at[:, 0] * cos + at[:, 1] * sin) / texture.size
    y = (at[:, 1] * cos - at[:, 0] * sin) / texture.size
    share = PATTERNS[texture.pattern](x, y, np.random.default_rng(texture.seed))[:, None]
    factor = 1 + share * (np.array(texture.color) - 1)
    found = frame.color[rows, columns] * factor
    frame.color[rows, columns] = np.clip(found, 0, 255).astype(np.uint8)
