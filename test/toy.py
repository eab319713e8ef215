"""Made-up demonstrations that a tiny network learns in seconds: go straight to the target."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from hierarchy_nodes.controller.diffusion.features import (
    HORIZON,
    PATH_POINTS,
    PERIOD,
    POINTS,
    Features,
    cut_rays,
)
from hierarchy_nodes.controller.diffusion.network import NetworkConfig
from hierarchy_nodes.geometry import look_at, top_down
from hierarchy_nodes.learning.augmentation import AugmentationOptions

SPEED = 0.25
DOWN = top_down((0.0, 0.0, 0.0)).quaternion
_VIEW = look_at((1.1, 0.0, 0.75), (0.45, 0.0, 0.02))
CAMERA = np.concatenate([_VIEW.position, _VIEW.quaternion, [0.84, 1.12, 0.5, 0.5]])
TEXTS = ["touch the red block", "grasp the blue block"]
TINY = NetworkConfig(
    width=64,
    heads=2,
    layers=2,
    memory_layers=1,
    feedforward=2,
    points=16,
    point_width=32,
    point_tokens=4,
    word_width=16,
    words=6,
    levels=50,
)
CALM = AugmentationOptions(point_noise=0.0, thing_noise=0.0, mask_loss=0.0, turn=0.05)


def features(
    tool: np.ndarray,
    target: np.ndarray,
    rng: np.random.Generator,
    grasp: bool = False,
    motion: np.ndarray | None = None,
    path: bool = True,
) -> Features:
    """What would be seen with the tool at ``(3,)``, the target at ``(3,)``.

    Args:
        grasp: Which of the two instructions.
        motion: ``(3,)`` metres that a correction asks for; None for no correction.
        path: Whether a path from the tool to the target is drawn.
    """
    points = np.zeros((POINTS, 3))
    half = POINTS // 2
    points[:half] = target + rng.uniform(-0.02, 0.02, (half, 3))
    points[half:] = rng.uniform((0.3, -0.3, 0.0), (0.65, 0.3, 0.1), (POINTS - half, 3))
    colors = np.full((POINTS, 3), 90)
    colors[:half] = (60, 60, 200) if grasp else (200, 30, 30)
    roles = np.zeros(POINTS)
    roles[:half] = 1
    things = np.zeros((3, 9))
    things[0] = [*target, 0.04, 0.04, 0.04, 1.0, 0.0, 1.0]
    pixels, there = np.zeros((PATH_POINTS, 2)), np.zeros(PATH_POINTS)
    rays, passed = np.zeros((PATH_POINTS, 6)), np.zeros(PATH_POINTS)
    if path:
        pixels[:2] = [_pixel(tool), _pixel(target)]
        there[:2], passed[0] = 1.0, 1.0
        rays[:2] = cut_rays(pixels[:2], CAMERA)
    told = np.zeros(6)
    if motion is not None:
        size = float(np.linalg.norm(motion))
        told[:] = [*(motion / size), size, 0.0, 1.0]
    values = {
        "points": points,
        "point_colors": colors,
        "point_roles": roles,
        "tool": np.concatenate([tool, DOWN]),
        "joints": np.zeros(7),
        "gripper": [1.0],
        "things": things,
        "things_there": [1.0, 0.0, 0.0],
        "path": rays,
        "path_pixels": pixels,
        "path_gripper": np.zeros(PATH_POINTS),
        "path_there": there,
        "path_passed": passed,
        "closest": [min(0.5, float(np.linalg.norm(tool - target)))],
        "camera": CAMERA,
        "motion": told,
        "motion_gripper": [0],
        "motion_there": [float(motion is not None)],
        "interaction": [1],
    }
    bytes_ = ("point_colors", "point_roles", "path_gripper", "motion_gripper", "interaction")
    arrays = {
        name: np.asarray(value).astype(np.uint8 if name in bytes_ else np.float32)
        for name, value in values.items()
    }
    return Features(**arrays, text=TEXTS[int(grasp)])


def expert(
    tool: np.ndarray, target: np.ndarray, grasp: bool = False, motion: np.ndarray | None = None
) -> np.ndarray:
    """``(HORIZON, 8)``: straight to the target, or along the correction; grasp when there."""
    way = target - tool if motion is None else motion
    length = max(float(np.linalg.norm(way)), 1e-9)
    reach = np.minimum(SPEED * PERIOD * np.arange(1, HORIZON + 1), length)
    chunk = np.zeros((HORIZON, 8))
    chunk[:, :3] = tool + reach[:, None] * way / length
    chunk[:, 3:7] = DOWN
    arrived = (reach >= length - 1e-6) & (motion is None)
    chunk[:, 7] = np.where(arrived & grasp, 0.0, 1.0)
    return chunk


def place(rng: np.random.Generator) -> np.ndarray:
    """Somewhere in the working area."""
    return rng.uniform((0.32, -0.25, 0.02), (0.62, 0.25, 0.3))


def demonstrations(count: int, seed: int = 0, length: int = 8) -> dict[str, Any]:
    """`count` records in episodes of `length`, as a data set gives them."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list] = {f.name: [] for f in fields(Features) if f.name != "text"}
    chunks, done, text = [], [], []
    for _ in range(count):
        tool, target, grasp = place(rng), place(rng), bool(rng.random() < 0.5)
        if rng.random() < 0.25:
            tool = target + rng.normal(0, 0.03, 3)
        motion = rng.normal(0, 0.05, 3) if rng.random() < 0.3 else None
        if rng.random() < 0.1:
            tool, motion = target + rng.normal(0, 0.001, 3), None
        seen = features(tool, target, rng, grasp, motion)
        for name, array in seen.arrays().items():
            rows[name].append(array)
        chunks.append(expert(tool, target, grasp, motion))
        done.append(float(motion is None and np.linalg.norm(target - tool) < 0.01))
        text.append(int(grasp))
    arrays: dict[str, Any] = {name: np.stack(values) for name, values in rows.items()}
    return arrays | {
        "plain_points": arrays["points"],
        "plain_colors": arrays["point_colors"],
        "action.chunk": np.stack(chunks).astype(np.float32),
        "done": np.array(done, dtype=np.float32),
        "text_index": np.array(text),
        "text": TEXTS,
        "episode_index": np.arange(count) // length,
    }


def _pixel(point: np.ndarray) -> np.ndarray:
    from transforms3d.quaternions import quat2mat

    local = (point - CAMERA[:3]) @ quat2mat(CAMERA[3:7])
    return local[:2] / local[2] * CAMERA[7:9] + CAMERA[9:]
