"""Masks of what the plan talks about, on every new image."""

from __future__ import annotations

import sys
from collections import deque

from hierarchy_interfaces import msg
from hierarchy_interfaces.msg import StackStatus

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.segmenter.config import SegmenterConfig
from hierarchy_nodes.segmenter.session import History, Job, Session, lost_labels
from hierarchy_nodes.subscribers import FrameSubscriber, RobotSubscriber
from hierarchy_nodes.types import Plan, RgbdFrame, Segments
from hierarchy_nodes.worker import LatestWorker


class SegmenterNode(HierarchyNode):
    """Works only while a plan runs; a slow backend skips images, never plans."""

    config: SegmenterConfig

    def __init__(self) -> None:
        super().__init__("segmenter", SegmenterConfig)
        self._session = Session(self.make_plugin("backend"))
        self._history = History(self.config.memory)
        self._plan: Plan | None = None
        self._segments = self.create_publisher(msg.Segments, "segments", qos.SENSOR)
        self._results: deque[Segments | Exception] = deque(maxlen=8)
        self._worker: LatestWorker[Job] = LatestWorker(self._work, self._failed, "segmenter")
        RobotSubscriber(self, self._history.add_state)
        FrameSubscriber(self, self._on_frame, self.config.reliable_images)
        self.create_subscription(msg.Plan, "plan", self._on_plan, qos.LATCHED)

    def close(self) -> None:
        self._worker.close()

    def _on_plan(self, message: msg.Plan) -> None:
        try:
            plan = conversions.plan_from_msg(message)
        except ValueError as error:
            text = f"plan '{message.plan_id}' cannot be read: {error}"
            self.report("failed", level=StackStatus.ERROR, message=text)
            return
        if not plan.path or not plan.prompts:
            self._end(plan.plan_id)
            return
        self._plan = plan
        frame = self._history.frame(self.now())
        if frame is not None:
            self._submit(frame)

    def _on_frame(self, frame: RgbdFrame) -> None:
        self._history.add_frame(frame)
        if self._plan is not None:
            self._submit(frame)

    def _submit(self, newest: RgbdFrame) -> None:
        plan = self._plan
        if plan is None:
            return
        if self.now() > plan.valid_until:
            self._end(plan.plan_id, "the plan is no longer valid")
            return
        if plan.frame_id != newest.frame_id:
            text = f"plan is for camera frame '{plan.frame_id}', images are '{newest.frame_id}'"
            self.report("failed", level=StackStatus.ERROR, plan_id=plan.plan_id, message=text)
            return
        start = self._history.frame(plan.stamp) or newest
        robots = self._history.robot(start.stamp), self._history.robot(newest.stamp)
        if robots[0] is None or robots[1] is None:
            text = "waiting for the arm's joint_states"
            self.report("holding", level=StackStatus.WARN, plan_id=plan.plan_id, message=text)
            return
        self._worker.submit(Job(plan, (start, robots[0]), (newest, robots[1])))

    def _work(self, job: Job) -> None:
        for segments in self._session.work(job):
            self._results.append(segments)
        self.call_soon(self._publish)

    def _failed(self, error: Exception) -> None:
        self._results.append(error)
        self.call_soon(self._publish)

    def _publish(self) -> None:
        """What the worker has made, from the executor's thread."""
        while self._results:
            result = self._results.popleft()
            plan_id = self._plan.plan_id if self._plan else ""
            if isinstance(result, Exception):
                text = f"{type(result).__name__}: {result}"
                self.report("failed", level=StackStatus.ERROR, plan_id=plan_id, message=text)
            elif result.plan_id == plan_id:
                self._segments.publish(conversions.segments_to_msg(result))
                self._tell(result)

    def _tell(self, segments: Segments) -> None:
        lost = lost_labels(segments)
        self.report(
            "busy",
            level=StackStatus.WARN if lost else StackStatus.OK,
            phase="tracking",
            plan_id=segments.plan_id,
            message=f"lost: {', '.join(lost)}" if lost else "",
        )

    def _end(self, plan_id: str, message: str = "") -> None:
        self._plan = None
        self.report("idle", plan_id=plan_id, message=message)


def main() -> None:
    sys.exit(run(SegmenterNode))


if __name__ == "__main__":
    main()
