"""Spoken sentences as the encoder hears them, in rooms and noise, with the words that they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole
from hierarchy_nodes.learning.stop import corpus
from hierarchy_nodes.learning.stop.mixing import NOISES, loud, noise, room
from hierarchy_nodes.learning.stop.voices import trained
from hierarchy_nodes.learning.words import sayings
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import RATE, Samples
from hierarchy_nodes.speech.commands.encoder import WIDTH, Encoder
from hierarchy_nodes.speech.whisper import packaged

# So many sentences are kept in one file: what is interrupted goes on with the next.
_PART = 500
# Longer sentences are left out: seconds.
_LONGEST = 7.0


@dataclass(frozen=True)
class SpokenOptions:
    """How much is spoken."""

    sentences: int = param(16_000, "How many are spoken", low=10, high=10_000_000)
    loudest_noise: float = param(
        6.0, "Least ratio of words to noise", unit="dB", low=-10.0, high=40.0
    )


@dataclass(frozen=True)
class Spoken:
    """What was said.

    Attributes:
        frames: Of the encoder, ``(T, WIDTH)`` float16, one sentence after the other.
        starts: ``(N + 1,)`` where each begins, and the end.
        words: Of each, numbers in `sayings.vocabulary`, from 1.
    """

    frames: NDArray[np.float16]
    starts: NDArray[np.int64]
    words: list[NDArray[np.int16]]

    def __len__(self) -> int:
        return len(self.words)

    def of(self, index: int) -> NDArray[np.float16]:
        """The frames of one sentence."""
        return self.frames[self.starts[index] : self.starts[index + 1]]


def speak(folder: Path, options: SpokenOptions, seed: int, progress: bool) -> Spoken:
    """Have sentences spoken and heard, in all processes there are, and keep them in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    count = -(-options.sentences // _PART)
    missing = [i for i in range(count) if not _file(folder, i).exists()]
    jobs = [(str(folder), i, min(_PART, options.sentences - i * _PART), options, seed)
            for i in missing]  # fmt: skip
    if jobs:
        bar = tqdm(total=count, initial=count - len(jobs), unit="part", disable=not progress)
        with get_context("spawn").Pool(min(len(jobs), os.cpu_count() or 1)) as pool, bar:
            for _ in pool.imap_unordered(_part, jobs):
                bar.update()
    parts = [_load(_file(folder, i)) for i in range(count)]
    frames = np.concatenate([frames for frames, _, _ in parts])
    lengths = np.concatenate([lengths for _, lengths, _ in parts])
    return Spoken(
        frames,
        np.concatenate([[0], lengths.cumsum()]).astype(np.int64),
        [words for _, _, all_words in parts for words in all_words],
    )


def numbered(text: str) -> NDArray[np.int16]:
    """The numbers of the words of `text`, from 1; those of other talk have one number."""
    numbers = _numbers()
    other = numbers[sayings.OTHER]
    return np.array([numbers.get(w, other) for w in sayings.words_of(text)], np.int16)


def heard(words: Samples, rng: np.random.Generator, least: float, babble: list[Samples]) -> Samples:
    """`words` somewhere in a piece of sound, in a room, with noise, as loud as a microphone has it.

    Args:
        least: Ratio of words to noise, decibels.
        babble: Other voices, that noise may be made of.
    """
    before, after = (int(t * RATE) for t in (rng.uniform(0.05, 0.4), rng.uniform(0.1, 0.5)))
    line = np.pad(words, (before, after))
    if rng.random() < 0.4:
        line = room(line, rng)
    level = loud(line)
    if rng.random() < 0.75:
        kind = NOISES[int(rng.integers(len(NOISES)))]
        # Voices behind words are told from them by their loudness alone.
        ratio = rng.uniform(least + (6.0 if kind == "babble" else 0.0), 30.0)
        line = line + level * 10 ** (-ratio / 20) * noise(kind, len(line), rng, babble)
    gain = 10 ** (rng.uniform(-34.0, -8.0) / 20) / level
    return np.clip(line * gain, -1.0, 1.0).astype(np.float32)


def _part(job: tuple[str, int, int, SpokenOptions, int]) -> None:
    folder, index, count, options, seed = job
    frames, lengths, texts = [], [], []
    for text, sound in _sentences(count, options, seed + 1_000_003 * (index + 1)):
        found = _encoder()(sound)
        frames.append(found.astype(np.float16))
        lengths.append(len(found))
        texts.append(text)
    with whole(_file(Path(folder), index)) as draft, draft.open("wb") as file:
        np.savez(
            file,
            frames=np.concatenate(frames),
            lengths=np.array(lengths),
            texts=np.array(texts),
        )


def _sentences(count: int, options: SpokenOptions, seed: int) -> Iterator[tuple[str, Samples]]:
    rng = np.random.default_rng(seed)
    speakers = trained()
    texts = corpus.part(corpus.talk(), "trained")
    babble = [speakers[i].speak(texts[i], rng) for i in range(6)]
    done = 0
    while done < count:
        text = sayings.say(rng)
        if not text:
            continue
        samples = speakers[int(rng.integers(len(speakers)))].speak(text, rng)
        if not 0.1 * RATE < len(samples) < _LONGEST * RATE:
            continue
        done += 1
        yield text, heard(samples, rng, options.loudest_noise, babble)


def _load(path: Path) -> tuple[NDArray[np.float16], NDArray[np.int64], list[NDArray[np.int16]]]:
    try:
        with np.load(path) as file:
            frames, lengths = file["frames"], file["lengths"]
            words = [numbered(text) for text in file["texts"].tolist()]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ConfigError(
            f"{path}: no sentences: {error}. Remove it to have them spoken anew."
        ) from error
    if frames.shape[1:] != (WIDTH,) or lengths.sum() != len(frames):
        raise ConfigError(f"{path}: frames are missing. Remove it to have them spoken anew.")
    return frames, lengths, words


def _file(folder: Path, index: int) -> Path:
    return folder / f"sentences-{index:04d}.npz"


@lru_cache(maxsize=1)
def _encoder() -> Encoder:
    return Encoder.load(packaged())


@lru_cache(maxsize=1)
def _numbers() -> dict[str, int]:
    return {word: i + 1 for i, word in enumerate(sayings.vocabulary())}
