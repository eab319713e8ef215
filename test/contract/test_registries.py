"""Drivers are chosen by name, also those of other packages."""

import pytest

from hardware.base import ARMS, CAMERAS, MICROPHONES
from hierarchy_nodes.errors import ConfigError, UnknownNameError

BASES = {
    ARMS: ("hardware.arms.mock", "MockArm"),
    CAMERAS: ("hardware.cameras.mock", "MockCamera"),
    MICROPHONES: ("hardware.microphones.mock", "MockMicrophone"),
}


@pytest.fixture(params=list(BASES), ids=lambda registry: registry.kind)
def registry(request):
    return request.param


@pytest.fixture
def acme(registry, tmp_path, monkeypatch) -> str:
    """Another package with a driver, installed with an entry point; gives its module's name."""
    module, base = BASES[registry]
    name = "acme_" + registry.group.rpartition(".")[2]
    (tmp_path / f"{name}.py").write_text(
        f"from {module} import {base}\nclass Acme({base}):\n    pass\nnot_a_class = 3\n"
    )
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.group}]\nacme = {name}:Acme\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_unknown_name_gives_the_nearest_and_all(registry):
    with pytest.raises(UnknownNameError) as caught:
        registry.get("mokc")
    assert "Did you mean 'mock'?" in str(caught.value)
    assert set(caught.value.valid) >= {"mock"}


def test_module_and_class(registry, acme):
    driver = registry.get(f"{acme}:Acme").from_options()
    assert type(driver).__name__ == "Acme"
    driver.connect()
    driver.disconnect()


def test_entry_point(registry, acme):
    assert registry.targets()["acme"] == f"{acme}:Acme"
    assert registry.get("acme").__name__ == "Acme"


@pytest.mark.parametrize("attribute", ["Nobody", "not_a_class"])
def test_what_is_not_there_is_named(registry, acme, attribute):
    with pytest.raises(ConfigError, match=f"{acme}:{attribute}"):
        registry.get(f"{acme}:{attribute}")
    with pytest.raises(ConfigError, match="no_such_module"):
        registry.get("no_such_module:Acme")


def test_a_driver_of_another_kind_is_refused(registry):
    with pytest.raises(ConfigError, match="does not derive"):
        registry.get("hierarchy_nodes.monitor:StackMonitor")
