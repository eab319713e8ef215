"""Arguments that more than one command takes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any

import yaml

from hierarchy_nodes.errors import ConfigError


def add_spreading(parser: argparse.ArgumentParser) -> None:
    """``--workers`` and ``--ray``: where episodes are run."""
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="episodes at a time, in processes of their own (default: one a core)",
    )
    parser.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="spread over this Ray cluster; what is written to a folder needs one they all share",
    )


def add_set(parser: argparse.ArgumentParser, what: str) -> None:
    """``--set KEY=VALUE``, to be read with :func:`key_values`."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=what)


def key_values(option: str, pairs: Iterable[str]) -> dict[str, Any]:
    """What several ``KEY=VALUE`` say; see :func:`key_value`."""
    return dict(key_value(option, pair) for pair in pairs)


def key_value(option: str, pair: str) -> tuple[str, Any]:
    """What ``KEY=VALUE`` says, the value read as YAML.

    Raises:
        ConfigError: It is of another form; names `option`, of which it is an argument.
    """
    key, equals, text = pair.partition("=")
    if not equals:
        raise ConfigError(f"{option} {pair}: expected KEY=VALUE.")
    try:
        return key, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{option} {pair}: the value cannot be read: {error}") from error
