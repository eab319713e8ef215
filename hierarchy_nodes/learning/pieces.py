"""Pieces of sound, or what was heard in them, kept part by part: what is interrupted goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole
from hierarchy_nodes.learning.made import same
from hierarchy_nodes.learning.parallel import spread

_PART = 500

# Pieces with what they are called, so many of them, of the part with this number.
Source = Callable[[int, int], Iterator[tuple[NDArray[Any], Any]]]


@dataclass(frozen=True)
class Pieces:
    """Each ``(N, ...)``, of any length N, and what it is called."""

    arrays: list[NDArray[Any]]
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.labels)


def keep(folder: Path, count: int, source: Source, how: dict[str, Any], progress: bool) -> Pieces:
    """Have pieces made, in all processes there are, and keep them in `folder`.

    Args:
        count: How many `source` is asked for, in all.
        source: A module's own function, or a `partial` of one.
        how: All that the pieces depend on.

    Raises:
        ConfigError: What `folder` holds was made otherwise, or is broken.
    """
    same(folder / "made.json", how)
    parts = -(-count // _PART)
    missing = [
        (i, min(_PART, count - i * _PART)) for i in range(parts) if not _file(folder, i).exists()
    ]
    bar = tqdm(total=parts, initial=parts - len(missing), unit="part", disable=not progress)
    with bar:
        for _ in spread(partial(_make, folder, source), missing, os.cpu_count() or 1):
            bar.update()
    found = Pieces([], [])
    for index in range(parts):
        arrays, labels = _load(_file(folder, index))
        found.arrays.extend(arrays)
        found.labels.extend(labels)
    return found


def _make(folder: Path, source: Source, part: tuple[int, int]) -> None:
    index, count = part
    arrays, labels = zip(*source(count, index), strict=True)
    with whole(_file(folder, index)) as draft, draft.open("wb") as file:
        lengths = np.array([len(a) for a in arrays])
        np.savez(file, pieces=np.concatenate(arrays), lengths=lengths, labels=np.array(labels))


def _load(path: Path) -> tuple[list[NDArray[Any]], list[Any]]:
    try:
        with np.load(path) as file:
            pieces, lengths, labels = file["pieces"], file["lengths"], file["labels"].tolist()
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ConfigError(f"{path}: no sounds: {error}. Remove it to have it made anew.") from error
    if lengths.sum() != len(pieces):
        raise ConfigError(f"{path}: pieces are missing. Remove it to have it made anew.")
    return np.split(pieces, lengths.cumsum()[:-1]), labels


def _file(folder: Path, index: int) -> Path:
    return folder / f"part-{index:04d}.npz"
