"""Choose drivers and backends by a string from config.

A name is either registered here by its short name, or given as ``my_package.module:Class``, or
announced by an installed package through an entry point in the group ``hierarchy.<kind>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from hierarchy_nodes.errors import ConfigError, UnknownNameError


class Registry:
    """Lazily imported classes of one kind, e.g. ``arm driver``.

    Args:
        kind: What the names stand for, used in messages.
        base: ``module:Class`` of the base class that every entry must derive from.
        builtin: Short name to ``module:Class``.
        group: Entry point group in which other packages announce theirs.
    """

    def __init__(self, kind: str, base: str, builtin: Mapping[str, str], group: str) -> None:
        self.kind = kind
        self.group = group
        self._base = base
        self._builtin = dict(builtin)

    def targets(self) -> dict[str, str]:
        """All short names with their ``module:Class``."""
        found = {point.name: point.value for point in entry_points(group=self.group)}
        return found | self._builtin

    def get(self, name: str) -> type[Any]:
        """The class that `name` stands for.

        Raises:
            UnknownNameError: No such short name.
            ConfigError: ``module:Class`` cannot be imported or is of another kind.
        """
        target = name if ":" in name else self.targets().get(name)
        if target is None:
            raise UnknownNameError(self.kind, name, self.targets())
        found = self._load(target)
        if not issubclass(found, self._load(self._base)):
            raise ConfigError(f"{self.kind} '{name}': {target} does not derive from {self._base}.")
        return found

    def _load(self, target: str) -> type[Any]:
        module, _, attribute = target.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"{self.kind} '{target}' cannot be loaded: {error}.") from error
        if not isinstance(found, type):
            raise ConfigError(f"{self.kind} '{target}' is not a class.")
        return found
