"""Networks in ONNX files, with what is to be known of them in a JSON file beside each."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError


def file_of(path: str, name: str) -> Path:
    """The ONNX file `path`; empty: the one of this name that comes with the package."""
    if path:
        return Path(path).expanduser()
    return share_folder() / "config" / "weights" / f"{name}.onnx"


def mark_of(file: Path) -> str:
    """Tells files apart: the CRC-32 of `file`."""
    return f"{zlib.crc32(file.read_bytes()):08x}"


def facts_of(file: Path, name: str, facts: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """What is to be known of the network in `file`.

    Args:
        name: Of the network, for messages.
        facts: Those that there must be, and what makes a value of each out of JSON.

    Raises:
        ConfigError: Nothing stands beside it, or facts are missing or make no sense.
    """
    try:
        found = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        missing = [key for key in facts if key not in found]
        known = {key: kind(found[key]) for key, kind in facts.items() if key in found}
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"network '{name}': {file} cannot be used: {error}") from error
    if missing:
        raise ConfigError(
            f"network '{name}': {file} was made by another version: there is no "
            f"{', '.join(missing)} beside it; make it anew: hierarchy train {name}"
        )
    return known


def load(
    path: str, name: str, facts: Mapping[str, Callable[[Any], Any]]
) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """The network, on one thread, and its facts, as :func:`facts_of` reads them.

    Args:
        path: ONNX file; empty: the one that comes with the package.
        name: Of the network, for messages and the packaged file.

    Raises:
        ConfigError: No such file, no network in it, or facts are missing or make no sense.
    """
    file = file_of(path, name)
    known = facts_of(file, name, facts)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    # A thread that waits busily would take a core from others.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(file), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has exceptions of its own for every case
        raise ConfigError(f"network '{name}': {file} is no network: {error}") from error
    return session, known
