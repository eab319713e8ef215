"""A task, its phases, and how it ends."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.geometry import IDENTITY
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.resuming import Interrupted
from hierarchy_nodes.planner.watch import PlanWatch
from hierarchy_nodes.types import Correction, Interaction, Plan, RgbdFrame, RobotState, StrEnum


class Phase(StrEnum):
    """Where a task is."""

    WAITING = "waiting-for-image"
    PLANNING = "planning"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a task ended."""

    code: ErrorCode
    message: str
    duration: float
    attempts: int

    @property
    def success(self) -> bool:
        return self.code == ErrorCode.NONE


@dataclass
class Task:
    """What a person asked for, and how far it is.

    Attributes:
        steps: The instructions still to be done, the present one first.
        attempt: Plans tried for the present step; `attempts`: for all.
        fresh_after: Only an image later than this will do.
        aside: The arm went aside to look for the present step's things.
        verify: The next image is for checking, not for planning.
        ticket: Of the job in the worker; answers to older ones are void.
        watch: Over the plan that is being executed.
        events: Plans of the present step that were given up because of what the watch saw.
    """

    instruction: str
    started: float
    deadline: float
    max_attempts: int
    ended: Callable[[Outcome], None]
    steps: list[str] = field(default_factory=list)
    phase: Phase = Phase.WAITING
    attempt: int = 0
    attempts: int = 0
    looks: int = 0
    fresh_after: float = 0.0
    waiting_since: float = 0.0
    executing_since: float = 0.0
    aside: bool = False
    verify: bool = False
    counts: bool = True
    ticket: int = 0
    plan: Plan | None = None
    accepted: bool = False
    watch: PlanWatch | None = None
    events: int = 0
    previous: Plan | None = None
    corrections: list[Correction] = field(default_factory=list)
    last_error: tuple[ErrorCode, str] = (ErrorCode.NONE, "")

    @property
    def subtask(self) -> str:
        return self.steps[0] if self.steps else ""

    @property
    def left(self) -> Interrupted:
        """What is still to be done of it."""
        return Interrupted(self.instruction, tuple(self.steps), tuple(self.corrections))


@dataclass(frozen=True)
class PlanJob:
    """To be answered with Executive.planned or Executive.plan_failed."""

    ticket: int
    request: PlanRequest


@dataclass(frozen=True)
class VerifyJob:
    """To be answered with Executive.verified."""

    ticket: int
    plan: Plan
    frame: RgbdFrame
    robot: RobotState


Job = PlanJob | VerifyJob


class Port(Protocol):
    """What the executive needs from the outside."""

    def publish(self, plan: Plan) -> None:
        """Send a plan to everybody; an empty one ends what is running."""

    def ask(self, job: Job) -> None:
        """Have the backend work on `job` in another thread."""


def empty_plan(now: float, reason: str, instruction: str = "") -> Plan:
    """The plan that ends what is running, which may be a task's `instruction`."""
    return Plan(
        plan_id=f"none-{uuid.uuid4().hex[:8]}",
        stamp=now,
        frame_id="",
        camera_pose=IDENTITY,
        instruction=instruction,
        interaction=Interaction.NONE,
        path=(),
        prompts=(),
        valid_until=now,
        source="executive",
        subtask=reason,
    )


def coded(message: str) -> tuple[ErrorCode, str]:
    """The code that a controller's message begins with ("GRASP_FAILED: ..."), and the rest."""
    name, _, text = message.partition(": ")
    if name in ErrorCode.__members__ and text:
        return ErrorCode[name], text
    return ErrorCode.CONTROLLER_STUCK, message or "The controller failed without saying why."
