"""Arguments that more than one command takes."""

import argparse

import pytest

from hierarchy_nodes.cli.arguments import add_spreading, key_value
from hierarchy_nodes.errors import ConfigError


def test_values_are_yaml():
    assert key_value("--set", "rate=0.5") == ("rate", 0.5)
    assert key_value("--set", "a.b=[x, y]") == ("a.b", ["x", "y"])
    assert key_value("--set", "name=a=b") == ("name", "a=b")


@pytest.mark.parametrize(("pair", "why"), [("rate", "KEY=VALUE"), ("rate=[", "cannot be read")])
def test_what_is_of_another_form_is_named(pair, why):
    with pytest.raises(ConfigError, match=f"--set {pair[:4]}.*{why}"):
        key_value("--set", pair)


def test_episodes_go_to_all_cores_of_this_machine_unless_told_otherwise():
    parser = argparse.ArgumentParser()
    add_spreading(parser)
    plain = parser.parse_args([])
    assert plain.workers >= 1
    assert plain.ray == ""
    assert parser.parse_args(["--workers", "3", "--ray", "auto"]).ray == "auto"
