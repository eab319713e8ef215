"""What a planner points at, draws and says, on images of evaluation scenes: nothing is executed.

Each image is asked two things: the scene's own task, and one about a thing that is not there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hardware.cell.cell import Cell
from hardware.cell.phrases import SYNONYMS, say
from hardware.cell.scene import BASIC_COLORS, NOVEL_COLORS, SceneSpec
from hardware.cell.tasks import AXES, WAYS, TaskSpec, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.errors import ErrorCode, HierarchyError
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.learning.evaluation import episodes
from hierarchy_nodes.learning.parallel import spread
from hierarchy_nodes.learning.planner.texture import HELD_OUT_PATTERNS, draw_texture, paint
from hierarchy_nodes.learning.pointing_pictures import draw_answer
from hierarchy_nodes.learning.statistics import (
    calibration_error,
    grouped,
    latency,
    machine,
    resampled,
    share,
)
from hierarchy_nodes.learning.true_plan import TruePlanner
from hierarchy_nodes.parameters import make
from hierarchy_nodes.planner.base import PLANNERS, PlannerBackend, PlanRequest
from hierarchy_nodes.planner.drawing import work_end
from hierarchy_nodes.planner.motions import path_points
from hierarchy_nodes.types import (
    Array,
    Gripper,
    Observation,
    Plan,
    RgbdFrame,
    RobotState,
    Role,
)

# Less of a thing in view than this, in pixels, and nobody could point at it.
SEEN = 25
# The tool is looked at so often along the true path, metres.
STEP = 0.02
# A path's end counts as right so near, widths of the image.
NEAR_END = 0.03
_HELD_OPENING = 0.5


@dataclass(frozen=True)
class PointingSpec:
    """One image: where it is from, and who is asked; `picture`: draw the answer."""

    index: int
    family: str
    axis: str
    seed: int
    planner: str
    options: str = "{}"
    picture: bool = False


@dataclass
class PointingResult:
    """What was answered.

    Attributes:
        asked: Target and goal are in view; else only the absent thing is asked for.
        planned: A plan came; code, message: what came instead.
        target, goal: The point is inside the thing's mask; a task without a goal counts as right.
        has_goal: Whether there is one.
        end: Distance of the path's end (see ``drawing.work_end``) from the true one, widths.
        confidence: The plan's.
        ticks, named: Moments along the true path, and at how many the motion was named as truth
            has it, the order of the words aside.
        absent, absent_code: The sentence about a thing that is not there, and what came of it.
        seconds: Of the first question.
        picture: JPEG.
    """

    index: int
    seed: int
    family: str
    axis: str
    instruction: str = ""
    asked: bool = False
    planned: bool = False
    code: str = "NONE"
    message: str = ""
    target: bool = False
    goal: bool = False
    has_goal: bool = False
    end: float | None = None
    confidence: float | None = None
    ticks: int = 0
    named: int = 0
    absent: str = ""
    absent_code: str = ""
    seconds: float = 0.0
    picture: bytes = field(default=b"", repr=False)

    @property
    def right(self) -> bool:
        """What a confidence is about."""
        return self.planned and self.target and self.goal


def specs(
    count: int,
    seed: int,
    planner: str,
    options: Mapping[str, Any] | None = None,
    final: bool = False,
    axes: tuple[str, ...] = AXES,
    pictures: bool = False,
) -> list[PointingSpec]:
    """Image i has seed ``seed + i``, axes and families in turn; errors as ``episodes``.

    Raises:
        UnknownNameError: No such planner or option.
        ConfigError: A planner cannot be made; its weights are missing, for example.
    """
    chosen = json.dumps(dict(options or {}))
    drawn = episodes("axes", count, seed, final=final, axes=axes)
    _backend(planner, chosen)
    return [
        PointingSpec(e.index, e.family, e.axis, e.seed, planner, chosen, pictures) for e in drawn
    ]


def run(
    todo: Sequence[PointingSpec], workers: int = 1, progress: bool = False, ray_address: str = ""
) -> list[PointingResult]:
    """All images, in `workers` processes or on a Ray cluster."""
    done: list[PointingResult] = []
    with tqdm(total=len(todo), unit="image", disable=not progress) as bar:
        for result in spread(look, todo, workers, ray_address):
            done.append(result)
            bar.update()
            bar.set_postfix_str(f"{sum(r.right for r in done)}/{len(done)} right")
    return sorted(done, key=lambda r: r.index)


def look(spec: PointingSpec) -> PointingResult:
    """Ask about one image."""
    scene, task = sample(spec.family, spec.seed, spec.axis)
    planner = _backend(spec.planner, spec.options)
    rng = np.random.default_rng([spec.seed, 3])
    result = PointingResult(spec.index, spec.seed, spec.family, spec.axis, task.instruction)
    cell = Cell(scene)
    try:
        frame, geoms = cell.capture(), cell.geoms()
        if spec.axis == "visual":
            table = cell.model.geom("table_top").id
            paint(frame, geoms == table, draw_texture(rng, HELD_OUT_PATTERNS))
        robot = _kinematics().robot_state(cell.arm_state())
        masks = {Role.TARGET: mask_of(cell, geoms, task.target)}
        if task.goal:
            masks[Role.GOAL] = mask_of(cell, geoms, task.goal)
        result.has_goal = bool(task.goal)
        result.asked = all(mask.sum() >= SEEN for mask in masks.values())
        plan = None
        if result.asked:
            plan = _ask(planner, PlanRequest(task.instruction, frame, robot), result)
            truth = TruePlanner(cell, task)
            true = truth.plan(PlanRequest(task.instruction, frame, robot))
            if plan is not None:
                _judge(plan, true, masks, result)
            _motions(planner, truth, plan, true, frame, robot, result)
        result.absent = absent(scene, task, rng) or ""
        if result.absent:
            other = PointingResult(0, 0, "", "")
            _ask(planner, PlanRequest(result.absent, frame, robot), other)
            result.absent_code = other.code
        if spec.picture and result.asked:
            result.picture = draw_answer(frame.color, masks, plan, asdict(result), result.right)
        return result
    finally:
        cell.close()


def _ask(planner: PlannerBackend, request: PlanRequest, result: PointingResult) -> Plan | None:
    begin = time.perf_counter()
    try:
        plan = planner.plan(request)
    except HierarchyError as error:
        # A TaskDone has no code: nothing of the task was done yet.
        result.code = "DONE" if error.code == ErrorCode.NONE else error.code.name
        result.message = str(error)
        return None
    finally:
        result.seconds = time.perf_counter() - begin
    result.planned, result.confidence = True, plan.confidence
    return plan


def _judge(
    plan: Plan, true: Plan, masks: Mapping[Role, NDArray[np.bool_]], result: PointingResult
) -> None:
    def inside(role: Role) -> bool:
        if role not in masks:
            return True
        prompt = next((p for p in plan.prompts if p.role == role), None)
        if prompt is None:
            return False
        height, width = masks[role].shape
        row, column = min(int(prompt.y * height), height - 1), min(int(prompt.x * width), width - 1)
        return bool(masks[role][row, column])

    result.target, result.goal = inside(Role.TARGET), inside(Role.GOAL)
    height, width = masks[Role.TARGET].shape
    ends = [p.path[work_end(p.interaction, [q.gripper for q in p.path])] for p in (plan, true)]
    off = np.array([ends[0].x - ends[1].x, (ends[0].y - ends[1].y) * height / width])
    result.end = float(np.linalg.norm(off))


def mask_of(cell: Cell, geoms: NDArray[np.int32], name: str) -> NDArray[np.bool_]:
    """``(H, W)``: where the thing `name` with all its parts is seen."""
    model = cell.model
    root = model.body_rootid[model.body(name).id]
    own = np.append(model.body_rootid[model.geom_bodyid] == root, False)
    # The last entry is "nothing".
    return np.asarray(own[geoms])


def absent(scene: SceneSpec, task: TaskSpec, rng: np.random.Generator) -> str | None:
    """The task's sentence about a target, or sometimes a goal, of a colour that it has not here.

    Things of that colour in other shapes, and of that shape in other colours, may well be there.
    """
    target, goal = scene.object(task.target), scene.object(task.goal) if task.goal else None
    wrong_goal = goal is not None and rng.random() < 0.3
    wrong = goal if wrong_goal and goal is not None else target
    known = NOVEL_COLORS if task.axis == "novel_object" else BASIC_COLORS
    names = {wrong.shape, *SYNONYMS.get(wrong.shape, ())}
    alike = [t for t in scene.objects if names & {t.shape, *SYNONYMS.get(t.shape, ())}]
    colors = [c for c in known if all(t.color != c for t in alike)]
    if not colors:
        return None
    new = f"{colors[rng.integers(len(colors))]} {wrong.shape}"
    words = [f"{t.color} {t.shape}" if t else "" for t in (target, goal)]
    words[int(wrong_goal)] = new
    kind = task.family
    if kind == "place":
        kind = f"place {task.relation}"
    elif kind == "push" and goal is not None:
        kind = "push onto"
    way = next((w for w, to in WAYS.items() if to == tuple(task.direction)), "")
    return say(kind, words[0], words[1], way, rng, task.axis != "language")


# -- motions ----------------------------------------------------------------------------------


def _motions(
    planner: PlannerBackend,
    truth: TruePlanner,
    plan: Plan | None,
    true: Plan,
    frame: RgbdFrame,
    robot: RobotState,
    result: PointingResult,
) -> None:
    """Walk along the true path; without a plan every motion is missed."""
    for place in walk(true, frame, robot):
        expected = truth.motion(Observation(place.stamp, place, true, frame))
        if expected is None:
            continue
        result.ticks += 1
        if plan is not None:
            said = planner.motion(Observation(place.stamp, place, plan, frame))
            result.named += said is not None and _words(said.text) == _words(expected.text)


def walk(plan: Plan, frame: RgbdFrame, robot: RobotState) -> Iterator[RobotState]:
    """The arm all along a path whose points have depths, as if it obeyed it exactly."""
    points = [p for p in path_points(plan, frame.intrinsics) if p is not None]
    events = [p.gripper for p in plan.path]
    opening, now = robot.gripper, robot.stamp

    def at(point: Array) -> RobotState:
        nonlocal now
        now += 0.1
        return replace(robot, stamp=now, gripper=opening, tool=top_down(point))

    if events[0] != Gripper.KEEP:
        opening = 1.0 if events[0] == Gripper.OPEN else 0.0
    yield at(points[0])
    for i, (start, end) in enumerate(pairwise(points), 1):
        count = max(1, round(float(np.linalg.norm(end - start)) / STEP))
        for k in range(1, count + 1):
            yield at(start + k / count * (end - start))
        if events[i] != Gripper.KEEP:
            opening = 1.0 if events[i] == Gripper.OPEN else _HELD_OPENING


def _words(text: str) -> frozenset[str]:
    return frozenset(text.replace("move arm ", "").split(" and "))


# -- figures ----------------------------------------------------------------------------------


def summarise(results: Sequence[PointingResult], **about: Any) -> dict[str, Any]:
    """The figures of a run, ready for JSON; `about` says what was run."""
    return {
        **about,
        **figures(results),
        "per_axis": _groups(results, "axis"),
        "per_family": _groups(results, "family"),
        "latency_ms": {"planner": latency([r.seconds for r in results if r.asked])},
        "interval_method": "shares: Clopper-Pearson, 95%; all else: bootstrap over images, 95%",
        "machine": machine(),
        "results": [{k: v for k, v in asdict(r).items() if k != "picture"} for r in results],
    }


def _groups(results: Sequence[PointingResult], name: str) -> dict[str, Any]:
    found: dict[str, list[PointingResult]] = {}
    for result in results:
        found.setdefault(getattr(result, name), []).append(result)
    return {key: figures(found[key]) for key in sorted(found)}


def figures(results: Sequence[PointingResult]) -> dict[str, Any]:
    """Of some images. A question that is not answered with a plan counts as wrong."""
    asked = [r for r in results if r.asked]
    goals = [r for r in asked if r.has_goal]
    ends = np.array([r.end for r in asked if r.end is not None])
    walked = np.array([(r.named, r.ticks) for r in asked if r.ticks]).reshape(-1, 2)
    planned = [r for r in asked if r.planned]
    sure = np.array([(r.confidence, r.right) for r in planned], dtype=float).reshape(-1, 2)
    return {
        "images": len(results),
        "planned": share(len(planned), len(asked)),
        "instead_of_a_plan": _counts(r.code for r in asked if not r.planned),
        "target": share(sum(r.target for r in asked), len(asked)),
        "goal": share(sum(r.goal for r in goals), len(goals)),
        "right": share(sum(r.right for r in asked), len(asked)),
        "end_widths": {
            "n": len(ends),
            "mean": _rounded(ends.mean()) if len(ends) else None,
            "interval": resampled(ends, np.mean),
            "median": _rounded(np.median(ends)) if len(ends) else None,
            "p95": _rounded(np.percentile(ends, 95)) if len(ends) else None,
            "near": share(int((ends <= NEAR_END).sum()), len(ends)),
        },
        "motion": {
            "images": len(walked),
            "ticks": int(walked[:, 1].sum()),
            "top1": _rounded(_ratio(walked)) if len(walked) else None,
            "interval": resampled(walked, _ratio),
        },
        "absent": _absent(results),
        "calibration": {
            "n": len(sure),
            "error": _rounded(calibration_error(sure[:, 0], sure[:, 1])) if len(sure) else None,
            "interval": resampled(sure, lambda s: calibration_error(s[:, 0], s[:, 1])),
        },
    }


def _absent(results: Sequence[PointingResult]) -> dict[str, Any]:
    """Precision and recall of "not there" among both sorts of questions."""
    name = ErrorCode.OBJECT_NOT_FOUND.name
    there = [r for r in results if r.asked]
    gone = [r for r in results if r.absent]
    hits, false = sum(r.absent_code == name for r in gone), sum(r.code == name for r in there)
    return {
        "asked_there": len(there),
        "asked_absent": len(gone),
        "precision": share(hits, hits + false),
        "recall": share(hits, len(gone)),
        "instead": _counts(r.absent_code for r in gone if r.absent_code != name),
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    return {name: found["episodes"] for name, found in grouped((n, True) for n in names).items()}


def _ratio(walked: Array) -> float:
    return float(walked[:, 0].sum() / walked[:, 1].sum())


def _rounded(value: Any) -> float:
    return round(float(value), 4)


@lru_cache(maxsize=1)
def _backend(name: str, options: str) -> PlannerBackend:
    backend: PlannerBackend = make(PLANNERS, name, json.loads(options))
    # The images already fill the cores.
    cv2.setNumThreads(1)
    return backend


@lru_cache(maxsize=1)
def _kinematics() -> Kinematics:
    return Kinematics()
