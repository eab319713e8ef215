"""A simulated person before the microphone of a running graph."""

from __future__ import annotations

import time

import pytest
from hierarchy_interfaces import msg
from sensor_msgs.msg import JointState
from std_msgs.msg import Empty

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.bench import probe, spoken
from hierarchy_nodes.demo.client import StackClient
from hierarchy_nodes.demo.microphone import SpokenMicrophone

pytestmark = pytest.mark.timeout(240)


def test_a_spoken_stop_reaches_the_arms_topic(graph):
    sound = graph.listen("microphone/audio", msg.AudioChunk, qos.AUDIO)
    stops = graph.listen("stop", Empty, qos.EVENT)
    words = graph.listen("transcript", msg.Transcript, qos.EVENT)
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    graph.start("speech", "hierarchy_nodes.speech.node", spot_stop=False)
    graph.start("correction", "hierarchy_nodes.correction.node")
    graph.wait_for(lambda: {"speech", "correction"} <= {s.node for _, s in states}, 100)
    with SpokenMicrophone(graph.node) as microphone:
        graph.spin(1.0)
        begun = time.time()
        ended = microphone.say("stop")
        graph.wait_for(lambda: stops and words, 60)
    assert "stop" in words[-1][1].text.lower()
    # It is stamped with when it was spoken.
    assert begun - 0.6 < conversions.time_from_msg(words[-1][1].header.stamp) < ended
    numbers = [m.sequence for _, m in sound]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    stamps = [conversions.time_from_msg(m.header.stamp) for _, m in sound]
    assert stamps[-1] - stamps[0] == pytest.approx(0.02 * (len(stamps) - 1), abs=1e-3)


def test_a_spoken_stop_is_measured_at_the_driver(graph, tmp_path):
    """One value; how small it is, is for the command."""
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    joints = graph.listen("joint_states", JointState, qos.SENSOR)
    parameters = {**probe.parameters(tmp_path / "log", ""), "options.inner": "mock"}
    del parameters["options.inner_options"]
    graph.start("arm", "hierarchy_nodes.arm.node", realtime=False, **parameters)
    graph.start("speech", "hierarchy_nodes.speech.node", spot_stop=False)
    graph.start("correction", "hierarchy_nodes.correction.node")
    named = {"arm", "speech", "correction"}
    graph.wait_for(lambda: joints and named <= {s.node for _, s in states}, 100)
    with StackClient() as client:
        trials = spoken.say_stops(client, 1, lambda *_: None)
    message, driver = spoken.figures("recogniser", trials, probe.read_log(tmp_path / "log"))
    (trial,) = trials
    assert message.n == (trial.message is not None)
    if message.n:  # a busy machine may take longer than is waited for
        assert 0 < message.max < 1e3 * spoken.WITHIN
        assert driver.n <= 1
