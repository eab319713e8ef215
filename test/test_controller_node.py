"""The controller's supervisor, and the real node among real topics."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from follower_world import FRAME, PLATE, World, place, plan, point

from hierarchy_nodes.controller.config import ControllerConfig
from hierarchy_nodes.controller.path_follower import PathFollower, PathFollowerOptions
from hierarchy_nodes.controller.supervisor import Job, Supervisor
from hierarchy_nodes.errors import ErrorCode, PlanRejected
from hierarchy_nodes.geometry import look_at
from hierarchy_nodes.types import (
    Correction,
    CorrectionKind,
    Gripper,
    Interaction,
    LanguageMotion,
)

HOME = [point((0.35, 0, 0.40)), point((0.45, 0.10, 0.30))]


def free_plan(plan_id="p1", **changes):
    """A plan that needs no segments."""
    return replace(plan(HOME, Interaction.NONE, plan_id, roles=False), **changes)


class Bench:
    """A supervisor fed with fresh inputs of a kinematic world."""

    def __init__(self):
        self.world = World()
        self.core = Supervisor(PathFollower(PathFollowerOptions()), ControllerConfig())
        self.plan_id = "p1"

    def feed(self, segments=True, images=True, robot=True):
        world = self.world
        seen = world.observe(place())
        if robot:
            self.core.robot(seen.robot)
        if images:
            self.core.frame(replace(FRAME, stamp=world.time))
        if segments:
            self.core.segments(world.segments(self.plan_id))

    def tick(self, **kinds):
        self.feed(**kinds)
        prepared = self.core.prepare(self.world.time)
        if isinstance(prepared, Job):
            step = self.core.run(prepared)
            if step.chunk is not None:
                for _ in range(5):
                    self.world.time += 0.01
                    self.world._follow(step.chunk)
            else:
                self.world.time += 0.05
            return self.core.describe(prepared, step), step.chunk
        self.world.time += 0.05
        return prepared, None

    def ticks(self, count, **kinds):
        for _ in range(count):
            result = self.tick(**kinds)
        return result


def test_a_plan_is_followed_to_done():
    bench = Bench()
    assert bench.tick()[0].state == "idle"
    bench.core.plan(place(), bench.world.time)
    states = set()
    for _ in range(900):
        report, _ = bench.tick()
        states.add(report.state)
        assert report.plan_id == "p1"
        if report.state == "done":
            break
    assert states == {"busy", "done"}
    assert np.allclose(bench.world.block[:2], PLATE[:2], atol=0.006)


@pytest.mark.parametrize(
    ("missing", "word"),
    [("robot", "robot state"), ("images", "camera frame"), ("segments", "segments")],
)
def test_stale_inputs_hold_and_recover(missing, word):
    bench = Bench()
    bench.core.plan(place(), bench.world.time)
    assert bench.ticks(20)[0].state == "busy"
    report, chunk = bench.ticks(25, **{missing: False})
    assert report.state == "holding"
    assert word in report.message
    assert chunk is None
    report, chunk = bench.tick()
    assert report.state == "busy"
    # From the measured pose: the arm has come to rest meanwhile.
    assert np.allclose(chunk.positions[0], bench.world.tool.position, atol=0.02)


def test_expired_plan_is_not_followed():
    bench = Bench()
    bench.core.plan(free_plan(valid_until=bench.world.time + 0.4), bench.world.time)
    assert bench.tick()[0].state == "busy"
    report, chunk = bench.ticks(12)
    assert report.state == "failed"
    assert report.message.startswith("PLAN_EXPIRED")
    assert chunk is None


def test_plan_for_another_camera_is_rejected_even_before_the_first_frame():
    bench = Bench()
    moved = look_at((1.0, 0.3, 0.75), (0.45, 0.0, 0.02))
    bench.core.plan(free_plan(camera_pose=moved), bench.world.time)
    report, chunk = bench.tick()
    assert (report.state, report.plan_id) == ("failed", "p1")
    assert report.message.startswith("PLAN_WRONG_FRAME")
    assert chunk is None


def test_a_rejected_plan_ends_the_running_one():
    bench = Bench()
    bench.core.plan(free_plan(), bench.world.time)
    bench.tick()
    bench.core.plan(free_plan("p2", frame_id="elsewhere"), bench.world.time)
    report, chunk = bench.ticks(3)
    assert (report.state, report.plan_id) == ("failed", "p2")
    assert chunk is None


def test_out_of_reach_is_named():
    bench = Bench()
    far = [HOME[0], replace(HOME[1], depth=3.0)]
    bench.core.plan(replace(free_plan(), path=tuple(far)), bench.world.time)
    report, _ = bench.tick()
    assert report.state == "failed"
    assert report.message.startswith("OUT_OF_REACH")


def test_stop_ends_the_plan_and_reset_waits_for_a_new_one():
    bench = Bench()
    bench.core.plan(free_plan(), bench.world.time)
    bench.ticks(5)
    bench.core.stop(True, "red button")
    report, chunk = bench.tick()
    assert report.state == "stopped"
    assert report.message.startswith("ARM_STOPPED")
    assert "red button" in report.message
    assert chunk is None
    bench.core.plan(free_plan("p2"), bench.world.time)
    assert bench.tick()[1] is None
    bench.core.stop(False, "")
    assert bench.ticks(3)[1] is None
    bench.core.plan(free_plan("p3"), bench.world.time)
    measured = bench.world.tool.position
    report, chunk = bench.tick()
    assert report.state == "busy"
    assert np.allclose(chunk.positions[0], measured, atol=1e-6)


def test_pause_and_resume():
    bench = Bench()
    bench.core.plan(free_plan(), bench.world.time)
    bench.ticks(5)
    bench.core.correction(Correction(0.0, "c1", "wait", CorrectionKind.PAUSE))
    report, chunk = bench.ticks(100)
    assert (report.state, report.message, chunk) == ("holding", "paused", None)
    bench.core.correction(Correction(0.0, "c2", "go on", CorrectionKind.RESUME))
    assert bench.ticks(60)[0].state == "done"


def test_slower_multiplies_and_is_bounded():
    bench = Bench()
    for _ in range(2):
        bench.core.correction(
            Correction(0.0, "c", "slower", CorrectionKind.SPEED, speed_factor=0.5)
        )
    assert bench.core.speed == 0.25
    bench.core.correction(Correction(0.0, "c", "?", CorrectionKind.SPEED, 1.0, 9.0, accepted=False))
    assert bench.core.speed == 0.25
    for _ in range(9):
        bench.core.correction(Correction(0.0, "c", "stop?", CorrectionKind.SPEED, 1.0, 0.5))
    assert bench.core.speed == 0.1


def test_no_correction_is_lost_when_several_come_at_once():
    bench = Bench()
    bench.tick()
    start = bench.world.tool.position
    for i in range(3):
        bench.core.motion(
            LanguageMotion(
                stamp=bench.world.time,
                text=f"up {i}",
                direction=np.array([0, 0, 1.0]),
                distance=0.01,
                valid_until=bench.world.time + 2,
                source="correction",
                correction_id=str(i),
            )
        )
    bench.ticks(40)
    assert np.allclose(bench.world.tool.position - start, [0, 0, 0.03], atol=0.002)


def test_a_broken_backend_is_told():
    bench = Bench()
    bench.core.plan(free_plan(), bench.world.time)
    bench.core.fail(PlanRejected(ErrorCode.BACKEND_FAILED, "KeyError: 'x'"))
    report, _ = bench.tick()
    assert report.message == "BACKEND_FAILED: KeyError: 'x'"


# The real node


class Feeder:
    """Publishes what arm, camera and planner would."""

    def __init__(self, graph):
        from geometry_msgs.msg import PoseStamped
        from hierarchy_interfaces import msg
        from sensor_msgs.msg import CameraInfo, Image, JointState

        from hierarchy_nodes import conversions, qos

        self.conversions = conversions
        node = graph.node
        self.graph, self.world = graph, World()
        sensor = qos.SENSOR
        self.joints = node.create_publisher(JointState, "joint_states", sensor)
        self.tool = node.create_publisher(PoseStamped, "end_effector_pose", sensor)
        self.color = node.create_publisher(Image, "camera/color/image_raw", sensor)
        depth = "camera/aligned_depth_to_color/image_raw"
        self.depth = node.create_publisher(Image, depth, sensor)
        self.info = node.create_publisher(CameraInfo, "camera/color/camera_info", sensor)
        self.pose = node.create_publisher(PoseStamped, "camera/color/camera_pose", qos.LATCHED)
        self.plan = node.create_publisher(msg.Plan, "plan", qos.LATCHED)
        self.stop = node.create_publisher(msg.StopState, "stop_state", qos.LATCHED)
        camera_pose = conversions.pose_stamped(0.0, "base_link", FRAME.camera_pose)
        self.pose.publish(camera_pose)
        self.chunks = graph.listen("action_chunk", msg.ActionChunk, qos.COMMAND)
        self.status = graph.listen("status", msg.StackStatus, qos.STATUS)
        self.running = True
        node.create_timer(0.05, self._feed)

    def _feed(self):
        if not self.running:
            return
        c, now = self.conversions, time.time()
        frame = FRAME
        state = self.world.observe(place()).robot
        self.tool.publish(c.pose_stamped(now, "base_link", state.tool))
        self.joints.publish(
            c.joint_state_to_msg(
                replace(state, stamp=now), [f"joint_{i}" for i in range(1, 8)], "gripper"
            )
        )
        self.info.publish(c.camera_info_to_msg(frame.intrinsics, now, frame.frame_id))
        self.color.publish(c.image_to_msg(frame.color, "rgb8", now, frame.frame_id))
        millimetres = (frame.depth * 1000).astype(np.uint16)
        self.depth.publish(c.image_to_msg(millimetres, "16UC1", now, frame.frame_id))

    def send(self, the_plan):
        self.plan.publish(self.conversions.plan_to_msg(the_plan))

    def wait_status(self, state, plan_id, timeout=15.0):
        def found():
            for _, status in self.status:
                if (status.node, status.state, status.plan_id) == ("controller", state, plan_id):
                    return status
            return None

        return self.graph.wait_for(found, timeout)


def timely(plan_id, **changes):
    values = {"stamp": time.time(), "valid_until": time.time() + 60}
    return free_plan(plan_id, **(values | changes))


def test_node_publishes_chunks_and_rejects_bad_plans(graph):
    from hierarchy_interfaces.msg import StopState

    graph.start("controller", "hierarchy_nodes.controller.node", backend="path_follower")
    feeder = Feeder(graph)
    feeder.wait_status("idle", "")
    graph.spin(0.5)
    assert not feeder.chunks

    feeder.send(timely("good"))
    graph.wait_for(lambda: len(feeder.chunks) >= 3, 15)
    chunk = feeder.conversions.chunk_from_msg(feeder.chunks[0][1])
    assert chunk.plan_id == "good"
    assert chunk.positions.shape == (16, 3)
    assert np.allclose(chunk.positions[0], feeder.world.tool.position, atol=1e-6)
    assert feeder.chunks[0][1].header.frame_id == "base_link"
    assert time.time() - chunk.stamp < 15
    assert chunk.image_stamp > 0
    feeder.wait_status("busy", "good")

    feeder.send(timely("late", valid_until=time.time() - 1))
    assert feeder.wait_status("failed", "late").message.startswith("PLAN_EXPIRED")
    feeder.send(timely("wrong", frame_id="elsewhere"))
    assert feeder.wait_status("failed", "wrong").message.startswith("PLAN_WRONG_FRAME")
    malformed = feeder.conversions.plan_to_msg(timely("odd"))
    malformed.path[0].gripper = 9
    feeder.plan.publish(malformed)
    assert feeder.wait_status("failed", "odd").message.startswith("PLAN_REJECTED")
    outside = (HOME[0], replace(HOME[1], x=1.5, gripper=Gripper.CLOSE))
    feeder.send(timely("outside", path=outside))
    assert feeder.wait_status("failed", "outside").message.startswith("PLAN_REJECTED")

    feeder.send(timely("again"))
    feeder.wait_status("busy", "again")
    feeder.running = False
    held = feeder.wait_status("holding", "again")
    assert "old" in held.message
    feeder.running = True
    feeder.stop.publish(StopState(stopped=True, reason="test"))
    stopped = feeder.wait_status("stopped", "again")
    assert stopped.message == "ARM_STOPPED: test"
    graph.spin(0.3)
    count = len(feeder.chunks)
    graph.spin(0.5)
    assert len(feeder.chunks) == count
