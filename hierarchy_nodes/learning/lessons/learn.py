"""From recordings to a new version of the planner's weights, or to the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.lessons import gate
from hierarchy_nodes.learning.lessons.store import LEARNED, gather, store
from hierarchy_nodes.learning.lessons.tape import recordings_in
from hierarchy_nodes.learning.lessons.training import LearningOptions, LessonTrainer
from hierarchy_nodes.learning.planner.images import META, collect_images
from hierarchy_nodes.learning.trainer import CHECKPOINT, processes
from hierarchy_nodes.planner.compact.versions import REPORT, Versions
from hierarchy_nodes.planner.compact.weights import Chosen, chosen, load_weights

LESSONS, BASE = "lessons", "base"
# Base images that are made where none are named: their first seed, which no training uses, how
# many, and the share of them that is for judging alone.
BASE_SEED, BASE_IMAGES, BASE_HELD_OUT = 850_000, 600, 0.35


@dataclass(frozen=True)
class Learned:
    """How a run ended.

    Attributes:
        version: Its number. folder: Where all about it is.
        refused: Why it did not become the current version; "" if it did.
        report: As written to its folder.
    """

    version: int
    folder: Path
    refused: str
    report: dict[str, Any]


def learn(
    source: Path,
    versions: Versions,
    options: LearningOptions,
    *,
    base: Path | None = None,
    weights: str = "",
    resume: bool = False,
    progress: bool = True,
) -> Learned:
    """Learn from the recordings in `source`; what is accepted becomes the current version.

    Args:
        source: Folder with recordings, however deep.
        versions: Where the new one goes.
        options: How.
        base: Images as they were learned from at first; None makes some beside the versions.
        weights: File to begin with; "" for those that the planner uses now.
        resume: Go on with the newest run that was interrupted.
        progress: Show bars.

    Raises:
        RecordingError: There are no recordings.
        ConfigError: They hold no lesson; or data, weights or checkpoint do not fit.
    """
    if options.start:
        raise ConfigError("start: name the weights to begin with by --weights instead.")
    start = chosen(weights, versions)
    _, config = load_weights(start.path)
    found = gather(recordings_in(source), progress, config.vocabulary)
    if base is None:
        base, options = _own_base(versions, options, progress)
    number = versions.unfinished() if resume else versions.new()
    if number is None:
        raise ConfigError(f"{versions.folder}: no run was interrupted; leave out --resume.")
    folder = versions.path(number)
    lessons = store(found, folder / LESSONS, options.lessons_held_out, options.seed)
    with processes(options.device) as (device, _, world):
        if world > 1:
            raise ConfigError("learning runs in one process; start it without torchrun.")
        facts = {"base": str(base), "recordings": str(source), "parent": start.version}
        trainer = LessonTrainer(base, folder / LESSONS, start.path, folder, options, device, facts)
        trainer.start(resume, progress)
        judged = gate.judged(trainer)
    ancestors = [versions.report(n)["judged"] for n in versions.lineage(start.version)]
    refused = gate.refusal(judged, options.worse, ancestors)
    report = _report(start, lessons, judged, refused, options)
    write_json(folder / REPORT, report)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    if not refused:
        versions.choose(number)
    return Learned(number, folder, refused, report)


def summary(learned: Learned) -> list[str]:
    """What a person should know, line by line."""
    lessons, judged = learned.report["lessons"], learned.report["judged"]
    images = sum(lessons["images"].values())
    lines = [
        f"{lessons['recordings']} recordings, {lessons['corrections']} corrections: "
        f"{lessons['used']} taught something, on {images} images with "
        f"{sum(lessons['instructions'].values())} instructions"
    ]
    lines += [f"  left out: {count} x {why}" for why, count in lessons["left_out"].items()]
    for name, figures in judged.items():
        for part, meaning in gate.MEANING.items():
            lines.append(_line(f"{name.replace('_', ' ')}, {meaning}", figures[part]))
    if learned.refused:
        lines.append(f"version {learned.version} is refused: {learned.refused}")
        lines.append(f"It is kept in {learned.folder}; the planner goes on with what it had.")
    else:
        lines.append(f"version {learned.version} is current: {learned.folder}")
    return lines


def _line(name: str, figure: dict[str, Any]) -> str:
    low, high = figure["interval"] or (0.0, 0.0)
    return (
        f"{name}: {figure['before']['successes']} of {figure['n']} before, "
        f"{figure['after']['successes']} after ({100 * figure['difference']:+.1f} points, 95% "
        f"interval {100 * low:+.1f} to {100 * high:+.1f})"
    )


def _own_base(
    versions: Versions, options: LearningOptions, progress: bool
) -> tuple[Path, LearningOptions]:
    """Images of the simulated cell, made once; many of them are held out, for the judgement."""
    folder = versions.folder / BASE
    there = (folder / META).exists()
    collect_images(BASE_IMAGES, BASE_SEED, folder, resume=there, progress=progress)
    return folder, replace(options, held_out=BASE_HELD_OUT)


def _report(
    start: Chosen,
    lessons: dict[str, Any],
    judged: dict[str, Any],
    refused: str,
    options: LearningOptions,
) -> dict[str, Any]:
    return {
        "accepted": not refused,
        "refused": refused,
        "summary": _in_short(start, lessons, judged),
        "parent": start.version,
        "start": str(start.path),
        "steps": options.steps,
        "lessons": {name: value for name, value in lessons.items() if name != "each"},
        "judged": judged,
    }


def _in_short(start: Chosen, lessons: dict[str, Any], judged: dict[str, Any]) -> str:
    def change(name: str) -> str:
        figure = judged[name][gate.RIGHT]
        before, after = figure["before"]["successes"], figure["after"]["successes"]
        return f"{before}/{figure['n']} -> {after}/{figure['n']}"

    return (
        f"{lessons['used']} corrections, from version {start.version}; lessons "
        f"{change(f'lessons_{LEARNED}')}, base {change('base')}"
    )
