"""Keeps the arm moving on a circle, as a controller would: chunks made from the measured state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.types import ActionChunk, Array, RobotState

CENTER = np.array([0.43, 0.0, 0.40])  # the home pose lies on the circle
RADIUS = 0.08
SPEED = 0.12  # m/s
CHUNK_PERIOD = 1 / 15
CHUNK_TIMES: Array = np.arange(0.0, 0.81, 0.05, dtype=np.float64)


def circle_chunk(state: RobotState) -> ActionChunk:
    """The next piece of the circle from where the tool is, at constant speed."""
    away = state.tool.position - CENTER
    angles = np.arctan2(away[1], away[0]) + SPEED / RADIUS * CHUNK_TIMES
    offsets = RADIUS * np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    orientation = top_down(CENTER).quaternion
    return ActionChunk(
        stamp=state.stamp,
        image_stamp=0.0,
        plan_id="",
        times=CHUNK_TIMES,
        positions=CENTER + offsets,
        quaternions=np.tile(orientation, (len(CHUNK_TIMES), 1)),
        gripper=np.ones(len(CHUNK_TIMES)),
        source="bench",
    )


class CircleDriver:
    """Publishes circle chunks from a timer of `node` while `moving`.

    Attributes:
        moving: Whether chunks are published.
    """

    def __init__(self, node: Any) -> None:
        from hierarchy_interfaces.msg import ActionChunk as ChunkMessage

        from hierarchy_nodes import conversions, qos
        from hierarchy_nodes.subscribers import RobotSubscriber

        self.moving = False
        self._convert: Callable[[ActionChunk, str], Any] = conversions.chunk_to_msg
        self.robot = RobotSubscriber(node)
        self._publisher = node.create_publisher(ChunkMessage, "action_chunk", qos.COMMAND)
        node.create_timer(CHUNK_PERIOD, self._publish)

    @property
    def fresh(self) -> bool:
        """Whether the arm tells where it is."""
        return self.robot.state is not None and time.time() - self.robot.state.stamp < 0.5

    def _publish(self) -> None:
        if self.moving and self.robot.state is not None:
            self._publisher.publish(self._convert(circle_chunk(self.robot.state), "base_link"))


def tool_speeds(stamps: Array, tools: Array) -> Array:
    """Speed of the tool between successive setpoints, ``(N,)`` m/s, the first one repeated.

    Args:
        stamps: ``(N,)`` seconds; setpoints are meant a fixed period apart, which is taken as the
            median, so that a late turn of the loop is not a slow arm.
        tools: ``(N, 3)`` metres.
    """
    period = float(np.median(np.diff(stamps)))
    speeds = np.linalg.norm(np.diff(tools, axis=0), axis=1) / period
    return np.concatenate([speeds[:1], speeds])
