"""Subscriptions that several nodes need: whole camera frames and whole robot states."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.types import RgbdFrame, RobotState


class FrameSubscriber:
    """Calls `callback` with each RGB-D frame: colour and depth of one stamp, info and pose.

    The images of one frame carry the same stamp (the camera node sees to it); one whose partner
    was lost is dropped when a newer pair is complete.

    Args:
        camera: Prefix of the topics.
    """

    def __init__(
        self,
        node: Node,
        callback: Callable[[RgbdFrame], None],
        reliable: bool = False,
        camera: str = "camera",
    ) -> None:
        self._callback = callback
        self._info: CameraInfo | None = None
        self._pose: PoseStamped | None = None
        self._color: Image | None = None
        self._depth: Image | None = None
        profile = qos.image(reliable)
        color, depth = f"{camera}/color", f"{camera}/aligned_depth_to_color"
        node.create_subscription(Image, f"{color}/image_raw", self._on_color, profile)
        node.create_subscription(Image, f"{depth}/image_raw", self._on_depth, profile)
        node.create_subscription(CameraInfo, f"{color}/camera_info", self._on_info, qos.SENSOR)
        node.create_subscription(PoseStamped, f"{color}/camera_pose", self._on_pose, qos.LATCHED)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_pose(self, message: PoseStamped) -> None:
        self._pose = message

    def _on_color(self, message: Image) -> None:
        self._color = message
        self._match()

    def _on_depth(self, message: Image) -> None:
        self._depth = message
        self._match()

    def _match(self) -> None:
        color, depth = self._color, self._depth
        if color is None or depth is None or self._info is None or self._pose is None:
            return
        if color.header.stamp == depth.header.stamp:
            self._color = self._depth = None
            self._callback(conversions.frame_from_msgs(color, depth, self._info, self._pose.pose))


class RobotSubscriber:
    """Keeps the newest robot state, and calls `callback` with each if one is given."""

    def __init__(self, node: Node, callback: Callable[[RobotState], None] | None = None) -> None:
        self.state: RobotState | None = None
        self._callback = callback
        self._tool: PoseStamped | None = None
        node.create_subscription(PoseStamped, "end_effector_pose", self._on_tool, qos.SENSOR)
        node.create_subscription(JointState, "joint_states", self._on_joints, qos.SENSOR)

    def _on_tool(self, message: PoseStamped) -> None:
        self._tool = message

    def _on_joints(self, message: JointState) -> None:
        # The arm node publishes the tool pose before the joint states of the same stamp.
        if self._tool is None:
            return
        self.state = conversions.robot_state_from_msgs(message, self._tool)
        if self._callback is not None:
            self._callback(self.state)
