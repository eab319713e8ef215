"""Episodes through the real graph: nodes and cell as processes, in real time."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from hierarchy_interfaces.msg import ActionChunk

from hierarchy_nodes import qos
from hierarchy_nodes.conversions import time_from_msg
from hierarchy_nodes.demo.client import StackClient, error_name
from hierarchy_nodes.demo.stack import Stack, end_on_sigterm, private_domain
from hierarchy_nodes.learning.evaluation import EpisodeResult, EpisodeSpec
from hierarchy_nodes.learning.policies import POLICIES

READY_TIMEOUT = 60.0
# Images of the table as laid anew must have replaced the older ones everywhere.
LAID = 1.0


class RosRunner:
    """Starts the graph once and runs one episode after the other on it.

    After an episode that did not end in good order the graph is started anew, so that what was
    dropped or held does not count against the next one.
    """

    def __init__(self) -> None:
        self._running = ExitStack()
        self._graph: tuple[Stack, StackClient] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="hierarchy-evaluate-")
        self._starts = 0
        self._latencies: dict[str, list[float]] = {}

    def __enter__(self) -> RosRunner:
        private_domain()
        end_on_sigterm()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self._folder.cleanup()

    def __call__(self, spec: EpisodeSpec) -> EpisodeResult:
        clean = False
        try:
            stack, client = self._started(spec)
            self._latencies = {"camera_to_chunk": [], "state_to_chunk": []}
            task = stack.referee.reset(spec.family, spec.seed, spec.axis)
            client.spin(LAID)
            limit = spec.time_limit
            outcome = client.execute(task.instruction, time_limit=limit, timeout=limit + 20)
            success, reason = stack.verdict(3.0 if outcome.success else 1.0)
            clean = outcome.success
            return EpisodeResult(
                spec.index,
                spec.seed,
                spec.family,
                spec.axis,
                instruction=task.instruction,
                success=success,
                reason=reason,
                claimed=outcome.success,
                code=error_name(outcome.error_code),
                message=outcome.error_message,
                attempts=outcome.attempts,
                duration=outcome.duration,
                latencies=self._latencies,
            )
        finally:
            if not clean:
                self._close()

    def _started(self, spec: EpisodeSpec) -> tuple[Stack, StackClient]:
        if self._graph is not None:
            return self._graph
        self._starts += 1
        kind = POLICIES[spec.policy]
        names = {part: getattr(kind, part) for part in ("planner", "segmenter", "controller")}
        names["planner"] = spec.planner or names["planner"]
        folder = Path(self._folder.name) / str(self._starts)
        scene = (spec.family, spec.seed, spec.axis)
        stack = self._running.enter_context(Stack(folder, scene, arguments=names, record=False))
        client = self._running.enter_context(StackClient(tick=stack.check))
        client.node.create_subscription(ActionChunk, "action_chunk", self._on_chunk, qos.COMMAND)
        client.wait_ready(stack.names, READY_TIMEOUT)
        self._graph = stack, client
        return self._graph

    def _on_chunk(self, message: ActionChunk) -> None:
        now = time.time()
        for name, stamp in (
            ("camera_to_chunk", message.image_stamp),
            ("state_to_chunk", message.header.stamp),
        ):
            self._latencies.setdefault(name, []).append(now - time_from_msg(stamp))

    def _close(self) -> None:
        self._graph = None
        self._running.close()
