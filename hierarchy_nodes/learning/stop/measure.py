"""How many stops are missed, how soon the others are told, and what else is taken for one.

Of the stops also voice by voice. With voices and texts that nothing was trained on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierarchy_nodes.learning.statistics import share
from hierarchy_nodes.learning.stop.data import AROUND, COMMAND, NEAR, STOP, TALK, Clips
from hierarchy_nodes.learning.stop.mixing import loud, noise
from hierarchy_nodes.speech.audio import RATE, Samples, Sound
from hierarchy_nodes.speech.spotter.spotter import StopSpotter

# The stream comes in pieces of so many samples, as from a microphone.
PIECE = RATE // 50
# A stop that is told so long before or after its end is heard; seconds.
_EARLY, _LATE = 0.3, 0.5
# Other noise of the same kind comes after so many samples.
_SURROUNDING = 20 * RATE
# Loudness of the words in the stream.
_LEVEL = 0.08


@dataclass(frozen=True)
class Said:
    """A stream, when a stop ends in it (seconds from its beginning), and who says it."""

    samples: Samples
    stops: tuple[float, ...]
    voices: tuple[str, ...]


def stops(clips: Clips, count: int, ratio: float | None, kind: str, seed: int) -> Said:
    """`count` stops, each alone or after other words, with `kind` of noise.

    Args:
        ratio: Of words to noise, decibels; None for no noise.
    """
    rng = np.random.default_rng(seed)
    said, voices, around = clips.of(STOP), clips.voices_of(STOP), clips.of(AROUND)
    line: list[Samples] = [np.zeros(RATE, np.float32)]
    ends: list[float] = []
    length = RATE
    for number in range(count):
        parts = [said[number % len(said)]]
        if number % 2:
            before = around[int(rng.integers(len(around)))]
            parts.insert(0, np.zeros(int(rng.uniform(0.02, 0.3) * RATE), np.float32))
            parts.insert(0, before)
        for part in parts:
            line.append(part * (_LEVEL / loud(part)) if part.any() else part)
            length += len(part)
        ends.append(length / RATE)
        pause = np.zeros(int(rng.uniform(1.0, 1.6) * RATE), np.float32)
        line.append(pause)
        length += len(pause)
    whole = _noisy(np.concatenate(line), ratio, kind, rng, clips)
    return Said(whole, tuple(ends), tuple(voices[i % len(said)] for i in range(count)))


def talk(clips: Clips, minutes: float, seed: int, kinds: Sequence[int]) -> Iterator[Samples]:
    """What is said of `kinds`, a minute at a time, in quiet and noisy surroundings."""
    rng = np.random.default_rng(seed)
    words = [clip for kind in kinds for clip in clips.of(kind)]
    for _ in range(int(np.ceil(minutes))):
        line: list[Samples] = []
        length = 0
        while length < 60 * RATE:
            clip = words[int(rng.integers(len(words)))]
            pause = np.zeros(int(rng.uniform(0.05, 0.8) * RATE), np.float32)
            line += [clip * (_LEVEL * rng.uniform(0.4, 2.0) / loud(clip)), pause]
            length += len(clip) + len(pause)
        whole = np.concatenate(line)[: 60 * RATE]
        yield _noisy(whole, float(rng.uniform(10, 40)), "pink", rng, clips)


def motors(clips: Clips, minutes: float, seed: int) -> Iterator[Samples]:
    """Nothing but motors, hum and hiss, a minute at a time."""
    rng = np.random.default_rng(seed)
    for number in range(int(np.ceil(minutes))):
        kind = ("motor", "hum", "white", "pink")[number % 4]
        yield noise(kind, 60 * RATE, rng) * np.float32(rng.uniform(0.005, 0.2))


def babble(clips: Clips, minutes: float, seed: int) -> Iterator[Samples]:
    """Nothing but several voices at once, none of them in front, a minute at a time."""
    rng = np.random.default_rng(seed)
    voices = clips.of(TALK)
    for _ in range(int(np.ceil(minutes))):
        loudness = np.float32(10 ** rng.uniform(-3.0, -1.0))
        yield noise("babble", 60 * RATE, rng, voices) * loudness


def heard(spotter: StopSpotter, said: Said) -> tuple[list[float | None], int]:
    """Seconds from the end of each stop until it was told, None if never; what was told else."""
    told = list(spotted(spotter, said.samples))
    delays: list[float | None] = []
    used = set()
    for end in said.stops:
        near = [(t - end, i) for i, t in enumerate(told) if -_EARLY <= t - end <= _LATE]
        delays.append(near[0][0] if near else None)
        used |= {i for _, i in near}
    return delays, len(told) - len(used)


def spotted(spotter: StopSpotter, samples: Samples) -> Iterator[float]:
    """When stops are told in a stream that comes piece by piece, seconds from its beginning."""
    spotter.reset()
    for begin in range(0, len(samples), PIECE):
        piece = Sound(begin / RATE, samples[begin : begin + PIECE])
        # A piece is there when its last sample was recorded.
        yield from (piece.end for _ in spotter.push(piece))


def measure(
    spotter: StopSpotter,
    clips: Clips,
    count: int,
    minutes: float,
    seed: int,
    told: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """All of it.

    Args:
        count: Stops in each surrounding.
        minutes: Of other talk, of words that only sound like "stop", of babble, and of motors.
        told: What is being done.
    """
    result: dict[str, Any] = {"count": count, "minutes": minutes, "seed": seed}
    by_voice: dict[str, list[bool]] = {}
    for name, ratio, kind in (
        ("clean", None, ""),
        ("20 dB", 20.0, "babble"),
        ("10 dB, motor", 10.0, "motor"),
        ("10 dB, babble", 10.0, "babble"),
        ("10 dB, pink", 10.0, "pink"),
    ):
        told(name)
        said = stops(clips, count, ratio, kind, seed)
        delays, false = heard(spotter, said)
        for voice, delay in zip(said.voices, delays, strict=True):
            by_voice.setdefault(voice, []).append(delay is not None)
        soon = [1e3 * delay for delay in delays if delay is not None]
        milliseconds = np.percentile(soon or [np.nan], [50, 95])
        result[name] = {
            "heard": share(len(soon), count),
            "false": false,
            "delay_ms": {"p50": round(milliseconds[0], 1), "p95": round(milliseconds[1], 1)},
        }
    result["voices"] = {v: share(sum(yes), len(yes)) for v, yes in sorted(by_voice.items())}
    for name, source in (
        ("talk", talk(clips, minutes, seed + 1, (COMMAND, TALK))),
        ("near words", talk(clips, minutes, seed + 1, (NEAR,))),
        ("babble", babble(clips, minutes, seed + 1)),
        ("motors", motors(clips, minutes, seed + 1)),
    ):
        told(name)
        false, used, seconds = 0, 0.0, 0.0
        for minute in source:
            # Without what the mixing takes.
            begin = time.process_time()
            false += len(list(spotted(spotter, minute)))
            used += time.process_time() - begin
            seconds += len(minute) / RATE
        load = used / seconds
        result[name] = {"minutes": round(seconds / 60, 1), "false": false, "core": round(load, 4)}
    return result


def _noisy(
    samples: Samples, ratio: float | None, kind: str, rng: np.random.Generator, clips: Clips
) -> Samples:
    if ratio is None:
        return samples
    voices = clips.of(TALK) if kind == "babble" else []
    lengths = np.diff([*range(0, len(samples), _SURROUNDING), len(samples)])
    other = np.concatenate([noise(kind, int(n), rng, voices) for n in lengths])
    mixed = samples + _LEVEL * 10 ** (-ratio / 20) * other
    return np.clip(mixed, -1.0, 1.0).astype(np.float32)
