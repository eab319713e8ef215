"""What the confirming network learns from: the last moments before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.pieces import Pieces, keep
from hierarchy_nodes.learning.stop.again import SaidAgain
from hierarchy_nodes.learning.stop.data import KINDS, Clips, Mixer
from hierarchy_nodes.learning.stop.training import CLIPS, SPOTTER
from hierarchy_nodes.speech.audio import RATE, Samples
from hierarchy_nodes.speech.hearing import COLUMNS, hearing
from hierarchy_nodes.speech.spotter.features import HOP, WINDOW
from hierarchy_nodes.speech.spotter.options import SpotterOptions
from hierarchy_nodes.speech.spotter.spotter import LATEST, StopSpotter
from hierarchy_nodes.speech.weights import mark_of

# Samples to where in them the spotter suspects a stop, as `StopSpotter.suspicions`.
Suspicions = Callable[[Samples], NDArray[np.int64]]

# When it is asked, from the end of a stop on, seconds: after it, and in one of five before, where
# nobody knows yet. Between them there is no right answer.
_AFTER, _BEFORE = (0.0, 0.32), (-0.55, -0.15)
# How many end in or after a stop. Of the others, so many are taken for one by the spotter; the rest
# keep in mind what people say at all.
_STOPS, _SUSPECTED = 0.4, 0.7


@dataclass(frozen=True)
class Windows:
    """Windows by voices that are learned from, and by others that are kept apart.

    They are ``(T, COLUMNS)`` float16, frames of `Hearing`, called by whether there is a whole stop.
    """

    trained: Pieces
    apart: Pieces


def windows(
    data: Path,
    folder: Path,
    words: str,
    count: int,
    apart: float,
    vocoded: float,
    seed: int,
    progress: bool,
) -> Windows:
    """Windows out of mixtures of clips.

    Args:
        data: Where the clips are, and the spotter that was trained on them.
        folder: Where they are kept.
        words: ONNX file to hear through; empty: the one that comes with the package.
        count: How many, in all.
        apart: Share of them that is kept apart, and of the voices.
        vocoded: So many of the clips, by share, are said again by a vocoder.

    Raises:
        ConfigError: No clips, or too few voices; no spotter; no vocoder; or what the folder holds
            was drawn from others or in another way.
    """
    clips = SaidAgain(data / CLIPS, folder / "again", vocoded, seed)
    spoken = clips.load(progress)
    spotter = data / SPOTTER
    if not spotter.exists():
        raise ConfigError(
            f"{spotter}: no such spotter. It is trained by: hierarchy train stop --out {data}"
        )
    sides = divided(spoken, apart, seed)
    how = {
        "windows": count,
        "apart": apart,
        "seed": seed,
        "vocoded": vocoded,
        "clips": clips.known,
        "spotter": mark_of(spotter),
        "words": hearing(words).mark,
        "columns": COLUMNS,
    }
    kept = max(1, round(apart * count))
    found = []
    for name, voices, many in zip(("trained", "apart"), sides, (count - kept, kept), strict=True):
        source = partial(
            _heard, clips=clips, spotter=spotter, voices=voices, words=words, seed=seed
        )
        found.append(keep(folder / name, many, source, how, progress))
    return Windows(*found)


def divided(clips: Clips, apart: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The voices that are learned from, and that share of them that is kept apart.

    Raises:
        ConfigError: On one side or the other nobody says one of the kinds of clips.
    """
    names = np.random.default_rng(seed).permutation(np.unique(clips.voices))
    count = max(1, round(apart * len(names)))
    sides = (tuple(names[count:].tolist()), tuple(names[:count].tolist()))
    for voices in sides:
        said = clips.kinds[np.isin(clips.voices, voices)]
        lacking = set(range(len(KINDS))) - set(said.tolist())
        if lacking:
            raise ConfigError(
                f"of {len(names)} voices {len(voices)} say nothing of the kinds "
                f"{', '.join(KINDS[kind] for kind in sorted(lacking))}. Have more clips spoken "
                "(hierarchy train stop), or choose another held_out or seed."
            )
    return sides


def draw(mixer: Mixer, suspicions: Suspicions, rng: np.random.Generator) -> tuple[Samples, bool]:
    """``(WINDOW,)`` samples, and whether a whole stop is in them."""
    stop = rng.random() < _STOPS
    suspected = not stop and rng.random() < _SUSPECTED
    while True:
        sound, end = mixer.sound(rng, stop)
        if end is not None:
            when = _BEFORE if rng.random() < 0.2 else _AFTER
            last = end + round(rng.uniform(*when) * RATE)
        elif suspected:
            ends = suspicions(sound)
            if not len(ends):
                continue
            last = min(int(rng.choice(ends)) + int(rng.integers(LATEST)) * HOP, len(sound))
        else:
            last = int(rng.integers(WINDOW // 2, len(sound)))
        if WINDOW // 4 < last <= len(sound):
            window = np.pad(sound[:last], (WINDOW, 0))[-WINDOW:]
            return window, end is not None and last >= end


def _heard(
    count: int,
    part: int,
    clips: SaidAgain,
    spotter: Path,
    voices: tuple[str, ...],
    words: str,
    seed: int,
) -> Iterator[tuple[NDArray[np.float16], bool]]:
    rng = np.random.default_rng([seed, part, len(voices)])
    mixer, suspicions = _tools(clips, spotter, voices)
    for _ in range(count):
        window, stop = draw(mixer, suspicions, rng)
        yield hearing(words).frames(window).astype(np.float16), stop


@lru_cache(maxsize=1)
def _tools(clips: SaidAgain, spotter: Path, voices: tuple[str, ...]) -> tuple[Mixer, Suspicions]:
    first = StopSpotter(SpotterOptions(str(spotter), confirm_stop=False))
    return Mixer(clips.load().spoken_by(voices)), first.suspicions
