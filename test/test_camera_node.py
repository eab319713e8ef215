"""The camera node as a process."""

import numpy as np
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces.msg import StackStatus
from sensor_msgs.msg import CameraInfo, Image

from hardware.cameras.mock import front_camera
from hierarchy_nodes import conversions, qos
from hierarchy_nodes.subscribers import FrameSubscriber

NODE = "hierarchy_nodes.camera.node"


def key(message):
    return message.header.stamp.sec, message.header.stamp.nanosec


def test_publishes_whole_frames(graph):
    color = graph.listen("camera/color/image_raw", Image, qos.image(False))
    depth = graph.listen("camera/aligned_depth_to_color/image_raw", Image, qos.image(False))
    info = graph.listen("camera/color/camera_info", CameraInfo, qos.SENSOR)
    status = graph.listen("status", StackStatus, qos.STATUS)
    frames = []
    FrameSubscriber(graph.node, frames.append)
    graph.start("camera", NODE, driver="mock", mock__rate_hz=10.0)
    graph.wait_for(lambda: len(frames) >= 8, 30)
    assert {m.encoding for _, m in color} == {"rgb8"}
    assert {m.encoding for _, m in depth} == {"16UC1"}
    both = {key(m) for _, m in color} & {key(m) for _, m in depth} & {key(m) for _, m in info}
    assert len(both) >= 6
    # Latched: who comes later gets the pose as well.
    pose = graph.listen("camera/color/camera_pose", PoseStamped, qos.LATCHED)
    graph.wait_for(lambda: pose, 10)
    camera, expected = front_camera()
    assert pose[-1][1].header.frame_id == "base_link"
    assert np.allclose(conversions.pose_from_msg(pose[-1][1].pose).position, expected.position)
    frame = frames[-1]
    assert frame.frame_id == "camera_color_optical_frame"
    assert frame.intrinsics == camera
    assert 0.5 < np.median(frame.depth[frame.depth > 0]) < 2.0
    graph.wait_for(lambda: "Hz" in status[-1][1].message, 10)
    assert status[-1][1].state == "busy"


def test_a_second_camera_has_topics_and_a_name_of_its_own(graph):
    status = graph.listen("status", StackStatus, qos.STATUS)
    first, second = [], []
    FrameSubscriber(graph.node, first.append)
    FrameSubscriber(graph.node, second.append, camera="side_camera")
    named = ("--ros-args", "-r", "__node:=side_camera")
    graph.start("side_camera", NODE, *named, "-p", "driver:=mock", "-p", "topics:=side_camera")
    graph.wait_for(lambda: len(second) >= 3 and status, 30)
    assert {s.node for _, s in status} == {"side_camera"}
    assert not first


def test_camera_that_stops_is_reported_and_recovers(graph):
    color = graph.listen("camera/color/image_raw", Image, qos.image(False))
    status = graph.listen("status", StackStatus, qos.STATUS)
    graph.start(
        "camera",
        NODE,
        driver="mock",
        max_age=0.4,
        mock__rate_hz=10.0,
        mock__fault="raise",
        mock__fault_after=6.0,
        mock__fault_seconds=4.0,
    )

    def errors():
        return [m.message for _, m in status if m.level == StackStatus.ERROR]

    graph.wait_for(lambda: len(color) > 3, 30)
    assert not errors()
    graph.wait_for(lambda: any("the device is gone" in text for text in errors()), 20)
    assert any("no frame for" in text for text in errors())
    before = len(color)
    graph.wait_for(lambda: status[-1][1].level == StackStatus.OK and len(color) > before + 3, 20)
    assert status[-1][1].state == "busy"


def test_unknown_driver_ends_the_node_with_its_name(graph):
    process = graph.start("camera", NODE, driver="mokc")
    assert process.wait(30) == 2
