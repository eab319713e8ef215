"""Choosing classes by name."""

from importlib.metadata import EntryPoint

import pytest

from hardware.base import ARMS, CAMERAS, MICROPHONES, ArmDriver
from hierarchy_nodes import registry
from hierarchy_nodes.controller.base import CONTROLLERS
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.planner.base import PLANNERS
from hierarchy_nodes.registry import Registry
from hierarchy_nodes.segmenter.base import SEGMENTERS

ALL = [ARMS, CAMERAS, MICROPHONES, PLANNERS, SEGMENTERS, CONTROLLERS]


@pytest.mark.parametrize(("kind", "name"), [(r, name) for r in ALL for name in r.targets()])
def test_every_registered_name_loads(kind, name):
    assert isinstance(kind.get(name), type)


def test_third_party_class_by_module_and_name():
    found = ARMS.get("hardware.arms.mock:MockArm")
    assert issubclass(found, ArmDriver)


def test_third_party_driver_by_entry_point(monkeypatch):
    point = EntryPoint("other", "hardware.arms.mock:MockArm", "hierarchy.arms")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] if group == point.group else []
    )
    assert ARMS.get("other").__name__ == "MockArm"
    assert "other" not in CAMERAS.targets()


def test_unknown_name_gives_the_nearest_and_all():
    with pytest.raises(UnknownNameError, match=r"arm driver 'mujco'. Did you mean 'mujoco'\?") as e:
        ARMS.get("mujco")
    assert e.value.valid == sorted(ARMS.targets())
    with pytest.raises(UnknownNameError, match=r"'zzz'. Valid: mock, mujoco, replay"):
        ARMS.get("zzz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Class", "cannot be loaded: No module named"),
        ("hardware.arms.mock:NoClass", "cannot be loaded"),
        ("os:path", "is not a class"),
        ("pathlib:Path", "does not derive from hardware.base:ArmDriver"),
        ("hardware.base:MicrophoneDriver", "does not derive"),
    ],
)
def test_bad_classes_are_named(name, message):
    with pytest.raises(ConfigError, match=message):
        ARMS.get(name)


def test_a_builtin_name_cannot_be_taken_over(monkeypatch):
    point = EntryPoint("a", "os:path", "g")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    mine = Registry("thing", "builtins:object", {"a": "pathlib:Path"}, "g")
    assert mine.get("a").__name__ == "Path"
