"""Sounds as `Hearing` has them, kept part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.learning.pieces import Pieces, keep
from hierarchy_nodes.speech.audio import Samples
from hierarchy_nodes.speech.hearing import hearing

# Sounds with what they are called, so many of them, of the part with this number.
Sounds = Callable[[int, int], Iterator[tuple[Samples, Any]]]


def encode(
    folder: Path, count: int, source: Sounds, words: str, how: dict[str, Any], progress: bool
) -> Pieces:
    """Have sounds made and heard; each becomes ``(T, WIDTH)`` float16. See `keep`.

    Args:
        words: ONNX file to hear through; empty: the one that comes with the package.
    """
    how = how | {"words": hearing(words).mark}
    return keep(folder, count, partial(_encoded, source=source, words=words), how, progress)


def _encoded(
    count: int, part: int, source: Sounds, words: str
) -> Iterator[tuple[NDArray[np.float16], Any]]:
    for sound, label in source(count, part):
        yield hearing(words).frames(sound).astype(np.float16), label
