"""Parameters of the camera node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class CameraConfig:
    """Which camera, and when it counts as gone."""

    driver: str = plugin("mujoco", "hardware.base:CAMERAS", "Camera driver")
    topics: str = param("camera", "Prefix of the topics; another one makes a second camera")
    reliable_images: bool = param(False, "Publish images with reliable delivery")
    base_frame: str = param("base_link", "Frame in which the camera's pose is given")
    max_age: float = param(
        1.0, "A camera without a newer frame than this has stopped", unit="s", low=0.05, high=10.0
    )
    reconnect_period: float = param(
        1.0, "Time between attempts to reach a camera again", unit="s", low=0.1, high=60.0
    )
    poll_period: float = param(
        0.003, "Time between looks for a new frame", unit="s", low=0.0005, high=0.1
    )
