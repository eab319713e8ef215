"""What a controller backend is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.registry import Registry
from hierarchy_nodes.types import ActionChunk, Observation


@dataclass(frozen=True)
class Step:
    """A controller's answer to one observation.

    Attributes:
        chunk: What to do next; None to hold.
        phase: A word for a person, e.g. ``approach``, ``grasp``, ``carry``, ``release``.
        state: ``busy``, ``holding`` (waiting for something named in message), ``done``, ``failed``.
        progress: In [0, 1] along the plan.
    """

    chunk: ActionChunk | None
    phase: str
    state: str
    progress: float = 0.0
    message: str = ""
    code: ErrorCode = ErrorCode.NONE


class ControllerBackend(ABC):
    """Turns observations into short chunks of timed end-effector poses. Free of ROS; fast."""

    Options: ClassVar[type[Any]]

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def reset(self) -> None:
        """Forget everything: a new plan, episode, or a jump of the state."""

    @abstractmethod
    def act(self, observation: Observation) -> Step:
        """One chunk that starts at ``observation.robot``."""


CONTROLLERS = Registry(
    "controller",
    "hierarchy_nodes.controller.base:ControllerBackend",
    {
        "diffusion": "hierarchy_nodes.controller.diffusion.backend:DiffusionController",
        "path_follower": "hierarchy_nodes.controller.path_follower:PathFollower",
    },
    group="hierarchy.controllers",
)
