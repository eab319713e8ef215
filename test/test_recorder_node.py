"""The recorder as a process: it finds topics by itself and tells how it is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hierarchy_nodes.environment import prepare

prepare()

from hierarchy_interfaces.msg import StackStatus  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from hierarchy_nodes import conversions, qos  # noqa: E402
from hierarchy_nodes.recorder import reader  # noqa: E402

MODULE = "hierarchy_nodes.recorder.node"


def statuses(graph, namespace: str = "/robot1") -> list:
    return graph.listen(f"{namespace}/status", StackStatus, qos.STATUS)


def recording(graph, folder: Path, **parameters) -> tuple[Path, list]:
    box = statuses(graph)
    graph.start("recorder", MODULE, namespace="robot1", directory=folder, name="bag", **parameters)
    graph.wait_for(lambda: any(m.node == "recorder" for _, m in box), 20)
    return folder / "bag", box


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (24, 32, 3)).astype(np.uint8)


def publish(graph, seconds: float) -> int:
    """Images and joint states at 50 Hz, one latched text; returns how many rounds."""
    node = graph.node
    images = node.create_publisher(Image, "/robot1/camera/color/image_raw", qos.SENSOR)
    states = node.create_publisher(JointState, "/robot1/joint_states", qos.SENSOR)
    latched = node.create_publisher(String, "/robot1/latched", qos.LATCHED)
    elsewhere = node.create_publisher(String, "/robot2/latched", qos.LATCHED)
    latched.publish(String(data="once"))
    elsewhere.publish(String(data="not mine"))
    graph.wait_for(lambda: states.get_subscription_count() and images.get_subscription_count(), 10)
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        stamp = time.time()
        images.publish(conversions.image_to_msg(pixels(rounds), "rgb8", stamp, "camera"))
        states.publish(JointState(name=["joint_1"], position=[float(rounds)]))
        rounds += 1
        graph.spin(0.02)
    return rounds


def test_everything_in_the_namespace_is_recorded(graph, tmp_path):
    folder, _ = recording(graph, tmp_path)
    rounds = publish(graph, 2.0)
    graph.processes["recorder"].send_signal(signal.SIGINT)
    assert graph.processes["recorder"].wait(10) == 0

    decode = reader.Decoder()
    by_topic: dict[str, list] = {}
    for record in reader.records(folder):
        by_topic.setdefault(record.topic, []).append(decode(record))
    assert "/robot2/latched" not in by_topic
    assert [message.data for message in by_topic["/robot1/latched"]] == ["once"]
    assert "/robot1/status" in by_topic
    images = by_topic["/robot1/camera/color/image_raw"]
    assert len(images) > 0.9 * rounds
    assert bytes(images[-1].data) in [pixels(i).tobytes() for i in range(rounds)]

    rosbags = pytest.importorskip("rosbags.highlevel")
    with rosbags.AnyReader([folder]) as bag:
        (found,) = [c for c in bag.connections if c.topic == "/robot1/joint_states"]
        values = [
            bag.deserialize(data, c.msgtype).position[0] for c, _, data in bag.messages([found])
        ]
    assert len(values) > 0.9 * rounds
    assert values == sorted(values)
    assert found.digest.startswith("RIHS01_")


def test_mixed_reliability(graph, tmp_path):
    """A best-effort publisher that comes later is recorded beside a reliable one."""
    folder, _ = recording(graph, tmp_path)
    first = graph.node.create_publisher(String, "/robot1/mixed", qos.EVENT)
    graph.wait_for(first.get_subscription_count, 10)
    second = graph.node.create_publisher(String, "/robot1/mixed", qos.SENSOR)
    graph.wait_for(second.get_subscription_count, 10)
    graph.wait_for(first.get_subscription_count, 10)
    for _ in range(10):
        first.publish(String(data="reliable"))
        second.publish(String(data="best effort"))
        graph.spin(0.05)
    graph.processes["recorder"].send_signal(signal.SIGTERM)
    graph.processes["recorder"].wait(10)
    decode = reader.Decoder()
    texts = {decode(record).data for record in reader.records(folder, ["/robot1/mixed"])}
    assert texts == {"reliable", "best effort"}


def test_killed_recorder_leaves_a_readable_recording_that_the_next_one_completes(graph, tmp_path):
    folder, _ = recording(graph, tmp_path)
    publish(graph, 2.0)
    killed = time.time()
    graph.kill("recorder")
    records = list(reader.records(folder))
    assert killed - records[-1].log_time * 1e-9 < 1.0
    (file,) = reader.files_of(folder)
    assert not reader.is_complete(file)
    graph.start("recorder", MODULE, namespace="robot1", directory=tmp_path, name="next")
    graph.wait_for(lambda: reader.is_complete(file), 20)
    assert len(list(reader.records(folder))) == len(records)


def test_full_disk_is_an_error_that_others_hear(graph, tmp_path):
    _, box = recording(graph, tmp_path, min_free=1e7)
    graph.wait_for(lambda: any(m.state == "failed" for _, m in box), 10)
    status = next(m for _, m in box if m.state == "failed")
    assert status.level == StackStatus.ERROR
    assert status.message.startswith("disk full: ")
    assert graph.processes["recorder"].poll() is None


def test_unknown_parameter(tmp_path):
    command = [sys.executable, "-m", MODULE, "--ros-args", "-p", "directry:=x"]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=root)
    assert done.returncode == 2
    assert "Did you mean 'directory'?" in done.stderr
