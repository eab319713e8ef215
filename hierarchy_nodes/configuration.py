"""Checks configuration files against the nodes' and drivers' own declarations."""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import yaml

import hierarchy_nodes
from hardware.base import ARMS, CAMERAS, MICROPHONES
from hierarchy_nodes import parameters
from hierarchy_nodes.errors import ConfigError, UnknownNameError

PARAMETERS_KEY = "ros__parameters"
DEVICE_KINDS = {"arm": ARMS, "camera": CAMERAS, "microphone": MICROPHONES}
# Every node takes these from the ROS client library.
_ROS_PREFIXES = ("use_sim_time", "qos_overrides", "start_type_description_service")

Keys = tuple[str, ...]


@dataclass
class Checked:
    """What was looked at in a file, and each problem as ``file:line: keys: what is wrong``."""

    path: Path
    lines: dict[Keys, int]
    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, keys: Keys, problem: object) -> None:
        """Note a problem with the entry at `keys`."""
        place = keys
        while place and place not in self.lines:
            # "mock.watchdog: 1" in one key, or a key that is not there.
            dotted = (*place[:-2], ".".join(place[-2:]))
            place = dotted if dotted in self.lines else place[:-1]
        line = self.lines.get(place, 1)
        # With a mark of its own, since a key may have dots.
        name = " > ".join(keys)
        self.problems.append(f"{self.path}:{line}: {name}: {problem}")


def check_file(path: str | Path) -> Checked:
    """Everything that is wrong with a parameter or device file.

    Raises:
        ConfigError: It cannot be read or is no YAML mapping; names file and line.
    """
    path = Path(path)
    data = parameters.read_yaml(path)
    result = Checked(path, {})
    root = yaml.compose(path.read_text(encoding="utf-8"))
    for keys, line, again in _positions(root):
        if again:
            result.lines[keys] = line
            result.add(keys, f"given again; before in line {again}")
        result.lines[keys] = line
    if not data:
        return result
    if "driver" in data or ("kind" in data and PARAMETERS_KEY not in str(data)):
        _check_device(data, result)
    else:
        _check_parameters(data, (), result)
        if not result.checked and not result.problems:
            result.add((), f"neither '{PARAMETERS_KEY}' of a node nor a 'driver' in it")
    return result


def node_configs() -> dict[str, type[Any]]:
    """Each node's name with its configuration class."""
    found = {}
    for package in pkgutil.iter_modules(hierarchy_nodes.__path__):
        folder = Path(hierarchy_nodes.__path__[0]) / package.name
        if package.ispkg and (folder / "config.py").exists():
            module = import_module(f"hierarchy_nodes.{package.name}.config")
            config = getattr(module, f"{package.name.title().replace('_', '')}Config", None)
            if config is not None:
                found[package.name] = config
    return found


def _check_parameters(data: Mapping[str, Any], keys: Keys, result: Checked) -> None:
    """Walk down namespaces to the nodes."""
    for key, value in data.items():
        here = (*keys, str(key))
        if key == PARAMETERS_KEY:
            continue
        if not isinstance(value, Mapping):
            result.add(here, f"expected a node or namespace with '{PARAMETERS_KEY}' in it")
            continue
        if PARAMETERS_KEY in value:
            _check_node(str(key), value[PARAMETERS_KEY], (*here, PARAMETERS_KEY), result)
        others = {k: v for k, v in value.items() if k != PARAMETERS_KEY}
        if others or PARAMETERS_KEY not in value:
            _check_parameters(others, here, result)


def _check_node(full_name: str, values: Any, keys: Keys, result: Checked) -> None:
    name = full_name.rsplit("/", 1)[-1]
    configs = node_configs()
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        result.add(keys, f"expected a mapping, got {values!r}")
        return
    values = {k: v for k, v in values.items() if not str(k).startswith(_ROS_PREFIXES)}
    if name in ("*", "**"):
        result.checked.append("all nodes")
        # A node refuses keys that it does not know, so these must be known to every one.
        for node, config in configs.items():
            _check_values(config, values, f"{node} (by '{full_name}')", keys, result)
    elif name not in configs:
        result.add(keys[:-1], UnknownNameError("node", name, configs))
    else:
        result.checked.append(full_name.strip("/") or name)
        _check_values(configs[name], values, name, keys, result)


def _check_values(
    config: type[Any], values: Mapping[str, Any], owner: str, keys: Keys, result: Checked
) -> None:
    """Each key by itself, so that one problem does not hide another."""
    registries = dict(parameters.plugins(config))
    own: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        first, _, rest = str(key).partition(".")
        is_section = any(first in (*r.targets(), "options") for r in registries.values())
        if is_section and rest:
            sections.setdefault(first, {})[rest] = value
        elif is_section and isinstance(value, Mapping):
            sections.setdefault(first, {}).update(value)
        else:
            own[str(key)] = value
    good = _check_fields(config, own, owner, keys, result)
    for name, registry in registries.items():
        chosen = good.get(
            name, next(f for f in dataclasses.fields(config) if f.name == name).default
        )
        for section, options in sections.items():
            target = chosen if section == "options" else section
            if section != "options" and section not in registry.targets():
                continue
            if section == "options" and ":" not in str(chosen):
                why = f"'options' are for {name} given as module:Class; here it is '{chosen}'"
                result.add((*keys, section), why)
                continue
            try:
                found = registry.get(target)
            except ConfigError as error:
                result.add((*keys, section), error)
                continue
            place = (*keys, section)
            _check_fields(found.Options, options, f"{owner}.{section}", place, result)
        try:
            registry.get(str(chosen))
        except ConfigError as error:
            result.add((*keys, name), error)


def _check_fields(
    config: type[Any], values: Mapping[str, Any], owner: str, keys: Keys, result: Checked
) -> dict[str, Any]:
    """The values that are right; the others are noted."""
    fields = {f.name: f for f in dataclasses.fields(config)}
    hints = get_type_hints(config)
    good = {}
    for key, value in values.items():
        place = (*keys, str(key))
        if key not in fields:
            result.add(place, UnknownNameError(f"key of {owner}", str(key), fields))
            continue
        try:
            good[key] = parameters.check(owner, fields[key], hints[key], value)
        except ConfigError as error:
            result.add(place, error)
    if len(good) == len(values):
        try:
            # What a class checks beyond its single fields.
            parameters.from_mapping(config, good, owner)
        except ConfigError as error:
            result.add(keys, error)
    return good


def _check_device(data: Mapping[str, Any], result: Checked) -> None:
    """A file with ``kind``, ``driver`` and ``options``."""
    for key in data:
        if key not in ("kind", "driver", "options"):
            known = ("kind", "driver", "options")
            result.add((str(key),), UnknownNameError("key of a device file", str(key), known))
    kind = str(data.get("kind", ""))
    if kind not in DEVICE_KINDS:
        result.add(("kind",), UnknownNameError("kind of device", kind, DEVICE_KINDS))
        return
    try:
        driver = DEVICE_KINDS[kind].get(str(data.get("driver", "")))
    except ConfigError as error:
        result.add(("driver",), error)
        return
    options = data.get("options") or {}
    if not isinstance(options, Mapping):
        result.add(("options",), f"expected a mapping, got {options!r}")
        return
    result.checked.append(f"{kind} driver {data['driver']}")
    _check_fields(driver.Options, options, f"{data['driver']} options", ("options",), result)


def _positions(node: yaml.Node | None, keys: Keys = ()) -> Iterator[tuple[Keys, int, int]]:
    """Each key's line, and the line of the same key before it (0 if there is none)."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        line = key.start_mark.line + 1
        yield (*keys, name), line, seen.get(name, 0)
        seen[name] = line
        yield from _positions(value, (*keys, name))
