"""The process environment: what is filled in, and that what the user set stays."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hierarchy_nodes import environment
from hierarchy_nodes.errors import ConfigError, UnknownNameError

PROFILES = environment.PROFILE_VARIABLES


@pytest.fixture
def clean(monkeypatch):
    for name in (
        *PROFILES,
        "HIERARCHY_DDS",
        "RMW_IMPLEMENTATION",
        "MUJOCO_GL",
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
    ):
        # Registers the variable for restoring even where it is not set now.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def profile():
    values = {os.environ.get(name) for name in PROFILES}
    assert len(values) == 1
    return values.pop()


def test_one_host_is_the_default(clean):
    environment.prepare()
    assert Path(profile()) == environment.share_folder() / "config" / "dds" / "shm.xml"
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert os.environ["MUJOCO_GL"] == "egl"
    assert sys.prefix in os.environ["AMENT_PREFIX_PATH"].split(":")


def test_too_little_shared_memory_is_said_and_avoided(clean, capsys):
    clean.setattr(environment, "SHARED_MEMORY_NEEDED", 1e18)
    environment.prepare()
    assert profile() is None
    assert "/dev/shm has" in capsys.readouterr().err


def test_several_hosts(clean):
    clean.setenv("HIERARCHY_DDS", "lan")
    environment.prepare()
    assert Path(profile()).name == "lan.xml"
    assert Path(profile()).is_file()
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_a_child_may_be_told_otherwise_than_its_parent(clean):
    environment.prepare()
    clean.setenv("HIERARCHY_DDS", "lan")
    environment.prepare()
    assert Path(profile()).name == "lan.xml"
    clean.setenv("HIERARCHY_DDS", "default")
    environment.prepare()
    assert profile() is None


def test_what_the_user_set_stays(clean):
    clean.setenv(PROFILES[0], "/home/me/mine.xml")
    clean.setenv("MUJOCO_GL", "osmesa")
    clean.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    environment.prepare()
    assert os.environ[PROFILES[0]] == "/home/me/mine.xml"
    assert PROFILES[1] not in os.environ
    assert os.environ["MUJOCO_GL"] == "osmesa"
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_another_middleware_is_left_alone(clean):
    clean.setenv("RMW_IMPLEMENTATION", "rmw_zenoh_cpp")
    environment.prepare()
    assert profile() is None


def test_unknown_transport_lists_the_valid_ones(clean):
    clean.setenv("HIERARCHY_DDS", "smh")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'shm'\? Valid: default, lan, shm"):
        environment.prepare()


def test_the_installed_share_folder_is_found(tmp_path, monkeypatch):
    share = tmp_path / "share" / "hierarchy_nodes"
    share.mkdir(parents=True)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "a" / "b" / "environment.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/no/such{os.pathsep}{tmp_path}")
    monkeypatch.setattr(sys, "prefix", "/no/prefix")
    with pytest.raises(ConfigError, match=r"/no/such"):
        environment.share_folder()
    (share / "package.xml").write_text("<package/>")
    assert environment.share_folder() == share


TALK = """
    import array, sys, time
    from hierarchy_nodes import environment, qos
    environment.prepare()
    import rclpy
    from sensor_msgs.msg import Image
    rclpy.init()
    node = rclpy.create_node("talker")
    publisher = node.create_publisher(Image, "test_environment/image", qos.SENSOR)
    image = Image(height=240, width=320, encoding="rgb8", step=960)
    image.data = array.array("B", bytes(240 * 320 * 3))
    print("talking", flush=True)
    count = 0
    while True:
        image.header.frame_id = str(count)
        count += 1
        publisher.publish(image)
        time.sleep(0.03)
"""


def talker():
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TALK)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "talking\n"
    return process


def test_images_cross_shared_memory_even_after_a_kill(graph):
    """Best effort loses nothing, and the leftovers of a killed process block nobody."""
    from sensor_msgs.msg import Image

    from hierarchy_nodes import qos

    assert Path(profile()).name == "shm.xml"
    box = graph.listen("test_environment/image", Image, qos.SENSOR)
    for _ in range(2):
        process = talker()
        try:
            graph.wait_for(lambda: len(box) >= 30, 60.0)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert all(len(message.data) == 240 * 320 * 3 for _, message in box)
        box.clear()
        graph.spin(0.5)
        box.clear()
