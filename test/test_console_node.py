"""The console node over real ROS."""

import time

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces import msg
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.geometry import look_at
from hierarchy_nodes.types import CameraIntrinsics

FRAME = "camera_color_optical_frame"


class FakeCamera:
    """Publishes one gray picture over and over."""

    def __init__(self, node):
        self.color = node.create_publisher(Image, "camera/color/image_raw", qos.SENSOR)
        self.depth = node.create_publisher(
            Image, "camera/aligned_depth_to_color/image_raw", qos.SENSOR
        )
        self.info = node.create_publisher(CameraInfo, "camera/color/camera_info", qos.SENSOR)
        self.pose = node.create_publisher(PoseStamped, "camera/color/camera_pose", qos.LATCHED)
        pose = look_at((1.1, 0.0, 0.75), (0.45, 0.0, 0.02))
        self.pose.publish(conversions.pose_stamped(time.time(), "base_link", pose))
        node.create_timer(0.1, self.publish)

    def publish(self):
        now = time.time()
        camera = CameraIntrinsics(320, 240, 270.0, 270.0, 160.0, 120.0)
        gray = np.full((240, 320, 3), 120, np.uint8)
        depth = np.full((240, 320), 800, np.uint16)
        self.info.publish(conversions.camera_info_to_msg(camera, now, FRAME))
        self.color.publish(conversions.image_to_msg(gray, "rgb8", now, FRAME))
        self.depth.publish(conversions.image_to_msg(depth, "16UC1", now, FRAME))


def test_overlay_and_stop_banner(graph):
    node = graph.node
    FakeCamera(node)
    stop = node.create_publisher(msg.StopState, "stop_state", qos.LATCHED)
    plans = node.create_publisher(msg.Plan, "plan", qos.LATCHED)
    overlays = graph.listen("overlay/compressed", CompressedImage, qos.SENSOR)
    graph.start("console", "hierarchy_nodes.console.node", rate_hz=10.0)
    graph.wait_for(lambda: overlays, 20)

    def newest():
        data = np.frombuffer(overlays[-1][1].data, np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)

    assert overlays[-1][1].format == "jpeg"
    assert newest().shape == (480, 640, 3)

    def red():
        image = newest()
        return ((image[..., 0] > 150) & (image[..., 1] < 80)).sum() > 10_000

    assert not red()
    # A plan that no code understands must not end the console.
    plans.publish(msg.Plan(interaction="juggle"))
    graph.spin(0.3)
    stop.publish(msg.StopState(stopped=True, reason="test"))
    graph.wait_for(red, 10)
    assert graph.processes["console"].poll() is None


def test_diagnostics_name_the_node_that_died(graph):
    found = graph.listen("/diagnostics", DiagnosticArray, qos.EVENT)
    graph.start("console", "hierarchy_nodes.console.node")
    graph.start("correction", "hierarchy_nodes.correction.node")

    def stack():
        statuses = {s.name: s for _, m in found[-1:] for s in m.status}
        return statuses.get("/console/stack"), statuses.get("/console/stack/correction")

    def both_well():
        whole, one = stack()
        return whole and one and whole.level == DiagnosticStatus.OK == one.level

    graph.wait_for(both_well, 20)
    graph.kill("correction")
    killed = time.monotonic()
    graph.wait_for(lambda: stack()[1] and stack()[1].level == DiagnosticStatus.STALE, 10)
    assert time.monotonic() - killed < 5.0
    whole, _ = stack()
    assert whole.level == DiagnosticStatus.ERROR
    assert "correction has died" in whole.message
