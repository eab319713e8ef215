"""Episodes of the in-process stack as recordings: what `hierarchy corrections` and `learn` read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hierarchy_interfaces import msg
from rclpy.serialization import serialize_message

from hierarchy_nodes import conversions
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.learning.stack import InProcessStack
from hierarchy_nodes.recorder import metadata
from hierarchy_nodes.recorder.writer import SUFFIX, McapFile, Topic
from hierarchy_nodes.types import Correction, Plan, RgbdFrame, Segments

# Seconds between two states of the arm, and between two images beside those that plans are made of.
_ARM, _IMAGES = 0.05, 0.5


class EpisodeRecorder:
    """Of one :class:`InProcessStack`; the topics are the nodes' own.

    Args:
        folder: Of this episode alone; one that an interrupted run left there is replaced.
        stack: Has not begun.
    """

    def __init__(self, folder: Path, stack: InProcessStack) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder, self._stack = folder, stack
        self._file = McapFile(folder / f"{folder.name}_0{SUFFIX}")
        self._topics: dict[str, Topic] = {}
        self._next_arm = self._next_image = stack.time
        self._ended = 0
        self._stopped: str | None = None
        stack.listeners.append(self._hear)
        stack.watchers.append(self._watch)

    def _hear(self, news: Plan | Segments | Correction) -> None:
        if isinstance(news, Plan):
            self._put("plan", conversions.plan_to_msg(news))
            if news.path:
                self._look(self._stack.frame(news.stamp)[0])
        elif isinstance(news, Segments):
            self._put("segments", conversions.segments_to_msg(news))
        else:
            self._put("correction", conversions.correction_to_msg(news))

    def _watch(self, stack: InProcessStack) -> None:
        if stack.executor.stop_reason != self._stopped:
            self._stopped = stack.executor.stop_reason
            why = self._stopped
            self._put("stop_state", msg.StopState(stopped=why is not None, reason=why or ""))
        for outcome in stack.outcomes[self._ended :]:
            state = "done" if outcome.success else "failed"
            status = msg.StackStatus(node="planner", state=state, message=outcome.message)
            self._put("status", status)
        self._ended = len(stack.outcomes)
        if stack.time >= self._next_arm:
            self._next_arm = stack.time + _ARM
            self._feel()
        if stack.time >= self._next_image and stack.seen:
            self._next_image = stack.time + _IMAGES
            self._look(stack.frame(stack.time)[0])

    def close(self) -> None:
        """Complete the recording."""
        self._file.close()
        files = [(self._file.path.name, self._file.counts)]
        metadata.write(self._folder, files, self._topics.values())

    def _feel(self) -> None:
        robot, description = self._stack.robot(), self._stack.kinematics.description
        pose = conversions.pose_stamped(robot.stamp, ArmConfig().base_frame, robot.tool)
        self._put("end_effector_pose", pose)
        names, gripper = list(description.joint_names), description.gripper_joint
        self._put("joint_states", conversions.joint_state_to_msg(robot, names, gripper))

    def _look(self, frame: RgbdFrame) -> None:
        color, depth, info = conversions.frame_to_msgs(frame)
        self._put("camera/color/camera_info", info)
        self._put("camera/color/image_raw", color)
        self._put("camera/aligned_depth_to_color/image_raw", depth)

    def _put(self, name: str, message: Any) -> None:
        kind = type(message)
        package = kind.__module__.partition(".")[0]
        topic = self._topics.setdefault(name, Topic(f"/{name}", f"{package}/msg/{kind.__name__}"))
        now = round(self._stack.time * 1e9)
        self._file.write(topic, serialize_message(message), now, now)
