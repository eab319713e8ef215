"""Configuration dataclasses: strict about keys, types and ranges."""

from dataclasses import dataclass

import pytest

from hierarchy_nodes import parameters
from hierarchy_nodes.controller.base import CONTROLLERS
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.parameters import from_mapping, load, make, param, plugin, read_yaml


@dataclass(frozen=True)
class Config:
    driver: str = plugin("mock", "hardware.base:ARMS", "Arm driver")
    rate: float = param(10.0, "Rate", unit="Hz", low=1.0, high=100.0)
    count: int = param(3, "Count", low=0)
    on: bool = param(True, "Switch")
    mode: str = param("a", "Mode", choices=("a", "b"))
    box: list[float] = param([0.0, 1.0], "Box", unit="m", low=-1.0, high=1.0)
    names: list[str] = param([], "Names")


def test_defaults_and_values():
    assert from_mapping(Config, {}) == Config()
    config = from_mapping(Config, {"rate": 20, "box": [0, 0.5], "names": ["x"]})
    assert config.rate == 20.0
    assert isinstance(config.rate, float)
    assert config.box == [0.0, 0.5]
    assert Config().box is not Config().box


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rte": 1.0}, r"key of cfg 'rte'. Did you mean 'rate'\?"),
        ({"rate": "fast"}, r"cfg.rate: expected float, got 'fast'"),
        ({"rate": True}, r"cfg.rate: expected float, got True"),
        ({"rate": 1000.0}, r"cfg.rate: 1000.0 is outside \[1.0, 100.0\] Hz"),
        ({"rate": float("nan")}, r"cfg.rate: nan is not finite"),
        ({"count": 1.5}, r"cfg.count: expected int"),
        ({"count": -1}, r"cfg.count: -1 is outside"),
        ({"on": 1}, r"cfg.on: expected bool"),
        ({"mode": "c"}, r"value of cfg.mode 'c'. Valid: a, b"),
        ({"box": [0.0, 2.0]}, r"cfg.box: 2.0 is outside"),
        ({"box": 1.0}, r"cfg.box: expected list"),
        ({"names": [1]}, r"cfg.names: expected a list of str"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Config, values, owner="cfg")


def test_options_of_the_chosen_plugin_are_filled():
    config, options = load(Config, {"driver": "mock", "rate": 5.0})
    assert config.rate == 5.0
    assert type(options["driver"]).__qualname__.endswith("Options")


def test_options_of_other_plugins_may_stand_in_the_file():
    load(Config, {"driver": "mock", "mujoco": {"cell": "x"}, "replay": {"nonsense": 1}})
    _, options = load(Config, {"driver": "mujoco", "mujoco": {"cell": "x"}})
    assert options["driver"].cell == "x"


def test_options_of_a_class_stand_under_options():
    values = {"driver": "hardware.arms.mujoco:MujocoArm", "options": {"cell": "y"}}
    assert load(Config, values)[1]["driver"].cell == "y"


def test_bad_plugin_names_and_options():
    with pytest.raises(UnknownNameError, match=r"arm driver 'mok'. Did you mean 'mock'"):
        load(Config, {"driver": "mok"})
    with pytest.raises(UnknownNameError, match=r"key of arm.mujoco 'cel'. Did you mean 'cell'"):
        load(Config, {"driver": "mujoco", "mujoco": {"cel": "x"}}, owner="arm")
    with pytest.raises(UnknownNameError, match=r"key of arm 'camera'"):
        load(Config, {"camera": {"x": 1}}, owner="arm")


def test_a_plugin_is_made_of_its_name_and_options():
    made = make(CONTROLLERS, "path_follower", {"steps": 25})
    assert isinstance(made, CONTROLLERS.get("path_follower"))
    assert made.options.steps == 25
    assert make(CONTROLLERS, "path_follower").options == type(made).Options()
    with pytest.raises(UnknownNameError, match=r"controller 'path_folower'. Did you mean"):
        make(CONTROLLERS, "path_folower")
    with pytest.raises(UnknownNameError, match=r"key of controller path_follower 'step'"):
        make(CONTROLLERS, "path_follower", {"step": 25})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", r"not valid YAML.*line 1"),
        ("- a\n- b", "expected a mapping at the top, got list"),
        (b"\xff\xfe\x00a", "not valid YAML"),
    ],
)
def test_malformed_yaml_is_named(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=rf"(?s){path}.*{message}"):
        read_yaml(path)


def test_missing_and_empty_yaml(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


def test_plugins_are_listed():
    assert [(name, registry.kind) for name, registry in parameters.plugins(Config)] == [
        ("driver", "arm driver")
    ]
