"""Configuration as frozen dataclasses: described, bounded, and strict about unknown keys.

Fields are declared with :func:`param`; the same dataclass is filled from a YAML mapping
(:func:`from_mapping`, ROS-free) or from ROS parameters (`HierarchyNode` in node_base).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.registry import Registry

T = TypeVar("T")


def param(
    default: Any,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass field with a description, a unit and a range or a list of choices."""
    metadata = {
        "description": description,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": tuple(choices),
    }
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def plugin(default: str, registry: str, description: str) -> Any:
    """A field that names an entry of a registry, given as ``module:ATTRIBUTE``.

    The entry's own options stand beside the field, under the entry's short name (or under
    ``options`` where the entry is given as ``module:Class``).
    """
    return dataclasses.field(
        default=default, metadata={"description": description, "registry": registry}
    )


def check(owner: str, field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """`value` as the field's type, or a ConfigError that names key, value and what is allowed."""
    name = f"{owner}.{field.name}"
    kind_name = getattr(kind, "__name__", str(kind))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    is_list = getattr(kind, "__origin__", None) is list
    wrong = not isinstance(value, list | tuple) if is_list else not isinstance(value, kind)
    if wrong or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name}: expected {kind_name}, got {value!r}.")
    if is_list:
        (item,) = kind.__args__
        value = [float(v) if item is float and isinstance(v, int) else v for v in value]
        if not all(isinstance(v, item) for v in value):
            raise ConfigError(f"{name}: expected a list of {item.__name__}, got {value!r}.")
    meta = field.metadata
    for number in value if is_list else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise ConfigError(f"{name}: {number} is not finite.")
        low, high = meta.get("low"), meta.get("high")
        if isinstance(number, int | float) and (
            (low is not None and number < low) or (high is not None and number > high)
        ):
            unit = f" {meta['unit']}" if meta.get("unit") else ""
            raise ConfigError(f"{name}: {number} is outside [{low}, {high}]{unit}.")
    if meta.get("choices") and value not in meta["choices"]:
        raise UnknownNameError(f"value of {name}", str(value), meta["choices"])
    return value


def from_mapping(cls: type[T], values: Mapping[str, Any], owner: str = "") -> T:
    """Fill the dataclass `cls` from `values`.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type or is out of range.
    """
    return cls(**_checked(cls, values, owner or cls.__name__))


def _checked(cls: type[Any], values: Mapping[str, Any], owner: str) -> dict[str, Any]:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise UnknownNameError(f"key of {owner}", str(key), fields)
    return {k: check(owner, fields[k], hints[k], v) for k, v in values.items()}


def with_values(options: T, values: Mapping[str, Any]) -> T:
    """`options` with some values changed together; ``part.key`` reaches into a part.

    Raises:
        ConfigError: As :func:`from_mapping`.
    """
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    nested = {k: v for k, v in vars(options).items() if dataclasses.is_dataclass(v)}
    for name, value in values.items():
        part, dot, key = name.partition(".")
        if not dot:
            own[name] = value
        elif part in nested:
            inner.setdefault(part, {})[key] = value
        else:
            raise UnknownNameError(f"part of {type(options).__name__}", part, nested)
    changed = _checked(type(options), own, type(options).__name__)
    changed |= {part: with_values(nested[part], found) for part, found in inner.items()}
    return dataclasses.replace(options, **changed)  # type: ignore[type-var]


def plugins(cls: type[Any]) -> Iterator[tuple[str, Registry]]:
    """The fields of `cls` that name a plugin, with their registries."""
    for field in dataclasses.fields(cls):
        if "registry" in field.metadata:
            module, _, attribute = field.metadata["registry"].partition(":")
            yield field.name, getattr(import_module(module), attribute)


def load(cls: type[T], values: Mapping[str, Any], owner: str = "") -> tuple[T, dict[str, Any]]:
    """A node's configuration, and for each plugin field the filled Options of its class.

    Options of plugins that are not chosen are allowed to stand in `values` and are ignored, so
    that one file can hold the settings of several drivers.

    Raises:
        ConfigError: As :func:`from_mapping`; UnknownNameError also for the plugin's name.
    """
    owner = owner or cls.__name__
    own = dict(values)
    sections: dict[str, Any] = {}
    for _, registry in plugins(cls):
        for name in (*registry.targets(), "options"):
            if isinstance(own.get(name), Mapping):
                sections[name] = own.pop(name)
    config = from_mapping(cls, own, owner)
    options = {}
    for field, registry in plugins(cls):
        name = getattr(config, field)
        found = registry.get(name)
        section = "options" if ":" in name else name
        options[field] = from_mapping(
            found.Options, sections.get(section, {}), f"{owner}.{section}"
        )
    return config, options


def make(registry: Registry, name: str, values: Mapping[str, Any] | None = None) -> Any:
    """An instance of the class that `name` stands for, its Options filled from `values`.

    Raises:
        ConfigError: As :func:`from_mapping`; UnknownNameError also for `name`.
    """
    found = registry.get(name)
    return found(from_mapping(found.Options, values or {}, f"{registry.kind} {name}"))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; a ConfigError names file, line and problem otherwise."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, got {type(data).__name__}.")
    return data
