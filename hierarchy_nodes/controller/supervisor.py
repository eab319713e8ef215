"""Between the newest inputs and a backend: when it may act, on what, and why not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.config import ControllerConfig
from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import ErrorCode, PlanRejected
from hierarchy_nodes.geometry import IDENTITY
from hierarchy_nodes.types import (
    Correction,
    CorrectionKind,
    Interaction,
    LanguageMotion,
    Observation,
    Plan,
    RgbdFrame,
    RobotState,
    Role,
    Segments,
)

SPEED_RANGE = (0.1, 2.0)


def no_plan() -> Plan:
    """What is followed before the first plan: nothing."""
    return Plan("", 0.0, "", IDENTITY, "", Interaction.NONE, (), (), 0.0, "none")


@dataclass(frozen=True)
class Job:
    """One call of the backend, to be made in whatever thread."""

    observation: Observation
    reset: bool


@dataclass(frozen=True)
class Report:
    """What the operator and the planner are told."""

    state: str
    plan_id: str
    phase: str = ""
    progress: float = 0.0
    message: str = ""


class Supervisor:
    """Keeps the newest of each input; all methods but :meth:`run` belong to one thread."""

    def __init__(self, backend: ControllerBackend, config: ControllerConfig) -> None:
        self._backend, self._config = backend, config
        self._plan = no_plan()
        self._frame: RgbdFrame | None = None
        self._robot: RobotState | None = None
        self._segments: Segments | None = None
        self._motions: deque[LanguageMotion] = deque(maxlen=20)
        self._motion: LanguageMotion | None = None
        self._paused = False
        self._stopped: str | None = None
        self._reset = False
        self._rejection: Report | None = None
        self.speed = 1.0

    def plan(self, plan: Plan, now: float) -> None:
        """A new plan takes the place of the old one, even if it turns out to be unfit."""
        self._plan, self._rejection = plan, None
        try:
            validate_plan(plan, now, self._frame)
            if self._stopped is not None and plan.path:
                raise PlanRejected(
                    ErrorCode.ARM_STOPPED, f"the arm is stopped ({self._stopped}): reset it first."
                )
        except PlanRejected as error:
            self.reject(plan.plan_id, error)

    def reject(self, plan_id: str, error: PlanRejected) -> None:
        """End what is running: the plan that came, or the running one, is unfit."""
        self._plan = replace(no_plan(), plan_id=plan_id)
        self._rejection = Report("failed", plan_id, message=f"{error.code.name}: {error}")

    def frame(self, frame: RgbdFrame) -> None:
        self._frame = frame

    def robot(self, state: RobotState) -> None:
        self._robot = state

    def segments(self, segments: Segments) -> None:
        if self._segments is None or segments.stamp >= self._segments.stamp:
            self._segments = segments
        elif segments.plan_id != self._segments.plan_id:
            # The first of a new plan are on the image that it was drawn on.
            self._segments = segments

    def motion(self, motion: LanguageMotion) -> None:
        """Corrections are handed on one by one; a planner's motion is only the newest."""
        if motion.source == "correction":
            self._motions.append(motion)
        elif self._motion is None or self._motion.source != "correction":
            self._motion = motion

    def correction(self, correction: Correction) -> None:
        if not correction.accepted:
            return
        if correction.kind == CorrectionKind.SPEED:
            low, high = SPEED_RANGE
            self.speed = min(max(self.speed * correction.speed_factor, low), high)
        elif correction.kind == CorrectionKind.PAUSE:
            self._paused = True
        elif correction.kind == CorrectionKind.RESUME:
            self._paused = False

    def stop(self, stopped: bool, reason: str) -> None:
        """A stop ends the plan: what comes afterwards is planned anew from what is measured."""
        if stopped and self._stopped is None:
            self._plan = replace(no_plan(), plan_id=self._plan.plan_id)
            self._motions.clear()
            self._motion, self._rejection = None, None
        if stopped or self._stopped is not None:
            self._reset = True
        self._stopped = (reason or "stop") if stopped else None
        self._paused = self._paused and not stopped

    def prepare(self, now: float) -> Job | Report:
        """What the backend is to be asked at `now`, or why it must not act."""
        plan_id = self._plan.plan_id
        if self._stopped is not None:
            return Report("stopped", plan_id, message=f"ARM_STOPPED: {self._stopped}")
        if self._rejection is not None and not self._motions:
            return self._rejection
        if self._plan.path:
            try:
                validate_plan(self._plan, now, self._frame)
            except PlanRejected as error:
                self.reject(plan_id, error)
                assert self._rejection is not None
                return self._rejection
        why = "paused" if self._paused else self._stale(now)
        if why:
            state = "holding" if self._plan.path else "idle"
            return Report(state, plan_id, message=why)
        assert self._robot is not None
        observation = Observation(
            now, self._robot, self._plan, self._frame, self._segments, self._pop(now), self.speed
        )
        reset, self._reset = self._reset, False
        return Job(observation, reset)

    def run(self, job: Job) -> Step:
        """Ask the backend; in the worker's thread."""
        if job.reset:
            self._backend.reset()
        return self._backend.act(job.observation)

    def current(self, job: Job) -> bool:
        """Whether the answer to `job` still counts: same plan, and no stop meanwhile."""
        return job.observation.plan is self._plan and self._stopped is None and not self._paused

    def fail(self, error: PlanRejected) -> None:
        """The backend broke down on the running plan."""
        self._reset = True
        self.reject(self._plan.plan_id, error)

    def describe(self, job: Job, step: Step) -> Report:
        """What is told about `step`."""
        plan = job.observation.plan
        state, message = step.state, step.message
        if not plan.path and step.state == "holding":
            state = "idle"
        if step.code != ErrorCode.NONE:
            message = f"{step.code.name}: {message}"
        if self._rejection is not None and state == "idle":
            return self._rejection
        return Report(state, plan.plan_id, step.phase, step.progress, message)

    def _pop(self, now: float) -> LanguageMotion | None:
        """The oldest correction that the backend has not seen, else the newest motion if valid."""
        if self._motions:
            self._motion = self._motions.popleft()
        if self._motion is not None and now > self._motion.valid_until:
            self._motion = None
        return self._motion

    def _stale(self, now: float) -> str:
        config = self._config
        if self._robot is None:
            return "waiting for the robot state"
        if now - self._robot.stamp > config.max_state_age:
            return f"robot state is {now - self._robot.stamp:.2f} s old"
        if not self._plan.path:
            return ""
        if self._frame is None:
            return "waiting for a camera frame"
        if now - self._frame.stamp > config.max_frame_age:
            return f"camera frame is {now - self._frame.stamp:.2f} s old"
        wanted = any(p.role in (Role.TARGET, Role.GOAL) for p in self._plan.prompts)
        segments = self._segments
        if not wanted or segments is None or segments.plan_id != self._plan.plan_id:
            # The backend waits for the first ones, and gives up by itself.
            return ""
        if now - segments.stamp > config.max_segments_age:
            return f"segments are {now - segments.stamp:.2f} s old"
        return ""
