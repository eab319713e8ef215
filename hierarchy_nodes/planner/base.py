"""What a planner backend is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from hierarchy_nodes.errors import ErrorCode, HierarchyError
from hierarchy_nodes.registry import Registry
from hierarchy_nodes.types import (
    Correction,
    LanguageMotion,
    Observation,
    Plan,
    RgbdFrame,
    RobotState,
)


@dataclass(frozen=True)
class PlanRequest:
    """What is asked of a planner.

    Attributes:
        instruction: In the person's words.
        frame: The image that the plan is to be drawn on.
        robot: The arm at that moment.
        corrections: Given since the task began, oldest first.
        attempt: 1 for the first plan of a task.
        previous: The plan before this one, if any: what "it" and "the other" refer to.
        holding: The gripper holds what `previous` made it take.
        second: What a second camera saw at about the same time; most backends look at `frame` only.
    """

    instruction: str
    frame: RgbdFrame
    robot: RobotState
    corrections: tuple[Correction, ...] = ()
    attempt: int = 1
    previous: Plan | None = None
    holding: bool = False
    second: RgbdFrame | None = None


class TaskDone(HierarchyError):
    """Raised instead of a plan: the image shows that nothing is left to do."""

    code = ErrorCode.NONE


class PlannerBackend(ABC):
    """Turns an instruction and an image into a plan. Free of ROS; may be slow."""

    Options: ClassVar[type[Any]]

    def __init__(self, options: Any) -> None:
        self.options = options

    def subtasks(self, instruction: str) -> tuple[str, ...]:
        """The steps of an instruction, each an instruction of its own; must be fast.

        Raises:
            PlanningError: It can be told already that the instruction makes no sense.
        """
        return (instruction,)

    def repeats(self, subtask: str) -> bool:
        """Whether to plan the subtask again after each success, until `plan` raises TaskDone."""
        return False

    def prepares(self, plan: Plan) -> bool:
        """Whether `plan` only clears the hand, and what was asked for is to be planned after it."""
        return False

    @abstractmethod
    def plan(self, request: PlanRequest) -> Plan:
        """Raises PlanningError with a code and an answer for the person, or TaskDone."""

    @abstractmethod
    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        """Whether the image shows that the plan's subtask is done; None to abstain."""

    def motion(self, observation: Observation) -> LanguageMotion | None:
        """The present language motion of the plan being executed, if the backend has one."""
        return None

    def cancel(self) -> None:  # noqa: B027 - backends that are fast need not
        """Make a running `plan` or `verify` end soon, with any error; from another thread."""


PLANNERS = Registry(
    "planner",
    "hierarchy_nodes.planner.base:PlannerBackend",
    {
        "classical": "hierarchy_nodes.planner.classical:ClassicalPlanner",
        "openai": "hierarchy_nodes.planner.vlm.server:ServerPlanner",
        "transformers": "hierarchy_nodes.planner.vlm.local:LocalPlanner",
        "compact": "hierarchy_nodes.planner.compact.backend:CompactPlanner",
    },
    group="hierarchy.planners",
)
