"""The launch files of the package, read as they are shipped."""

import pytest
import yaml

from hierarchy_nodes import parameters
from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.launcher import find_file, load
from hierarchy_nodes.launcher.interpreter import declared

NODES = {"arm", "camera", "planner", "segmenter", "controller", "correction", "console"}


def spec(launch, name):
    return next(process for process in launch.processes if process.name == name)


def settings(process):
    merged = {}
    for item in process.parameters:
        if isinstance(item, dict):
            merged.update(item)
    return merged


def test_bringup_starts_all_nodes_and_the_cell():
    launch = load(find_file("bringup.launch.xml"))
    assert {process.name for process in launch.processes} == NODES | {"cell"}


def test_a_real_arm_and_camera_need_no_cell():
    launch = load(find_file("bringup"), {"arm": "mock", "camera": "mock", "record": "true"})
    assert {process.name for process in launch.processes} == NODES | {"recorder"}
    assert settings(spec(launch, "arm"))["driver"] == "mock"


def test_arguments_reach_parameters_after_the_file():
    launch = load(
        find_file("bringup"),
        {"arm": "my_arm.driver:Arm", "cell": "7", "planner": "other.module:Planner"},
    )
    arm = spec(launch, "arm")
    assert arm.parameters[0] == share_folder() / "config" / "params.yaml"
    assert settings(arm) == {"driver": "my_arm.driver:Arm", "mujoco.cell": "7"}
    planner = settings(spec(launch, "planner"))
    assert planner == {"backend": "other.module:Planner", "second_camera": ""}
    # Only the camera is simulated, and the cell's name stays text.
    assert "--name 7" in " ".join(spec(launch, "7").command)


def test_speech_is_two_more_nodes():
    launch = load(find_file("bringup"), {"speech": "true", "microphone": "mock"})
    assert {process.name for process in launch.processes} == NODES | {
        "cell",
        "microphone",
        "speech",
    }
    assert settings(spec(launch, "microphone"))["driver"] == "mock"


def test_a_second_camera_has_its_own_name_and_topics():
    (camera,) = load(find_file("second_camera"), {"cell": "c", "namespace": "r"}).processes
    assert camera.name == "r/side_camera"
    assert settings(camera) == {
        "driver": "mujoco",
        "topics": "side_camera",
        "mujoco.cell": "c",
        "mujoco.camera": "side",
    }


def test_two_robots_share_nothing():
    launch = load(find_file("two_robots"), {"seed2": "9", "record": "true"})
    names = {process.name for process in launch.processes}
    nodes = NODES | {"recorder"}
    assert names == {f"robot{i}/{node}" for i in (1, 2) for node in nodes} | {
        "robot1_cell",
        "robot2_cell",
    }
    assert settings(spec(launch, "robot2/arm"))["mujoco.cell"] == "robot2_cell"
    assert "--seed 9" in " ".join(spec(launch, "robot2_cell").command)
    assert "--seed 1" in " ".join(spec(launch, "robot1_cell").command)
    assert spec(launch, "robot1/camera").namespace == "/robot1"


def test_dds_and_respawn_reach_every_process():
    launch = load(find_file("sim"), {"dds": "lan", "use_respawn": "true"})
    assert len(launch.processes) == len(NODES) + 1
    for process in launch.processes:
        assert process.environment["HIERARCHY_DDS"] == "lan"
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
        assert process.respawn
        assert process.respawn_delay == 1.0


def test_unknown_argument_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'camera'\?.*use_respawn"):
        load(find_file("bringup"), {"camrea": "mock"})


def test_unknown_choice_lists_the_valid_ones():
    with pytest.raises(
        ConfigError, match=r"bringup.launch.xml:\d+: <arg>.*'smh'.*shm.*default, lan"
    ):
        load(find_file("bringup"), {"dds": "smh"})


def test_unknown_launch_file_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'two_robots.launch.xml'"):
        find_file("two_robot.launch.xml")


@pytest.mark.parametrize("name", ["bringup", "sim", "two_robots", "rviz"])
def test_every_argument_is_described(name):
    arguments = declared(find_file(name))
    assert arguments
    for argument in arguments.values():
        assert argument.description, argument.name
        if argument.choices and "$(" not in argument.default:
            assert argument.default in argument.choices


def test_a_wrapper_shows_the_arguments_that_it_passes_on():
    shown = declared(find_file("sim"))
    assert {"seed", "family", "use_respawn"} <= set(shown)
    assert not {"arm", "camera"} & set(shown)


def sections():
    path = share_folder() / "config" / "params.yaml"
    for key, values in yaml.safe_load(path.read_text()).items():
        yield key.removeprefix("/**/"), values["ros__parameters"]


@pytest.mark.parametrize("node", sorted(NODES | {"recorder"}))
def test_params_file_has_only_what_the_nodes_know(node):
    module = __import__(f"hierarchy_nodes.{node}.config", fromlist=["config"])
    config = getattr(module, f"{node.capitalize()}Config")
    values = dict(sections())[node]
    parameters.load(config, values, owner=node)


@pytest.mark.parametrize("node", sorted(NODES | {"recorder"}))
def test_params_file_shows_the_defaults(node):
    module = __import__(f"hierarchy_nodes.{node}.config", fromlist=["config"])
    config = getattr(module, f"{node.capitalize()}Config")()
    for key, value in dict(sections())[node].items():
        if not isinstance(value, dict) and key != "expected":
            assert getattr(config, key) == value, key
