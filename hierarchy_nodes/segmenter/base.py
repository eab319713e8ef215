"""What a segmenter backend is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from hierarchy_nodes.registry import Registry
from hierarchy_nodes.types import Plan, RgbdFrame, RobotState, Segments


class SegmenterBackend(ABC):
    """Turns a plan's prompts into masks and keeps them on the things while they move."""

    Options: ClassVar[type[Any]]

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def reset(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> Segments:
        """Start on the prompts of `plan`; `frame` is the image it was drawn on, or the nearest.

        A prompt that hits nothing yields a segment that is lost from the start.
        """

    @abstractmethod
    def track(self, frame: RgbdFrame, robot: RobotState) -> Segments:
        """Find the same things again on a newer image."""


SEGMENTERS = Registry(
    "segmenter",
    "hierarchy_nodes.segmenter.base:SegmenterBackend",
    {
        "depth": "hierarchy_nodes.segmenter.depth:DepthSegmenter",
        "sam2": "hierarchy_nodes.segmenter.sam2.backend:Sam2Segmenter",
    },
    group="hierarchy.segmenters",
)
