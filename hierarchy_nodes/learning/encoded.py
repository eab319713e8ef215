"""Sounds as Whisper's encoder hears them, kept part by part: what is interrupted goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
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
from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.encoder import WIDTH, Encoder
from hierarchy_nodes.speech.whisper import packaged

_PART = 500

# Sounds with what they are called, so many of them, of the part with this number.
Source = Callable[[int, int], Iterator[tuple[Samples, Any]]]


@dataclass(frozen=True)
class Encoded:
    """Of each sound its frames ``(T, WIDTH)`` float16, and what it is called."""

    frames: list[NDArray[np.float16]]
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.labels)


def encode(
    folder: Path, count: int, source: Source, how: dict[str, Any], progress: bool
) -> Encoded:
    """Have sounds made and heard, in all processes there are, and keep them in `folder`.

    Args:
        count: How many `source` is asked for, in all; it may give more.
        source: A module's own function, or a `partial` of one.
        how: All that the sounds depend on.

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
        for _ in spread(partial(_encode, folder, source), missing, os.cpu_count() or 1):
            bar.update()
    found = Encoded([], [])
    for index in range(parts):
        frames, labels = _load(_file(folder, index))
        found.frames.extend(frames)
        found.labels.extend(labels)
    return found


def _encode(folder: Path, source: Source, part: tuple[int, int]) -> None:
    index, count = part
    frames, labels = [], []
    for sound, label in source(count, index):
        frames.append(_encoder()(sound).astype(np.float16))
        labels.append(label)
    with whole(_file(folder, index)) as draft, draft.open("wb") as file:
        lengths = np.array([len(f) for f in frames])
        np.savez(file, frames=np.concatenate(frames), lengths=lengths, labels=np.array(labels))


def _load(path: Path) -> tuple[list[NDArray[np.float16]], list[Any]]:
    try:
        with np.load(path) as file:
            frames, lengths, labels = file["frames"], file["lengths"], file["labels"].tolist()
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ConfigError(f"{path}: no sounds: {error}. Remove it to have it made anew.") from error
    if frames.shape[1:] != (WIDTH,) or lengths.sum() != len(frames):
        raise ConfigError(f"{path}: frames are missing. Remove it to have it made anew.")
    return np.split(frames, lengths.cumsum()[:-1]), labels


def _file(folder: Path, index: int) -> Path:
    return folder / f"part-{index:04d}.npz"


@lru_cache(maxsize=1)
def _encoder() -> Encoder:
    return Encoder.load(packaged())
