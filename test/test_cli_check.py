"""``hierarchy check``: all that is wrong with a file, and nothing that is right."""

import pytest

from hierarchy_nodes import configuration
from hierarchy_nodes.cli.main import main


@pytest.fixture
def check(tmp_path, capsys):
    """Write a file, check it, and give the exit code with what was printed."""

    def run(text: str) -> tuple[int, str]:
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        code = main(["check", str(path)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


GOOD = """
/**/arm:
  ros__parameters:
    driver: mock
    rate_hz: 100        # a whole number where a float is meant
    use_sim_time: false
    mock: {watchdog: 0.2}
    mujoco.cell: other  # of a driver that is not chosen
/robot1/camera:
  ros__parameters: {driver: mujoco, mujoco: {camera: side}}
robot2:
  correction:
    ros__parameters: {frame: viewer}
console:
  ros__parameters: {expected: [arm, camera]}
"""


def test_a_good_file(check):
    code, said = check(GOOD)
    assert code == 0, said
    for name in ("arm", "robot1/camera", "correction", "console"):
        assert name in said


BAD = """/**/arm:
  ros__parameters:
    driver: mujocco
    rate_hz: 5000.0
    max_sped: 1.0
    mock:
      watchdgo: 0.1
    mujoco.cell: 3
/robot1:
  camera:
    ros__parameters: {driver: mock, mock: {width: 3}}
/**/armm:
  ros__parameters: {}
/robot1/correction:
  ros__parameters:
    frame: sideways
    motion_speed: fast
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (3, ["driver", "'mujocco'", "Did you mean 'mujoco'"]),
        (4, ["arm.rate_hz", "5000.0", "[10.0, 1000.0]"]),
        (5, ["'max_sped'", "Did you mean 'max_speed'"]),
        (7, ["mock > watchdgo", "Did you mean 'watchdog'"]),
        (8, ["mujoco > cell", "expected str"]),
        (11, ["camera.mock.width", "[16, 4096]"]),
        (12, ["'armm'", "Did you mean 'arm'"]),
        (16, ["'sideways'", "robot, viewer"]),
        (17, ["motion_speed", "expected float"]),
    ],
)
def test_every_problem_is_told_with_its_line(check, line, words):
    code, said = check(BAD)
    assert code == 1
    assert "9 problems" in said
    (found,) = [text for text in said.splitlines() if f"params.yaml:{line}: " in text]
    for word in words:
        assert word in found


def test_malformed_yaml_names_file_and_line(check):
    code, said = check("arm:\n  ros__parameters: [1, 2\n  rate_hz: 3\n")
    assert code == 2
    assert "params.yaml" in said
    assert "line 3" in said


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "\x00"])
def test_not_a_mapping(check, text):
    assert check(text)[0] == 2


def test_a_missing_file(capsys):
    assert main(["check", "/nowhere/params.yaml"]) == 2
    assert "/nowhere/params.yaml" in capsys.readouterr().err


def test_a_key_given_twice(check):
    code, said = check("arm:\n  ros__parameters:\n    speed: 1.0\n    speed: 0.5\n")
    assert code == 1
    assert "params.yaml:4: " in said
    assert "before in line 3" in said


def test_parameters_for_all_nodes_must_be_known_to_all(check):
    assert check("/**:\n  ros__parameters: {use_sim_time: true}\n")[0] == 0
    code, said = check("/**:\n  ros__parameters: {base_frame: base_link}\n")
    assert code == 1
    assert "correction" in said
    assert "key of arm " not in said


def test_a_file_without_nodes(check):
    code, said = check("rate_hz: 3\n")
    assert code == 1
    assert "ros__parameters" in said
    assert check("")[0] == 0


def test_third_party_driver_options(check, tmp_path, monkeypatch):
    (tmp_path / "acme_arm.py").write_text(
        "from dataclasses import dataclass\n"
        "from hardware.arms.mock import MockArm\n"
        "from hierarchy_nodes.parameters import param\n"
        "@dataclass(frozen=True)\n"
        "class Options:\n"
        "    port: int = param(1, 'Port', low=1, high=9)\n"
        "class Acme(MockArm):\n"
        "    Options = Options\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = "arm: {{ros__parameters: {{driver: 'acme_arm:Acme', options: {{{}}}}}}}\n"
    assert check(text.format("port: 3"))[0] == 0
    assert "outside [1, 9]" in check(text.format("port: 30"))[1]
    assert "Did you mean 'port'" in check(text.format("prot: 3"))[1]
    code, said = check("arm: {ros__parameters: {driver: 'acme_arm:Nobody'}}\n")
    assert code == 1
    assert "acme_arm:Nobody" in said


def test_device_files(check):
    assert check("kind: camera\ndriver: mock\noptions: {width: 64}\n")[0] == 0
    code, said = check("kind: camera\ndriver: mock\noptions:\n  widht: 64\n")
    assert code == 1
    assert "params.yaml:4: " in said
    assert "Did you mean 'width'" in said
    assert "Did you mean 'arm'" in check("kind: armm\ndriver: mock\n")[1]
    assert "Did you mean 'mock'" in check("kind: arm\ndriver: mokc\n")[1]


def test_every_node_with_parameters_is_known():
    assert {"arm", "camera", "console", "controller", "correction", "recorder"} <= set(
        configuration.node_configs()
    )
