"""Parameters of the segmenter node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class SegmenterConfig:
    """Which backend, and how it is fed."""

    backend: str = plugin("depth", "hierarchy_nodes.segmenter.base:SEGMENTERS", "Segmenter backend")
    reliable_images: bool = param(False, "Subscribe to camera images with reliable delivery")
    memory: float = param(
        3.0, "How long frames are kept to start a plan on its own image", unit="s", low=0.0, high=60
    )
