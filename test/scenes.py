"""Frames of made-up scenes with the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hardware.cameras.mock import Box, front_camera, render
from hierarchy_nodes.geometry import project, top_down
from hierarchy_nodes.types import (
    Interaction,
    Plan,
    Prompt,
    RgbdFrame,
    RobotState,
    Role,
)

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 150, 50), (30, 60, 190), (220, 200, 40)
FRAME_ID = "camera_color_optical_frame"
HOME = np.array([0.0, -0.34697264, 0.0, 1.97478833, 0.0, 1.51377697, 0.0])


def cube(x: float, y: float, color, side: float = 0.04, z: float = 0.0, yaw: float = 0.0) -> Box:
    """A cube that stands at height `z`."""
    return Box((x, y, z + side / 2), (side, side, side), color, yaw)


def plate(x: float, y: float, color=BLUE) -> Box:
    return Box((x, y, 0.006), (0.14, 0.14, 0.012), color)


def picture(
    boxes: Sequence[Box], stamp: float = 0.0, width: int = 320, height: int = 240
) -> tuple[RgbdFrame, np.ndarray]:
    """The frame, and ``(H, W)`` which box each pixel is (its index + 1)."""
    camera, pose = front_camera(width, height)
    color, depth, which = render(boxes, camera, pose)
    return RgbdFrame(stamp, FRAME_ID, color, depth, camera, pose), which


def noisy(frame: RgbdFrame, seed: int, depth: float = 0.001, color: float = 3.0) -> RgbdFrame:
    """`frame` with Gaussian noise, 1% holes, and depth in whole millimetres."""
    rng = np.random.default_rng(seed)
    metres = np.round((frame.depth + rng.normal(0, depth, frame.depth.shape)) * 1000) / 1000
    metres[rng.random(metres.shape) < 0.01] = 0
    pixels = np.clip(frame.color + rng.normal(0, color, frame.color.shape), 0, 255)
    return replace(frame, depth=metres.astype(np.float32), color=pixels.astype(np.uint8))


def robot_at(stamp: float, position=(0.35, 0.0, 0.40), gripper: float = 1.0) -> RobotState:
    """An arm whose joints stay at home (out of view) while its tool is said to be elsewhere."""
    return RobotState(stamp, HOME, np.zeros(7), gripper, top_down(position))


def plan_for(frame: RgbdFrame, *prompts: tuple[Role, str, Sequence[float]]) -> Plan:
    """A plan whose prompts point at base-frame points."""
    found = []
    for role, label, point in prompts:
        pixel, _ = project(np.array(point, float), frame.intrinsics, frame.camera_pose)
        found.append(Prompt(role, label, float(pixel[0, 0]), float(pixel[0, 1])))
    return Plan(
        plan_id="plan-1",
        stamp=frame.stamp,
        frame_id=frame.frame_id,
        camera_pose=frame.camera_pose,
        instruction="put the red block on the blue plate",
        interaction=Interaction.PLACE,
        path=(),
        prompts=tuple(found),
        valid_until=frame.stamp + 60,
        source="test",
    )


def nearest(items, point):
    """The item with `centroid` nearest to `point`, and its distance in metres."""
    best = min(items, key=lambda item: np.linalg.norm(item.centroid - point))
    return best, float(np.linalg.norm(best.centroid - point))
