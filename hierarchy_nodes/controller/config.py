"""Configuration of the controller node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class ControllerConfig:
    """What turns plans into action chunks, how often, and how old its inputs may be."""

    backend: str = plugin(
        "diffusion",
        "hierarchy_nodes.controller.base:CONTROLLERS",
        "Controller backend: short name or module:Class",
    )
    base_frame: str = param("base_link", "Frame of the poses in a chunk")
    rate_hz: float = param(20.0, "Chunks a second", unit="Hz", low=1.0, high=200.0)
    max_state_age: float = param(
        0.3, "Hold when the robot state is older", unit="s", low=0.02, high=5.0
    )
    max_frame_age: float = param(
        0.5, "Hold when the camera frame is older", unit="s", low=0.05, high=10.0
    )
    max_segments_age: float = param(
        1.0, "Hold when the plan's segments are older", unit="s", low=0.05, high=10.0
    )
    reliable_images: bool = param(False, "Subscribe to camera images with reliable delivery")
