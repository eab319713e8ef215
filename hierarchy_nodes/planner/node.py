"""The planner node: instructions and images in, plans and results out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable

from hierarchy_interfaces import msg
from hierarchy_interfaces.action import ExecuteTask
from rclpy.action import CancelResponse
from rclpy.action.server import ServerGoalHandle
from std_msgs.msg import String

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.parameters import make
from hierarchy_nodes.planner.action_server import TaskServer
from hierarchy_nodes.planner.base import PLANNERS, PlannerBackend
from hierarchy_nodes.planner.config import PlannerConfig
from hierarchy_nodes.planner.executive import Executive
from hierarchy_nodes.planner.fallback import WithFallback
from hierarchy_nodes.planner.task import Job, Outcome, Phase, PlanJob, empty_plan
from hierarchy_nodes.planner.two_views import TwoViews
from hierarchy_nodes.subscribers import FrameSubscriber, RobotSubscriber
from hierarchy_nodes.types import Observation, Plan, RgbdFrame
from hierarchy_nodes.worker import LatestWorker


class PlannerNode(HierarchyNode):
    """Runs one task at a time; a new one preempts it."""

    def __init__(self) -> None:
        super().__init__("planner", PlannerConfig)
        self._backend: PlannerBackend = self.make_plugin("backend")
        if self.config.fallback not in ("", self.config.backend):
            second = make(PLANNERS, self.config.fallback)
            self._backend = WithFallback(self._backend, second, self.config.fallback)
        if self.config.second_camera:
            self._backend = TwoViews(self._backend)
        self._core = Executive(self._backend, self.config, self)
        self._results: deque[Callable[[], None]] = deque()
        self._worker = LatestWorker(self._work, self._failed, "planner")
        self._job: Job | None = None
        self._goal = self._cancelling = None  # type: ServerGoalHandle | None
        self._frame: RgbdFrame | None = None
        self._motion = ""
        self._ended = ("idle", "")
        self._plans = self.create_publisher(msg.Plan, "plan", qos.LATCHED)
        self._motions = self.create_publisher(msg.LanguageMotion, "language_motion", qos.EVENT)
        # A planner that was started again leaves nobody running on an old plan.
        self.publish(empty_plan(self.now(), "planner started"))
        self.create_subscription(String, "instruction", self._on_instruction, qos.EVENT)
        self.create_subscription(msg.StackStatus, "status", self._on_status, qos.STATUS)
        self.create_subscription(msg.StopState, "stop_state", self._on_stop, qos.LATCHED)
        self.create_subscription(msg.Correction, "correction", self._on_correction, qos.EVENT)
        self.create_subscription(msg.Segments, "segments", self._on_segments, qos.SENSOR)
        reliable = self.config.reliable_images
        FrameSubscriber(self, self._on_frame, reliable)
        if self.config.second_camera:
            FrameSubscriber(self, self._core.see_second, reliable, self.config.second_camera)
        self._robot = RobotSubscriber(self, self._core.feel)
        self._server = TaskServer(self, self._on_goal, self._on_cancel)
        self.create_timer(0.05, self._tick)
        self.create_timer(1.0 / self.config.feedback_rate_hz, self._feed_back)
        self.create_timer(1.0 / self.config.motion_rate_hz, self._say_motion)

    def close(self) -> None:
        self.publish(empty_plan(self.now(), "planner ended"))
        self._backend.cancel()
        self._worker.close()
        self._server.destroy()

    # The executive's port

    def publish(self, plan: Plan) -> None:
        self._plans.publish(conversions.plan_to_msg(plan))

    def ask(self, job: Job) -> None:
        # What the backend may be at work on is not wanted any more.
        self._backend.cancel()
        self._worker.submit(job)

    def _work(self, job: Job) -> None:
        """In the worker's thread."""
        self._job = job
        if isinstance(job, PlanJob):
            plan = self._backend.plan(job.request)
            self._results.append(lambda: self._core.planned(job.ticket, plan, self.now()))
        else:
            done = self._backend.verify(job.plan, job.frame, job.robot)
            self._results.append(lambda: self._core.verified(job.ticket, done, self.now()))
        self.call_soon(self._collect)

    def _failed(self, error: Exception) -> None:
        """In the worker's thread: `_work` raised."""
        job = self._job
        assert job is not None
        if isinstance(job, PlanJob):
            self._results.append(lambda: self._core.plan_failed(job.ticket, error, self.now()))
        else:
            self._results.append(lambda: self._core.verified(job.ticket, None, self.now()))
        self.call_soon(self._collect)

    def _collect(self) -> None:
        while self._results:
            self._results.popleft()()
        self._tell()

    # What comes in

    def _on_goal(self, handle: ServerGoalHandle) -> None:
        goal = handle.request

        def ended(outcome: Outcome) -> None:
            if self._goal is handle:
                self._goal = None
            self._note(outcome)
            self._server.finish(handle, outcome)

        # Only once the old goal has ended, which still needs its own handle.
        self._core.start(goal.instruction, self.now(), ended, goal.time_limit, goal.max_attempts)
        if self._core.task is not None:
            self._goal = handle
        self._tell()

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if handle is self._goal:
            # The goal must be cancelling before it is cancelled: on the next tick.
            self._cancelling = handle
        return CancelResponse.ACCEPT

    def _on_instruction(self, message: String) -> None:
        self._core.start(message.data, self.now(), self._note)
        self._tell()

    def _on_correction(self, message: msg.Correction) -> None:
        try:
            correction = conversions.correction_from_msg(message)
        except ValueError as error:
            self.get_logger().warn(f"correction '{message.correction_id}' ignored: {error}.")
            return
        instruction = self._core.correct(correction, self.now())
        if instruction:
            self._core.start(instruction, self.now(), self._note)
        elif self._core.belongs_nowhere(correction):
            why = f'"{correction.text}" belongs to no task: say what is to be done'
            self._ended = ("idle", why)
        self._tell()

    def _on_status(self, m: msg.StackStatus) -> None:
        if m.node != "planner":
            self._core.hear(m.node, self.now(), m.state, m.plan_id, m.message)

    def _on_stop(self, message: msg.StopState) -> None:
        self._core.stop(message.stopped, message.reason, self.now())
        self._tell()

    def _on_segments(self, message: msg.Segments) -> None:
        if self._core.task is not None:
            self._core.track(conversions.segments_from_msg(message))

    def _on_frame(self, frame: RgbdFrame) -> None:
        self._frame = frame
        self._core.see(frame, self.now())

    # What goes out

    def _tick(self) -> None:
        handle = self._cancelling
        if handle is not None and handle.is_cancel_requested:
            self._cancelling = None
            if handle is self._goal:
                self._core.cancel(self.now())
        self._core.tick(self.now())
        self._tell()

    def _note(self, outcome: Outcome) -> None:
        self._ended = ("done" if outcome.success else "failed", outcome.message)
        self._motion = ""
        self._tell()

    def _tell(self) -> None:
        task, last = self._core.task, self._status
        (state, text), phase, plan_id = self._ended, "", ""
        if task is not None:
            state = "stopped" if task.phase == Phase.STOPPED else "busy"
            phase, text = str(task.phase), task.subtask
            plan_id = task.plan.plan_id if task.plan else ""
        if (last.state, last.phase, last.plan_id, last.message) != (state, phase, plan_id, text):
            level = msg.StackStatus.WARN if state == "failed" else msg.StackStatus.OK
            self.report(state, level=level, phase=phase, plan_id=plan_id, message=text)

    def _feed_back(self) -> None:
        task = self._core.task
        if task is not None and self._goal is not None and self._goal.is_active:
            self._goal.publish_feedback(
                ExecuteTask.Feedback(
                    subtask=task.subtask,
                    language_motion=self._motion,
                    phase=str(task.phase),
                    elapsed=self.now() - task.started,
                )
            )

    def _say_motion(self) -> None:
        task, robot = self._core.task, self._robot.state
        plan = task.plan if task is not None and task.phase == Phase.EXECUTING else None
        motion = None
        if plan is not None and robot is not None:
            motion = self._backend.motion(Observation(self.now(), robot, plan, self._frame))
        self._motion = motion.text if motion is not None else ""
        if motion is not None:
            self._motions.publish(conversions.motion_to_msg(motion))


def main() -> None:
    sys.exit(run(PlannerNode))


if __name__ == "__main__":
    main()
