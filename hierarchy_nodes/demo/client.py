"""A person's seat at the running stack: sends tasks and words, listens to what happens.

The only module here that needs ROS. It blocks, for use in command lines, not in nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import rclpy
from hierarchy_interfaces.action import ExecuteTask
from hierarchy_interfaces.msg import Correction, StackStatus
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from hierarchy_nodes import dead_ports, qos
from hierarchy_nodes.errors import ErrorCode, HierarchyError


class StackError(HierarchyError):
    """The stack did not come up, or fell apart."""


@dataclass
class Outcome:
    """How a task ended, as the planner tells it."""

    success: bool
    error_code: int
    error_message: str
    duration: float
    attempts: int


class StackClient:
    """A node and a ROS context of its own in the stack's namespace.

    Args:
        namespace: Of the robot; empty for none.
        tick: Called again and again while waiting; may raise to give up.
    """

    def __init__(self, namespace: str = "", tick: Callable[[], None] | None = None) -> None:
        # Signals end the caller, which then still needs the context to cancel its task.
        self._context = Context()
        dead_ports.hold_back()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("operator", namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._tick = tick or (lambda: None)
        # The newest of each node, with the monotonic time at which it came.
        self.statuses: dict[str, tuple[float, StackStatus]] = {}
        self.on_correction: Callable[[Correction], None] = lambda message: None
        self._text = self.node.create_publisher(String, "correction/text", qos.EVENT)
        self._action = ActionClient(self.node, ExecuteTask, "execute_task")
        self.node.create_subscription(StackStatus, "status", self._on_status, qos.STATUS)
        self.node.create_subscription(
            Correction, "correction", lambda message: self.on_correction(message), qos.EVENT
        )

    def __enter__(self) -> StackClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._action.destroy()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _on_status(self, message: StackStatus) -> None:
        if message.state == "shutdown":
            self.statuses.pop(message.node, None)
        else:
            self.statuses[message.node] = (time.monotonic(), message)

    def wait(self, done: Callable[[], Any], timeout: float, what: str) -> Any:
        """Spin until ``done()`` is true and return what it returned.

        Raises:
            StackError: It did not come true in time; the message says `what`.
        """
        deadline = time.monotonic() + timeout
        while True:
            result = done()
            if result:
                return result
            if time.monotonic() > deadline:
                raise StackError(f"{what} within {timeout:.0f} s.")
            self._executor.spin_once(timeout_sec=0.02)
            self._tick()

    def spin(self, seconds: float) -> None:
        """Listen for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.01)
            self._tick()

    def wait_ready(self, names: Iterable[str], timeout: float) -> None:
        """Wait for a heartbeat of every node in `names`, and for the action server.

        Raises:
            StackError: Names the nodes that are silent or failed, with what they say.
        """
        wanted = list(names)

        def missing() -> list[str]:
            return [name for name in wanted if name not in self.statuses]

        def ready() -> bool:
            return not missing() and self._action.server_is_ready()

        try:
            self.wait(ready, timeout, "The stack was not ready")
        except StackError as error:
            silent = ", ".join(missing()) or "the action server execute_task"
            raise StackError(f"{error} Not heard of: {silent}.") from None

    def say(self, text: str) -> None:
        """A typed correction."""
        self._text.publish(String(data=text))

    def listeners(self, topic: str) -> int:
        """How many nodes subscribe to a topic of this namespace."""
        return int(self.node.count_subscribers(topic))

    def execute(
        self,
        instruction: str,
        on_feedback: Callable[[Any], None] = lambda feedback: None,
        time_limit: float = 0.0,
        timeout: float = 300.0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Send a task and wait for its end.

        Args:
            on_feedback: Called with each ExecuteTask.Feedback.
            time_limit: Seconds that the planner allows; 0 for its own limit.
            timeout: Seconds after which this gives up and cancels.
            meanwhile: Called again and again.

        Raises:
            StackError: The goal was refused, or no result came in time.
        """
        handle = self.begin(instruction, on_feedback, time_limit)
        try:
            return self.finish(handle, timeout, meanwhile)
        except BaseException:
            self.abandon(handle)
            raise

    def begin(
        self,
        instruction: str,
        on_feedback: Callable[[Any], None] = lambda feedback: None,
        time_limit: float = 0.0,
    ) -> ClientGoalHandle:
        """Send a task and return as soon as the planner has taken it on.

        Raises:
            StackError: The planner refused it or did not answer.
        """
        goal = ExecuteTask.Goal(instruction=instruction, time_limit=float(time_limit))
        sent = self._action.send_goal_async(goal, lambda m: on_feedback(m.feedback))
        handle = self.wait(
            lambda: sent.done() and sent.result(), 10.0, "The planner did not answer the goal"
        )
        if not handle.accepted:
            raise StackError(f"The planner refused the task '{instruction}'.")
        return handle

    def abandon(self, handle: ClientGoalHandle) -> None:
        """Ask the planner to end a task, without waiting for it."""
        handle.cancel_goal_async()
        self._executor.spin_once(timeout_sec=0.1)

    def finish(
        self,
        handle: ClientGoalHandle,
        timeout: float = 300.0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Wait for the end of a task that was begun.

        Raises:
            StackError: No result came in time.
        """
        ended = handle.get_result_async()

        def done() -> bool:
            meanwhile()
            return bool(ended.done())

        self.wait(done, timeout, "The task did not end")
        result = ended.result().result
        return Outcome(
            success=bool(result.success),
            error_code=int(result.error_code),
            error_message=str(result.error_message),
            duration=float(result.duration),
            attempts=int(result.attempts),
        )


def error_name(code: int) -> str:
    """``OBJECT_NOT_FOUND`` and the like."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code}"
