"""The controller node: plan, segments and robot state in, action chunks out."""

from __future__ import annotations

import sys
from collections import deque

from hierarchy_interfaces import msg

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.controller.base import Step
from hierarchy_nodes.controller.config import ControllerConfig
from hierarchy_nodes.controller.supervisor import Job, Report, Supervisor
from hierarchy_nodes.errors import ErrorCode, PlanRejected
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.subscribers import FrameSubscriber, RobotSubscriber
from hierarchy_nodes.worker import LatestWorker


class ControllerNode(HierarchyNode):
    """Runs a controller backend at a fixed rate on the newest of everything."""

    def __init__(self) -> None:
        super().__init__("controller", ControllerConfig)
        self._core = Supervisor(self.make_plugin("backend"), self.config)
        self._told: Report | None = None
        self._results: deque[tuple[Job, Step] | PlanRejected] = deque(maxlen=4)
        self._chunks = self.create_publisher(msg.ActionChunk, "action_chunk", qos.COMMAND)
        self._worker = LatestWorker(self._work, self._failed, "controller")
        self.create_subscription(msg.Plan, "plan", self._on_plan, qos.LATCHED)
        self.create_subscription(msg.Segments, "segments", self._on_segments, qos.SENSOR)
        self.create_subscription(
            msg.LanguageMotion,
            "language_motion",
            lambda m: self._core.motion(conversions.motion_from_msg(m)),
            qos.EVENT,
        )
        self.create_subscription(
            msg.Correction,
            "correction",
            lambda m: self._core.correction(conversions.correction_from_msg(m)),
            qos.EVENT,
        )
        self.create_subscription(
            msg.StopState,
            "stop_state",
            lambda m: self._core.stop(m.stopped, m.reason),
            qos.LATCHED,
        )
        FrameSubscriber(self, self._core.frame, self.config.reliable_images)
        RobotSubscriber(self, self._core.robot)
        self._timer = self.create_timer(1.0 / self.config.rate_hz, self._tick)

    def close(self) -> None:
        self._worker.close()

    def _on_plan(self, message: msg.Plan) -> None:
        try:
            plan = conversions.plan_from_msg(message)
        except ValueError as error:
            rejection = PlanRejected(ErrorCode.PLAN_REJECTED, f"malformed plan: {error}.")
            self._core.reject(message.plan_id, rejection)
        else:
            self._core.plan(plan, self.now())
        # At once, not with the next tick: the planner waits to hear about it.
        self._tick()

    def _on_segments(self, message: msg.Segments) -> None:
        self._core.segments(conversions.segments_from_msg(message))
        # What was just seen is acted upon at once; the timer fills the time until the next.
        self._timer.reset()
        self._tick()

    def _tick(self) -> None:
        prepared = self._core.prepare(self.now())
        if isinstance(prepared, Job):
            self._worker.submit(prepared)
        else:
            self._tell(prepared)

    def _work(self, job: Job) -> None:
        self._results.append((job, self._core.run(job)))
        self.call_soon(self._publish)

    def _failed(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self._results.append(PlanRejected(ErrorCode.BACKEND_FAILED, text))
        self.call_soon(self._publish)

    def _publish(self) -> None:
        while self._results:
            result = self._results.popleft()
            if isinstance(result, PlanRejected):
                self._core.fail(result)
                continue
            job, step = result
            if not self._core.current(job):
                continue
            if step.chunk is not None:
                self._chunks.publish(conversions.chunk_to_msg(step.chunk, self.config.base_frame))
            self._tell(self._core.describe(job, step))

    def _tell(self, report: Report) -> None:
        """Tell what changed at once; progress with the heartbeat is enough."""
        before, self._told = self._told, report
        same = before is not None and (
            (before.state, before.plan_id, before.phase, before.message)
            == (report.state, report.plan_id, report.phase, report.message)
        )
        if same:
            self._status.progress = float(report.progress)
            return
        ill = report.state in ("holding", "failed", "stopped")
        self.report(
            report.state,
            level=msg.StackStatus.WARN if ill else msg.StackStatus.OK,
            phase=report.phase,
            plan_id=report.plan_id,
            progress=report.progress,
            message=report.message,
        )


def main() -> None:
    sys.exit(run(ControllerNode))


if __name__ == "__main__":
    main()
