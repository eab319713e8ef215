"""The arm node as a process, with the mock driver at the device boundary."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces.msg import ActionChunk, Correction, Plan, StackStatus, StopState
from sensor_msgs.msg import JointState
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from hierarchy_nodes import conversions, qos, types
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.liveness import host

DOWN = top_down([0, 0, 0]).quaternion
START = 60.0  # seconds; a busy machine imports slowly


class Arm:
    """A running arm node and everything that a test says to it and hears from it."""

    def __init__(self, graph, tmp_path, **parameters):
        self.graph = graph
        self.log = tmp_path / "device.jsonl"
        node = graph.node
        self.joints = graph.listen("joint_states", JointState, qos.SENSOR)
        self.tools = graph.listen("end_effector_pose", PoseStamped, qos.SENSOR)
        self.stops = graph.listen("stop_state", StopState, qos.LATCHED)
        self.statuses = graph.listen("status", StackStatus, qos.STATUS)
        self.diagnostics = graph.listen("/diagnostics", DiagnosticArray, qos.EVENT)
        self.chunks = node.create_publisher(ActionChunk, "action_chunk", qos.COMMAND)
        self.stop_topic = node.create_publisher(Empty, "stop", qos.EVENT)
        self.corrections = node.create_publisher(Correction, "correction", qos.EVENT)
        self.plans = node.create_publisher(Plan, "plan", qos.LATCHED)
        self.heartbeats = node.create_publisher(StackStatus, "status", qos.STATUS)
        self.reset_client = node.create_client(Trigger, "reset_stop")
        graph.start(
            "arm",
            "hierarchy_nodes.arm.node",
            **(
                {"driver": "mock", "mock__log_path": str(self.log), "chunk_timeout": 0.2}
                | parameters
            ),
        )

    def ready(self):
        graph = self.graph
        graph.wait_for(lambda: self.joints and self.tools and self.stops, START)
        for publisher in (self.chunks, self.stop_topic, self.corrections, self.heartbeats):
            graph.wait_for(lambda p=publisher: p.get_subscription_count() > 0, START)
        graph.wait_for(self.reset_client.service_is_ready, START)
        return self

    @property
    def x(self):
        return self.tools[-1][1].pose.position.x

    @property
    def speed(self):
        return max(map(abs, self.joints[-1][1].velocity))

    def rest(self):
        """Wait until the arm has stood still for a while; where it is."""
        since = time.monotonic()

        def still():
            nonlocal since
            if self.speed > 1e-3:
                since = time.monotonic()
            return time.monotonic() - since > 0.3

        self.graph.wait_for(still, 10)
        return self.x

    @property
    def state(self):
        mine = [m for _, m in self.statuses if m.node == "arm"]
        return mine[-1].state if mine else ""

    def send(self, x, source="test", **changes):
        now = time.time()
        start = self.tools[-1][1].pose.position
        there = np.array([x, 0.0, 0.4])
        here = np.array([start.x, start.y, start.z])
        seconds = max(0.2, float(np.linalg.norm(there - here)) / 0.15)
        chunk = types.ActionChunk(
            now,
            now,
            "plan",
            np.array([0.0, seconds]),
            np.array([here, there]),
            np.tile(DOWN, (2, 1)),
            np.ones(2),
            source,
        )
        message = conversions.chunk_to_msg(chunk, "base_link")
        for key, value in changes.items():
            setattr(message, key, value)
        self.chunks.publish(message)

    def drive(self, x, done, timeout=20.0):
        """Send chunks towards x at 20 Hz until `done()`."""
        next_time = 0.0

        def tick():
            nonlocal next_time
            if time.monotonic() >= next_time:
                next_time = time.monotonic() + 0.05
                self.send(x)
            return done()

        return self.graph.wait_for(tick, timeout)

    def reset(self):
        future = self.reset_client.call_async(Trigger.Request())
        self.graph.wait_for(future.done, 10)
        return future.result()

    def device(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def part(self, name):
        """The newest diagnostics of a part, as (level, message, values)."""
        for _, message in reversed(self.diagnostics):
            for status in message.status:
                if status.name == name:
                    level = int.from_bytes(status.level, "little")
                    return level, status.message, {v.key: v.value for v in status.values}
        return 0, "", {}


@pytest.fixture
def arm(graph, tmp_path):
    return Arm(graph, tmp_path).ready()


def test_chunks_move_the_arm_and_silence_holds_it(graph, arm):
    assert arm.joints[-1][1].name[-1] == "gripper"
    arm.drive(0.55, lambda: arm.x > 0.40)
    assert arm.state == "busy"
    last = time.monotonic()
    graph.wait_for(lambda: arm.speed < 1e-3, 10)
    rested = arm.joints[-1][0] - last
    assert arm.x < 0.52
    where = arm.rest()
    graph.spin(0.3)
    assert arm.x == pytest.approx(where, abs=1e-4)
    # 0.2 s time-out, braking, one state period, and room for a busy machine.
    assert rested < 1.0
    graph.wait_for(lambda: arm.state == "holding", 5)
    joints, tools = (
        {(m.header.stamp.sec, m.header.stamp.nanosec) for _, m in box}
        for box in (arm.joints, arm.tools)
    )
    assert len(joints & tools) > 0.5 * len(joints)


def test_stop_is_latched_until_reset(graph, arm):
    arm.drive(0.60, lambda: arm.x > 0.38)
    said = time.time()
    arm.stop_topic.publish(Empty())
    graph.wait_for(lambda: arm.stops[-1][1].stopped, 10)
    where = arm.rest()
    stop = [e for e in arm.device() if e["kind"] == "stop"]
    assert len(stop) == 1
    assert max(map(abs, stop[0]["velocities"])) == 0.0
    assert stop[0]["stamp"] - said < 1.0
    for _ in range(10):
        arm.send(0.60)
        graph.spin(0.05)
    assert arm.x == pytest.approx(where, abs=1e-3)
    assert arm.state == "stopped"
    after_stop = [e for e in arm.device() if e["stamp"] > stop[0]["stamp"]]
    assert not [e for e in after_stop if e["kind"] == "command"]
    graph.wait_for(lambda: "stopped" in arm.part("/arm/chunks")[1], 5)
    answer = arm.reset()
    assert answer.success, answer.message
    graph.wait_for(lambda: not arm.stops[-1][1].stopped, 10)
    assert arm.x == pytest.approx(where, abs=1e-3)
    arm.drive(where + 0.05, lambda: arm.x > where + 0.03)


def corrupt(message, kind, accepted):
    if kind == "nan":
        message.poses[1].position.x = float("nan")
    elif kind == "empty":
        message.times, message.poses, message.gripper = [], [], []
    elif kind == "oversized":
        message.times = [0.01 * i for i in range(200)]
        message.poses = [message.poses[0]] * 200
        message.gripper = [1.0] * 200
    elif kind == "out of reach":
        message.poses[1].position.x = 3.0
    elif kind == "out of order":
        message.header.stamp = conversions.time_to_msg(accepted - 0.01)
    elif kind == "lengths":
        message.gripper = [1.0]
    elif kind == "frame":
        message.header.frame_id = "world"
    elif kind == "old":
        message.header.stamp = conversions.time_to_msg(time.time() - 50.0)
    return message


def test_bad_chunks_are_refused_counted_and_move_nothing(graph, tmp_path):
    arm = Arm(graph, tmp_path, max_chunk_age=10.0).ready()
    # One good chunk, so that something can be out of order; it rests where it is.
    accepted = time.time()
    arm.send(arm.x)
    graph.wait_for(lambda: arm.part("/arm/chunks")[2].get("accepted") == "1", 10)
    graph.wait_for(lambda: arm.state == "holding", 10)
    where = list(arm.joints[-1][1].position)
    kinds = {
        "out of order": "out of order",
        "nan": "positions is not finite at point 1",
        "empty": "chunk is empty",
        "oversized": "200 points, limit 128",
        "out of reach": "out of reach",
        "lengths": "gripper has shape",
        "frame": "frame 'world', expected 'base_link'",
        "old": "s old, limit",
    }
    for count, (kind, expected) in enumerate(kinds.items(), start=1):
        now = time.time()
        pose = arm.tools[-1][1].pose
        there = np.array([[pose.position.x, 0.0, 0.4], [0.45, 0.0, 0.4]])
        good = types.ActionChunk(
            now, now, "", np.array([0.0, 4.9]), there, np.tile(DOWN, (2, 1)), np.ones(2), kind
        )
        message = conversions.chunk_to_msg(good, "base_link")
        arm.chunks.publish(corrupt(message, kind, accepted))
        graph.wait_for(lambda n=count: arm.part("/arm/chunks")[2].get("rejected") == str(n), 10)
        level, message, values = arm.part("/arm/chunks")
        assert expected in values["last_rejection"], kind
    assert values["accepted"] == "1"
    assert level == 1
    assert "rejected" in message
    assert list(arm.joints[-1][1].position) == pytest.approx(where, abs=1e-6)


@pytest.mark.parametrize("death", [False, True])
def test_a_lost_node_makes_the_arm_hold_and_is_named(graph, tmp_path, death):
    # Of a death the kernel tells; silence takes its time.
    arm = Arm(graph, tmp_path, node_timeout=5.0 if death else 0.2).ready()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        beat = StackStatus(node="controller", state="busy", host=host(), process=process.pid)
        next_beat = 0.0

        def moving():
            nonlocal next_beat
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + 0.03
                arm.heartbeats.publish(beat)
            return arm.x > 0.40

        arm.drive(0.65, moving)
        if death:
            process.kill()
        arm.drive(0.65, lambda: arm.speed < 1e-3 and arm.state == "holding")
        why = "controller has died" if death else "controller is silent"
        graph.wait_for(lambda: why in arm.part("/arm/nodes")[1], 10)
        assert arm.part("/arm/nodes")[0] == 2
        assert arm.x < 0.62
        where = arm.rest()
        beat.process = os.getpid()

        def back():
            moving()
            return arm.x > where + 0.01

        arm.drive(0.65, back)
        process.kill()


def test_corrections_stop_pause_and_slow_the_arm(graph, arm):
    def say(kind, **values):
        correction = types.Correction(time.time(), "c", str(kind), kind, **values)
        arm.corrections.publish(conversions.correction_to_msg(correction))

    kinds = types.CorrectionKind
    arm.drive(0.65, lambda: arm.x > 0.38)
    say(kinds.PAUSE)
    arm.drive(0.65, lambda: arm.part("/arm")[1] == "paused")
    where = arm.rest()
    say(kinds.RESUME)
    arm.drive(0.65, lambda: arm.x > where + 0.02)
    say(kinds.SPEED, speed_factor=0.5)
    graph.wait_for(lambda: arm.part("/arm")[2].get("speed_factor") == "0.5", 10)
    say(kinds.STOP)
    graph.wait_for(lambda: arm.stops[-1][1].stopped, 10)
    assert "correction" in arm.stops[-1][1].reason
    arm.rest()


def test_the_arm_holds_when_the_plan_expires(graph, arm):
    plan = Plan(plan_id="plan", valid_until=conversions.time_to_msg(time.time() + 1.0))
    plan.interaction = "none"
    arm.plans.publish(plan)
    arm.drive(0.65, lambda: "expired" in arm.part("/arm")[1])
    assert arm.rest() < 0.64


def test_a_lost_device_is_told_and_connected_again(graph, tmp_path):
    arm = Arm(graph, tmp_path, mock__drop_after=4.0, mock__refused_connects=4)
    graph.wait_for(lambda: arm.part("/arm")[0] == 2, START)
    assert "refused" in arm.part("/arm")[1]
    arm.ready()
    graph.wait_for(lambda: "not connected" in arm.part("/arm")[1], START)
    assert arm.part("/arm")[0] == 2
    graph.wait_for(lambda: arm.part("/arm")[2].get("connections") == "2", START)
    graph.wait_for(lambda: arm.state == "idle", 10)
    heard = len(arm.joints)
    graph.wait_for(lambda: len(arm.joints) > heard, 10)
    where = arm.x
    arm.drive(where + 0.05, lambda: arm.x > where + 0.03)


def test_a_killed_cell_is_told_and_its_successor_is_driven(graph, tmp_path):
    def start_cell():
        arguments = ("cell", "--name", name, "--family", "place", "--seed", "1")
        graph.start("cell", "hierarchy_nodes.cli.main", *arguments)

    name = f"arm_node_{time.time_ns() % 10**9}"
    start_cell()
    arm = Arm(graph, tmp_path, driver="mujoco", mujoco__cell=name).ready()
    arm.drive(0.60, lambda: arm.x > 0.38)
    graph.kill("cell")
    graph.wait_for(lambda: arm.part("/arm")[0] == 2, START)
    assert "mujoco" in arm.part("/arm")[1]
    assert arm.state == "failed"
    start_cell()
    graph.wait_for(lambda: arm.part("/arm")[2].get("connections") == "2", START)
    heard = len(arm.joints)
    graph.wait_for(lambda: len(arm.joints) > heard + 5, START)
    # The new cell's arm is at home, and nothing of the old motion is left.
    assert arm.rest() == pytest.approx(0.35, abs=0.01)
    arm.drive(0.45, lambda: arm.x > 0.40)


def test_wrong_parameters_end_the_node_with_a_message(graph, capfd):
    node = graph.start("arm", "hierarchy_nodes.arm.node", driver="mokc")
    assert node.wait(START) == 2
    error = capfd.readouterr().err
    assert "Did you mean 'mock'?" in error
    assert "Traceback" not in error
