"""The segmenter node as a process, fed by a mock camera and an arm that stands still."""

import time
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces import msg
from scenes import picture, plan_for, robot_at
from sensor_msgs.msg import JointState

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.segmenter.base import SegmenterBackend
from hierarchy_nodes.segmenter.session import History, Job, Session
from hierarchy_nodes.subscribers import FrameSubscriber
from hierarchy_nodes.types import PathPoint, Role, Segments

NAMES = [f"joint_{i}" for i in range(1, 8)]


def test_history_goes_back_to_the_plans_moment():
    history = History(1.0)
    assert history.frame(0.0) is None
    assert history.robot(0.0) is None
    for k in range(10):
        history.add_state(robot_at(k * 0.2))
        history.add_frame(_Stamped(k * 0.2))
    assert history.frame(1.41).stamp == pytest.approx(1.4)
    assert history.robot(1.19).stamp == pytest.approx(1.2)
    # Older ones are forgotten, so the nearest is the oldest that is left.
    assert history.frame(0.0).stamp == pytest.approx(0.8)


class _Stamped:
    def __init__(self, stamp):
        self.stamp = stamp


class Listing(SegmenterBackend):
    """Notes what it was asked."""

    Options = type(None)

    def __init__(self):
        super().__init__(None)
        self.calls = []

    def reset(self, plan, frame, robot):
        self.calls.append(("reset", plan.plan_id, frame.stamp))
        return Segments(frame.stamp, "", plan.plan_id, np.zeros((1, 1), np.uint8), ())

    def track(self, frame, robot):
        self.calls.append(("track", frame.stamp))
        return Segments(frame.stamp, "", "", np.zeros((1, 1), np.uint8), ())


def test_session_resets_once_a_plan_whatever_was_skipped():
    backend = Listing()
    session = Session(backend)
    first = _plan("a", 1.0)
    start = (_Stamped(1.0), robot_at(1.0))
    assert len(session.work(Job(first, start, (_Stamped(1.4), robot_at(1.4))))) == 2
    session.work(Job(first, start, (_Stamped(1.6), robot_at(1.6))))
    # The same plan once more, valid for longer: no new start.
    session.work(Job(replace(first, valid_until=99.0), start, (_Stamped(1.8), robot_at(1.8))))
    session.work(Job(_plan("b", 1.8), (_Stamped(1.8), robot_at(1.8)), (_Stamped(1.8), robot_at(1))))
    assert backend.calls == [
        ("reset", "a", 1.0),
        ("track", 1.4),
        ("track", 1.6),
        ("track", 1.8),
        ("reset", "b", 1.8),
    ]


def _plan(name, stamp):
    return replace(plan_for(picture([])[0]), plan_id=name, stamp=stamp)


@pytest.fixture
def running(graph):
    """Camera and segmenter; frames, segments and status as they come."""
    segments = graph.listen("segments", msg.Segments, qos.SENSOR)
    status = graph.listen("status", msg.StackStatus, qos.STATUS)
    frames = []
    FrameSubscriber(graph.node, frames.append)
    joints = graph.node.create_publisher(JointState, "joint_states", qos.SENSOR)
    tool = graph.node.create_publisher(PoseStamped, "end_effector_pose", qos.SENSOR)

    def beat():
        now = time.time()
        state = robot_at(now)
        tool.publish(conversions.pose_stamped(now, "base_link", top_down([0.35, 0.0, 0.4])))
        joints.publish(conversions.joint_state_to_msg(state, NAMES, "gripper"))

    graph.node.create_timer(0.05, beat)
    plans = graph.node.create_publisher(msg.Plan, "plan", qos.LATCHED)
    graph.start("camera", "hierarchy_nodes.camera.node", driver="mock", mock__rate_hz=10.0)
    graph.start("segmenter", "hierarchy_nodes.segmenter.node")
    graph.wait_for(lambda: len(frames) > 3, 30)

    def heard():
        mine = [m for _, m in status if m.node == "segmenter"]
        return mine[-1] if mine else None

    graph.wait_for(heard, 30)
    return graph, frames, segments, heard, plans


def send(plans, frame, name, prompts, path=True, **changes):
    plan = plan_for(frame, *prompts)
    points = (PathPoint(0.5, 0.5), PathPoint(0.6, 0.6)) if path else ()
    plan = replace(plan, plan_id=name, path=points, **{"valid_until": time.time() + 60, **changes})
    plans.publish(conversions.plan_to_msg(plan))


def test_tracks_while_a_plan_runs_and_rests_otherwise(running):
    graph, frames, segments, heard, plans = running
    graph.spin(0.5)
    assert not segments
    assert heard().state == "idle"
    goal = (Role.GOAL, "blue plate", (0.45, 0.14, 0.012))
    frame = frames[-2]
    send(plans, frame, "one", [goal, (Role.TARGET, "green block", (0.58, 0.02, 0.05))])
    graph.wait_for(lambda: len(segments) >= 5, 20)
    first, last = segments[0][1], segments[-1][1]
    assert first.plan_id == "one"
    # It starts on the very image that the plan was drawn on.
    assert conversions.time_from_msg(first.header.stamp) == pytest.approx(frame.stamp, abs=1e-6)
    assert [s.label for s in last.segments] == ["blue plate", "green block"]
    assert not any(s.lost for s in last.segments)
    found = conversions.segments_from_msg(last)
    assert np.linalg.norm(found.segments[1].centroid - [0.58, 0.02, 0.025]) < 0.01
    assert set(np.unique(found.mask)) == {0, 1, 2}
    assert heard().state == "busy"
    assert heard().plan_id == "one"
    send(plans, frames[-1], "two", [goal], path=False)
    graph.wait_for(lambda: heard().state == "idle", 20)
    graph.spin(0.5)
    before = len(segments)
    graph.spin(0.5)
    assert len(segments) == before


def test_lost_target_is_named_in_status(running):
    graph, frames, segments, heard, plans = running
    send(plans, frames[-1], "p", [(Role.TARGET, "purple giraffe", (0.62, -0.25, 0.0))])
    graph.wait_for(lambda: segments and "purple giraffe" in heard().message, 20)
    assert heard().level == msg.StackStatus.WARN
    assert segments[-1][1].segments[0].lost


def test_plans_that_do_not_fit_are_refused(running):
    graph, frames, segments, heard, plans = running
    goal = (Role.GOAL, "blue plate", (0.45, 0.14, 0.012))
    send(plans, frames[-1], "other", [goal], frame_id="side_camera_color_optical_frame")
    graph.wait_for(lambda: "side_camera" in heard().message, 20)
    assert heard().level == msg.StackStatus.ERROR
    send(plans, frames[-1], "old", [goal], valid_until=time.time() - 1)
    graph.wait_for(lambda: "no longer valid" in heard().message, 20)
    bad = conversions.plan_to_msg(plan_for(frames[-1], goal))
    bad.plan_id, bad.interaction = "bad", "dance"
    plans.publish(bad)
    graph.wait_for(lambda: "dance" in heard().message, 20)
    assert heard().level == msg.StackStatus.ERROR
    assert not segments
    # And it still works.
    send(plans, frames[-1], "good", [goal])
    graph.wait_for(lambda: len(segments) >= 2, 20)
