"""Networks in ONNX files, with what is to be known of them in a JSON file beside each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnxruntime

from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError


def packaged_weights(name: str) -> Path:
    """``name.onnx`` that comes with the package."""
    return share_folder() / "config" / "weights" / f"{name}.onnx"


def load(path: str, name: str, keys: tuple[str, ...]) -> tuple[onnxruntime.InferenceSession, Any]:
    """The network, on one thread, and its facts.

    Args:
        path: ONNX file; empty: the one that comes with the package.
        name: Of the network, for messages and the packaged file.
        keys: Facts that there must be.

    Raises:
        ConfigError: No such file, no network in it, or facts are missing.
    """
    file = Path(path).expanduser() if path else packaged_weights(name)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    # A thread that waits busily would take a core from others.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        missing = [key for key in keys if key not in facts]
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"network '{name}': {file} cannot be used: {error}") from error
    if missing:
        raise ConfigError(
            f"network '{name}': {file} was made by another version: there is no "
            f"{', '.join(missing)} beside it; make it anew: hierarchy train {name}"
        )
    try:
        session = onnxruntime.InferenceSession(
            str(file), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has exceptions of its own for every case
        raise ConfigError(f"network '{name}': {file} is no network: {error}") from error
    return session, facts
