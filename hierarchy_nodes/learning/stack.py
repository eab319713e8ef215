"""The whole stack in one process on simulated time: what evaluation and training run.

The same cores as the nodes, at the same rates, with the same information: camera frames and the
measured arm. Nothing here asks the simulator where things are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hardware.base import JointCommand
from hardware.cell.cell import Cell
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.executor import ChunkExecutor
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.controller.base import CONTROLLERS, ControllerBackend
from hierarchy_nodes.controller.config import ControllerConfig
from hierarchy_nodes.controller.supervisor import Job, Report, Supervisor
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.session import Session
from hierarchy_nodes.errors import ChunkRejected
from hierarchy_nodes.parameters import make
from hierarchy_nodes.planner.base import PLANNERS, PlannerBackend
from hierarchy_nodes.planner.config import PlannerConfig
from hierarchy_nodes.planner.executive import Executive
from hierarchy_nodes.planner.lifelines import NEEDED
from hierarchy_nodes.planner.task import Job as PlannerJob
from hierarchy_nodes.planner.task import Outcome, PlanJob
from hierarchy_nodes.segmenter.base import SEGMENTERS
from hierarchy_nodes.types import (
    ActionChunk,
    Correction,
    CorrectionKind,
    LanguageMotion,
    Plan,
    RgbdFrame,
    RobotState,
    Segments,
)

CONTROL_PERIOD = 1 / 125
CONTROLLER_PERIOD = 1 / 20
CAMERA_PERIOD = 1 / 15
# Frames kept for a plan that is drawn on an older one.
_KEPT_FRAMES = 30


@dataclass(frozen=True)
class StackOptions:
    """Which backends, and how late each of their answers comes (simulated seconds).

    `verify`: whether the planner looks if a step is done. `masks`: whether the segmenter works at
    all; a policy that sees no masks needs none.
    """

    planner: str = "classical"
    segmenter: str = "depth"
    controller: str = "path_follower"
    planner_latency: float = 0.1
    camera_latency: float = 0.03
    segmenter_latency: float = 0.05
    controller_latency: float = 0.01
    controller_options: Mapping[str, Any] = field(default_factory=dict)
    planner_options: Mapping[str, Any] = field(default_factory=dict)
    verify: bool = True
    masks: bool = True


@dataclass
class Latencies:
    """Wall-clock seconds of every call."""

    planner: list[float] = field(default_factory=list)
    segmenter: list[float] = field(default_factory=list)
    controller: list[float] = field(default_factory=list)

    def timed(self, name: str, begin: float) -> None:
        getattr(self, name).append(time.perf_counter() - begin)


class InProcessStack:
    """Camera, segmenter, controller and arm of one cell, stepped on simulated time.

    Args:
        cell: Stepped by nobody else.
        options: Backends and latencies.
        planner, controller: Ready-made backends in place of the ones named in `options`.

    Attributes:
        executive: Runs tasks, as in the planner node.
        controller: The backend that acts.
        report: What the controller last said.
        setpoint: What the arm was last told.
        chunk: The newest one that the arm took.
        rejected: Chunks that the arm refused.
        latencies: What the calls really took.
        watchers: Called after every control period.
        outcomes: Of the tasks that have ended.
        listeners: Called with each plan, segments and correction, as the nodes publish them.
        lens: What comes between the table and the camera, if anything does.
    """

    def __init__(
        self,
        cell: Cell,
        options: StackOptions,
        planner: PlannerBackend | None = None,
        controller: ControllerBackend | None = None,
    ) -> None:
        self.cell, self.options = cell, options
        self.kinematics = Kinematics()
        self.executor = ChunkExecutor(ArmConfig(), self.kinematics, cell.capabilities)
        self._planner = planner or make(PLANNERS, options.planner, options.planner_options)
        self.executive = Executive(self._planner, PlannerConfig(verify=options.verify), self)
        self._segmenter = make(SEGMENTERS, options.segmenter)
        self.controller = controller or make(
            CONTROLLERS, options.controller, options.controller_options
        )
        self._core = Supervisor(self.controller, ControllerConfig())
        self.latencies = Latencies()
        self.report = Report("idle", "")
        self.setpoint: JointCommand | None = None
        self.chunk: ActionChunk | None = None
        self.rejected = 0
        self.watchers: list[Callable[[InProcessStack], None]] = []
        self.outcomes: list[Outcome] = []
        self.listeners: list[Callable[[Plan | Segments | Correction], None]] = []
        self.lens: Callable[[RgbdFrame], RgbdFrame] | None = None
        self._session, self._spoken = Session(CorrectionConfig()), 0
        self._frames: deque[tuple[RgbdFrame, RobotState]] = deque(maxlen=_KEPT_FRAMES)
        self._plan: Plan | None = None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._next_camera = self._next_controller = cell.time

    @property
    def time(self) -> float:
        return self.cell.time

    def robot(self) -> RobotState:
        """The measured arm."""
        return self.kinematics.robot_state(self.cell.arm_state())

    def execute(
        self,
        instruction: str,
        time_limit: float,
        max_attempts: int,
        until: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Do a task to its end, or until a condition holds."""
        done = len(self.outcomes)
        self.executive.start(instruction, self.time, self.outcomes.append, time_limit, max_attempts)
        self.run(time_limit + 5.0, lambda: len(self.outcomes) > done or until())
        if len(self.outcomes) == done:
            self.executive.cancel(self.time)
        return self.outcomes[done]

    def correct(self, motion: LanguageMotion) -> None:
        """A person's correction in words."""
        self._core.motion(motion)

    def say(
        self, text: str, stamp: float | None = None, confidence: float = 1.0
    ) -> list[Correction]:
        """What a person says, as the correction node understands it and the others take it.

        Where no task runs, it may start one.

        Args:
            stamp: When it was said; None: now.
            confidence: How sure it is that it was said.
        """
        self._spoken += 1
        base, stamp = f"said-{self._spoken}", self.time if stamp is None else stamp
        found = self._session.hear(text, stamp, self.time, base, confidence)
        for correction in found:
            self._tell(correction)
            if correction.kind == CorrectionKind.STOP:
                self._stop(True, text)
            elif self._session.resets_stop(correction):
                self._stop(False, "")
            if correction.accepted:
                self.executor.correct(correction)
            self._core.correction(correction)
            instruction = self.executive.correct(correction, self.time)
            if instruction:
                self.executive.start(instruction, self.time, self.outcomes.append)
        return found

    def _stop(self, stopped: bool, why: str) -> None:
        if stopped:
            self.executor.stop(why)
        else:
            self.executor.reset_stop(self.cell.arm_state())
        self._session.set_stop(stopped)
        self._core.stop(stopped, why)
        self.executive.stop(stopped, why, self.time)

    @property
    def plan(self) -> Plan | None:
        """The one being executed."""
        return self._plan

    @property
    def seen(self) -> bool:
        """Whether there was an image yet."""
        return bool(self._frames)

    def frame(self, stamp: float) -> tuple[RgbdFrame, RobotState]:
        """The image of the last two seconds taken nearest to `stamp`, and the arm then."""
        return min(self._frames, key=lambda pair: abs(pair[0].stamp - stamp))

    def publish(self, plan: Plan) -> None:
        """The executive's port: everybody gets `plan`."""
        self._tell(plan)
        self._plan = plan if plan.path and plan.prompts else None
        self._core.plan(plan, self.time)
        self.executor.set_validity(plan.plan_id, plan.valid_until)
        if self.options.masks and self._plan is not None and self._frames:
            frame, robot = self.frame(plan.stamp)
            begin = time.perf_counter()
            segments = self._segmenter.reset(plan, frame, robot)
            self.latencies.timed("segmenter", begin)
            self._deliver(segments)

    def ask(self, job: PlannerJob) -> None:
        """The executive's port: let the backend plan or check."""
        begin = time.perf_counter()
        self.after(self.options.planner_latency, self._answer(job))
        self.latencies.timed("planner", begin)

    def _answer(self, job: PlannerJob) -> Callable[[], None]:
        core, ticket = self.executive, job.ticket
        if not isinstance(job, PlanJob):
            done = self._planner.verify(job.plan, job.frame, job.robot)
            return lambda: core.verified(ticket, done, self.time)
        try:
            plan = self._planner.plan(job.request)
        except Exception as error:  # noqa: BLE001 - as in the node: the executive decides
            failure = error
            return lambda: core.plan_failed(ticket, failure, self.time)
        return lambda: core.planned(ticket, plan, self.time)

    def tick(self) -> None:
        """One control period: everything that is due, then the arm, then the world."""
        now = self.time
        while self._events and self._events[0][0] <= now:
            self._events.pop(0)[2]()
        for motion in self._session.due(now):
            self._core.motion(motion)
        if now >= self._next_camera - 1e-9:
            self._next_camera += CAMERA_PERIOD
            frame, robot = self.cell.capture(), self.robot()
            frame = self.lens(frame) if self.lens is not None else frame
            self.after(self.options.camera_latency, lambda: self._on_frame(frame, robot))
        if now >= self._next_controller - 1e-9:
            self._next_controller += CONTROLLER_PERIOD
            self._control(now)
        self.setpoint = self.executor.step(now, self.cell.arm_state())
        self.cell.command(self.setpoint)
        self.cell.step(CONTROL_PERIOD)
        for watcher in self.watchers:
            watcher(self)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Tick for `seconds` or until a condition holds; whether it did."""
        end = self.time + seconds
        while self.time < end:
            if until():
                return True
            self.tick()
        return until()

    def _on_frame(self, frame: RgbdFrame, robot: RobotState) -> None:
        self._frames.append((frame, robot))
        self._core.frame(frame)
        self.executive.see(frame, self.time)
        if self.options.masks and self._plan is not None:
            begin = time.perf_counter()
            segments = self._segmenter.track(frame, robot)
            self.latencies.timed("segmenter", begin)
            self._deliver(segments)

    def _deliver(self, segments: Segments) -> None:
        def deliver() -> None:
            self._tell(segments)
            self._core.segments(segments)
            self.executive.track(segments)

        self.after(self.options.segmenter_latency, deliver)

    def _control(self, now: float) -> None:
        robot = self.robot()
        self._core.robot(robot)
        self.executive.feel(robot)
        self._act(now)
        for node in NEEDED:
            if node != "controller":
                self.executive.hear(node, now, "busy")
        report = self.report
        self.executive.hear("controller", now, report.state, report.plan_id, report.message)
        self.executive.tick(now)

    def _act(self, now: float) -> None:
        prepared = self._core.prepare(now)
        if not isinstance(prepared, Job):
            self.report = prepared
            return
        begin = time.perf_counter()
        step = self._core.run(prepared)
        if step.chunk is not None:
            self.latencies.timed("controller", begin)
        self.report = self._core.describe(prepared, step)
        chunk = step.chunk
        if chunk is not None:
            self.after(self.options.controller_latency, lambda: self._submit(chunk))

    def _submit(self, chunk: ActionChunk) -> None:
        try:
            self.executor.submit(chunk, self.time)
            self.chunk = chunk
        except ChunkRejected:
            # As on the real arm: it holds, and the controller finds itself stuck.
            self.rejected += 1

    def _tell(self, news: Plan | Segments | Correction) -> None:
        for listener in self.listeners:
            listener(news)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do `action` so many simulated seconds from now."""
        self._count += 1
        self._events.append((self.time + seconds, self._count, action))
        self._events.sort(key=lambda event: event[:2])
