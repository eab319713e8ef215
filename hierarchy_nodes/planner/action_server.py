"""The ExecuteTask action, for tasks that are driven by events. Needs rclpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hierarchy_interfaces.action import ExecuteTask
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.planner.task import Outcome


class TaskServer(ActionServer):
    """An action server whose goals run without a coroutine that waits for their end.

    In rclpy 7 a waiting execute callback is polled by the executor without a pause; here a goal
    counts as executing at once, and its execute callback runs when the result is there.
    """

    def __init__(
        self,
        node: Node,
        begin: Callable[[ServerGoalHandle], None],
        cancel: Callable[[ServerGoalHandle], CancelResponse],
    ) -> None:
        self._begin = begin
        super().__init__(
            node,
            ExecuteTask,
            "execute_task",
            execute_callback=lambda handle: ExecuteTask.Result(),
            cancel_callback=cancel,
        )

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback: Any) -> None:
        self._begin(goal_handle)

    def finish(self, goal_handle: ServerGoalHandle, outcome: Outcome) -> None:
        """Send the result of a goal."""

        def execute(handle: ServerGoalHandle) -> ExecuteTask.Result:
            if outcome.success:
                handle.succeed()
            elif outcome.code == ErrorCode.CANCELLED and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return ExecuteTask.Result(
                success=outcome.success,
                error_code=int(outcome.code),
                error_message="" if outcome.success else outcome.message,
                duration=outcome.duration,
                attempts=min(outcome.attempts, 255),
            )

        super().notify_execute(goal_handle, execute)
