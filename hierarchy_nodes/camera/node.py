"""Publishes what a camera sees: colour, aligned depth, intrinsics and the camera's pose."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces.msg import StackStatus
from sensor_msgs.msg import CameraInfo, Image

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.camera.config import CameraConfig
from hierarchy_nodes.camera.source import CameraSource
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.types import Pose, RgbdFrame

REPORT_PERIOD = 0.2


class CameraNode(HierarchyNode):
    """A thread of its own reads the driver, so that a slow camera delays nobody."""

    config: CameraConfig

    def __init__(self) -> None:
        super().__init__("camera", CameraConfig)
        config = self.config
        # A second camera has a name of its own, given by the launch file.
        self._status.node = self.get_name()
        images = qos.image(config.reliable_images)
        color, depth = f"{config.topics}/color", f"{config.topics}/aligned_depth_to_color"
        self._color = self.create_publisher(Image, f"{color}/image_raw", images)
        self._depth = self.create_publisher(Image, f"{depth}/image_raw", images)
        self._info = self.create_publisher(CameraInfo, f"{color}/camera_info", qos.SENSOR)
        self._pose = self.create_publisher(PoseStamped, f"{color}/camera_pose", qos.LATCHED)
        self._published_pose: Pose | None = None
        self._source = CameraSource(
            self.make_plugin("driver"), config.max_age, config.reconnect_period, self.now()
        )
        self._open = True
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()
        self.create_timer(REPORT_PERIOD, self._tell)

    def close(self) -> None:
        self._open = False
        self._thread.join(2.0)
        self._source.close()

    def _read(self) -> None:
        while self._open:
            frame = self._source.poll(self.now())
            if frame is not None:
                self._publish(frame)
            time.sleep(self.config.poll_period)

    def _publish(self, frame: RgbdFrame) -> None:
        pose = frame.camera_pose
        if not _same(pose, self._published_pose):
            base = self.config.base_frame
            self._pose.publish(conversions.pose_stamped(frame.stamp, base, pose))
            self._published_pose = pose
        color, depth, info = conversions.frame_to_msgs(frame)
        self._info.publish(info)
        self._color.publish(color)
        self._depth.publish(depth)

    def _tell(self) -> None:
        health = self._source.health(self.now())
        if health.ok:
            self.report("busy", phase="streaming", message=health.message)
        else:
            self.report("failed", level=StackStatus.ERROR, message=health.message)


def _same(pose: Pose, other: Pose | None) -> bool:
    return (
        other is not None
        and np.array_equal(pose.position, other.position)
        and np.array_equal(pose.quaternion, other.quaternion)
    )


def main() -> None:
    sys.exit(run(CameraNode))


if __name__ == "__main__":
    main()
