"""Collecting demonstrations: which episodes, one of them, and all of them over processes."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.tasks import AXES, FAMILIES, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.controller.base import CONTROLLERS, ControllerBackend
from hierarchy_nodes.controller.diffusion.features import CHANNELS
from hierarchy_nodes.errors import ConfigError, HierarchyError, UnknownNameError
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning import layout
from hierarchy_nodes.learning.assembly import assemble
from hierarchy_nodes.learning.demonstrator import Demonstrator
from hierarchy_nodes.learning.disturbance import Disturbed
from hierarchy_nodes.learning.evaluation import RESERVED_SEED
from hierarchy_nodes.learning.expert import Expert
from hierarchy_nodes.learning.motions import MotionOptions
from hierarchy_nodes.learning.parallel import spread
from hierarchy_nodes.learning.parts import read_parts, write_part
from hierarchy_nodes.learning.stack import InProcessStack, StackOptions
from hierarchy_nodes.learning.true_plan import TruePlanner
from hierarchy_nodes.learning.variation import VariationOptions, draw
from hierarchy_nodes.parameters import make

# Seeds that no evaluation uses.
FIRST_SEED, LAST_SEED = 100_000, RESERVED_SEED - 1
TIME_LIMIT, ATTEMPTS, SETTLE = 35.0, 2, 1.0
IMAGE = (240, 320)
# What the actor may look at, and how often: its mistakes with less are worth showing, too.
_ACTOR_CHANNELS = (
    (0.5, CHANNELS),
    (0.25, ("path", "motion", "text")),
    (0.25, ("masks", "motion", "text")),
)


@dataclass(frozen=True)
class DemonstrationOptions:
    """What goes wrong in an episode, and from when on a movement has a name."""

    variation: VariationOptions = field(default_factory=VariationOptions)
    motions: MotionOptions = field(default_factory=MotionOptions)


@dataclass(frozen=True)
class DemonstrationSpec:
    """One episode to be collected; `actor` are the weights of a policy that acts in turns."""

    number: int
    family: str
    axis: str
    seed: int
    folder: str
    video: bool = True
    actor: str = ""
    options: DemonstrationOptions = field(default_factory=DemonstrationOptions)


@dataclass(frozen=True)
class DemonstrationResult:
    """What came of it; a failed one is not kept."""

    number: int
    family: str
    axis: str
    seed: int
    kept: bool
    reason: str
    records: int = 0
    size: int = 0
    wall: float = 0.0


def specs(
    episodes: int,
    seed: int,
    folder: Path,
    families: tuple[str, ...] = FAMILIES,
    axes: tuple[str, ...] = AXES,
    video: bool = True,
    actor: str = "",
    options: DemonstrationOptions | None = None,
) -> list[DemonstrationSpec]:
    """Families in turn, and axes in turn for each of them; episode i has seed ``seed + i``.

    Raises:
        ConfigError: No episodes, or seeds that others need.
        UnknownNameError: No such family or axis.
    """
    for kind, names, valid in (("task family", families, FAMILIES), ("axis", axes, AXES)):
        for name in names:
            if name not in valid:
                raise UnknownNameError(kind, name, valid)
    if episodes < 1 or not families or not axes:
        raise ConfigError(f"episodes must be at least 1, got {episodes}, and one family and axis.")
    if seed < FIRST_SEED or seed + episodes - 1 > LAST_SEED:
        raise ConfigError(
            f"seeds {seed} to {seed + episodes - 1}: demonstrations use {FIRST_SEED} to "
            f"{LAST_SEED}; the others are kept for evaluation."
        )
    return [
        DemonstrationSpec(
            i,
            families[i % len(families)],
            axes[i // len(families) % len(axes)],
            seed + i,
            str(folder),
            video,
            actor,
            options or DemonstrationOptions(),
        )
        for i in range(episodes)
    ]


@lru_cache(maxsize=1)
def _kinematics() -> Kinematics:
    return Kinematics()


@lru_cache(maxsize=len(_ACTOR_CHANNELS))
def _actor(weights: str, channels: tuple[str, ...]) -> ControllerBackend:
    late = StackOptions.controller_latency
    options = {"weights": weights, "channels": list(channels), "latency": late}
    actor: ControllerBackend = make(CONTROLLERS, "diffusion", options)
    return actor


def _actor_channels(rng: np.random.Generator) -> tuple[str, ...]:
    shares = [share for share, _ in _ACTOR_CHANNELS]
    return _ACTOR_CHANNELS[int(rng.choice(len(shares), p=shares))][1]


def demonstrate(spec: DemonstrationSpec) -> DemonstrationResult:
    """Let the expert do the task, disturbed; keep the episode if the referee is content."""
    begin = time.perf_counter()

    def result(kept: bool, reason: str, records: int = 0, size: int = 0) -> DemonstrationResult:
        wall = time.perf_counter() - begin
        return DemonstrationResult(
            spec.number, spec.family, spec.axis, spec.seed, kept, reason, records, size, wall
        )

    scene, task = sample(spec.family, spec.seed, spec.axis)
    rng = np.random.default_rng([spec.seed, 1])
    variation = draw(rng, spec.options.variation, _kinematics())
    start: dict[str, Any] = {}
    if variation.start is not None:
        start = {"joints": variation.start[0], "gripper": variation.start[1]}
    cell = Cell(scene, IMAGE[1], IMAGE[0], **start)
    try:
        if variation.camera is not None:
            cell.move_camera("front", variation.camera)
        referee = Referee(cell, task)
        actor = None
        if spec.actor:
            actor = _actor(spec.actor, _actor_channels(np.random.default_rng([spec.seed, 4])))
            actor.reset()
        demonstrator = Demonstrator(
            Expert(cell, task), actor, spec.seed, spec.video, spec.options.motions
        )
        stack: InProcessStack
        disturbed = Disturbed(
            demonstrator, cell, task, variation, rng, lambda motion: stack.correct(motion)
        )
        stack = InProcessStack(cell, StackOptions(), TruePlanner(cell, task), disturbed)
        stack.run(0.4)
        outcome = stack.execute(task.instruction, TIME_LIMIT, ATTEMPTS)
        stack.run(SETTLE)
        verdict = referee.verdict()
        if not verdict.success or not outcome.success:
            return result(False, verdict.reason if not verdict.success else outcome.message)
        records = demonstrator.records
        about = {
            "text": records[0].text,
            "family": spec.family,
            "axis": spec.axis,
            "seed": spec.seed,
            "number": spec.number,
            "noise": variation.noise,
            "actor": spec.actor,
            "camera_moved": variation.camera is not None,
            "events": [[round(t, 2), what] for t, what in disturbed.happened],
        }
        size = write_part(Path(spec.folder) / layout.PARTS, spec.number, records, about, spec.video)
        return result(True, "", len(records), size)
    finally:
        cell.close()


def guarded(spec: DemonstrationSpec) -> DemonstrationResult:
    """As `demonstrate`, but what breaks is told and does not end the run."""
    try:
        return demonstrate(spec)
    except HierarchyError as error:
        reason = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - one broken episode must not end a long run
        reason = f"crashed: {type(error).__name__}: {error}"
    return DemonstrationResult(spec.number, spec.family, spec.axis, spec.seed, False, reason)


def collect(
    todo: list[DemonstrationSpec],
    folder: Path,
    workers: int = 1,
    ray_address: str = "",
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Collect `todo` into the data set at `folder`; returns figures about the run.

    An episode that was collected or discarded before is not made again when `resume` is set.

    Raises:
        ConfigError: `folder` holds something already and `resume` is not set.
    """
    begin = time.perf_counter()
    known = finished(folder)
    if known and not resume:
        raise ConfigError(
            f"{folder} holds {len(known)} episodes already; add --resume to go on with them, or "
            "choose another folder."
        )
    left = [spec for spec in todo if spec.number not in known]
    (folder / layout.PARTS).mkdir(parents=True, exist_ok=True)
    results: list[DemonstrationResult] = []
    with tqdm(total=len(todo), initial=len(todo) - len(left), unit="episode") as bar:
        bar.disable = not progress
        for found in spread(guarded, left, workers, ray_address):
            results.append(found)
            if not found.kept:
                with (folder / layout.DISCARDED).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(found)) + "\n")
            bar.update()
            bar.set_postfix_str(f"{sum(r.kept for r in results)}/{len(results)} kept")
    video = bool(todo) and todo[0].video
    info = assemble(folder, video, IMAGE)
    wall = time.perf_counter() - begin
    figures = _figures(results, info, wall, folder)
    runs = []
    if (folder / layout.COLLECTION).exists():
        runs = json.loads((folder / layout.COLLECTION).read_text(encoding="utf-8"))["runs"]
    options = asdict(todo[0].options) if todo else {}
    write_json(folder / layout.COLLECTION, {"runs": [*runs, figures], "options": options})
    return figures


def finished(folder: Path) -> set[int]:
    """Numbers of the episodes that need not be made again."""
    import pyarrow.parquet as pq

    numbers = {part.number for part in read_parts(folder / layout.PARTS)}
    path = folder / layout.EPISODES_PATH.format(chunk_index=0, file_index=0)
    if path.exists():
        numbers |= set(pq.read_table(path, columns=["number"]).column("number").to_pylist())
    if (folder / layout.DISCARDED).exists():
        lines = (folder / layout.DISCARDED).read_text(encoding="utf-8").splitlines()
        numbers |= {json.loads(line)["number"] for line in lines}
    return numbers


def _figures(
    results: list[DemonstrationResult], info: dict[str, Any], wall: float, folder: Path
) -> dict[str, Any]:
    kept = [r for r in results if r.kept]
    tried = Counter(r.family for r in results)
    good = Counter(r.family for r in kept)
    return {
        "tried": len(results),
        "kept": len(kept),
        "discarded_share": 1 - len(kept) / len(results) if results else 0.0,
        "per_family": {name: [good[name], tried[name]] for name in sorted(tried)},
        "records": sum(r.records for r in kept),
        "bytes_per_record": sum(r.size for r in kept) / max(1, sum(r.records for r in kept)),
        "wall_s": round(wall, 1),
        "episodes_per_s": len(results) / wall if wall > 0 else 0.0,
        "episodes": info["total_episodes"],
        "frames": info["total_frames"],
        "failures": [
            f"{r.family}/{r.axis} seed {r.seed}: {r.reason}" for r in results if not r.kept
        ],
        "folder": str(folder),
    }
