"""Weights on disk: a safetensors file, and beside it a JSON file that says what they belong to."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.files import whole, write_json

FORMAT = 1
T = TypeVar("T")
Network = TypeVar("Network", bound=nn.Module)


class About(Protocol):
    """What weights belong to."""

    def to_json(self) -> dict[str, Any]:
        """As plain values, with `FORMAT` and the layout."""


def save_weights(path: Path, about: About, state: Mapping[str, Tensor]) -> None:
    """Write both files; each appears whole or not at all.

    Args:
        path: Of the safetensors file.
        about: What the weights belong to.
        state: Of the network.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with whole(path) as draft:
        draft.write_bytes(save(tensors))
    write_json(path.with_suffix(".json"), about.to_json())


def load_into(network: Network, path: Path) -> Network:
    """`network` with the weights in `path`, ready to infer.

    Raises:
        ConfigError: The file is missing or broken, or belongs to another network; names what is
            wrong and what would be right.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path}: no weights can be read: {error}.") from error
    expected = network.state_dict()
    for name in sorted(expected.keys() | state.keys()):
        if name not in state:
            raise ConfigError(f"{path}: '{name}' is missing.")
        if name not in expected:
            raise ConfigError(f"{path}: '{name}' belongs to no part of the network in the config.")
        if state[name].shape != expected[name].shape:
            raise ConfigError(
                f"{path}: '{name}' has shape {tuple(state[name].shape)}, the network in the "
                f"config needs {tuple(expected[name].shape)}."
            )
        if not torch.isfinite(state[name]).all():
            raise ConfigError(f"{path}: '{name}' contains NaN or infinity.")
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def load_about(
    path: Path, part: str, layout: Mapping[str, Any], needed: Collection[str]
) -> dict[str, Any]:
    """What weights belong to, as it was saved.

    Args:
        path: Of the JSON file.
        part: That ``hierarchy train`` makes such weights with.
        layout: What this version's network is built for; a file must have the same.
        needed: Further keys that it must have.

    Raises:
        ConfigError: The file is missing, broken or of another version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Train with 'hierarchy train {part}', "
            "or name another file in weights."
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected an object at the top.")
    keys = ("format", "layout", *needed)
    for key in keys:
        if key not in data:
            raise ConfigError(f"{path}: '{key}' is missing; needed are {', '.join(keys)}.")
    if data["format"] != FORMAT:
        raise ConfigError(f"{path}: format {data['format']!r} is not the known {FORMAT}.")
    if data["layout"] != layout:
        raise ConfigError(f"{path}: layout {data['layout']} is not this version's {layout}.")
    return data


def section(path: Path, data: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """The object ``data[name]`` as the dataclass `kind`; UnknownNameError for a key it lacks."""
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in data[name]:
        if key not in known:
            raise UnknownNameError(f"key of {name} in {path}", key, known)
    return kind(**data[name])


def vocabulary(path: Path, data: Mapping[str, Any], size: int) -> list[str]:
    """The known words; ConfigError if they are not the `size` that the network was built for."""
    words = list(data["vocabulary"])
    if len(words) != size:
        raise ConfigError(
            f"{path}: vocabulary has {len(words)} words, the network was built for {size}."
        )
    return words
