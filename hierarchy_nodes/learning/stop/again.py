"""Clips, and some of them once more through a vocoder: other voices for little work."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.learning.pieces import keep
from hierarchy_nodes.learning.stop.data import Clips, load
from hierarchy_nodes.learning.stop.vocoder import vocoded


@dataclass(frozen=True)
class SaidAgain:
    """Clips, and those that are said again, which count as the same voices'.

    Attributes:
        clips: File of the clips.
        folder: Where those that are said again are kept.
        share: So many of them, of the number of clips.
    """

    clips: Path
    folder: Path
    share: float
    seed: int

    def load(self, progress: bool = False) -> Clips:
        """All of them, made unless that is done already.

        Raises:
            ConfigError: No clips; no vocoder; or what is kept was made from others or otherwise.
        """
        once = _loaded(self.clips)
        count = round(self.share * len(once.starts))
        how = {"clips": self.known, "share": self.share, "seed": self.seed}
        more = keep(self.folder, count, partial(_again, self.clips, self.seed), how, progress)
        if not count:
            return once
        which = np.array(more.labels)
        pieces = [*np.split(once.samples, once.starts[1:]), *more.arrays]
        kinds, voices = (np.concatenate([a, a[which]]) for a in (once.kinds, once.voices))
        return Clips.joined(pieces, kinds, voices)

    @property
    def known(self) -> str:
        """Which clips these are."""
        once = _loaded(self.clips)
        return f"{len(once.starts)} ({zlib.crc32(once.samples.data):08x})"


def _again(path: Path, seed: int, count: int, part: int) -> Iterator[tuple[NDArray[np.int16], int]]:
    """Any clips, each with its number."""
    clips = _loaded(path)
    pieces = np.split(clips.samples, clips.starts[1:])
    rng = np.random.default_rng([seed, part])
    for _ in range(count):
        number = int(rng.integers(len(pieces)))
        said = vocoded((pieces[number] / 32768).astype(np.float32), rng)
        yield np.clip(said * 32768, -32768, 32767).astype(np.int16), number


@lru_cache(maxsize=1)
def _loaded(path: Path) -> Clips:
    return load(path)
