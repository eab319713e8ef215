"""The plan that a perfect planner would draw: the expert's own way, on the image, as HAMSTER draws.

For collecting demonstrations and for evaluating a controller apart from its planner. It knows the
simulator's truth, so it is no backend that a name in a configuration could choose.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray

from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.scene import COLORS, ObjectSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.geometry import point_cloud, project, segment_distance
from hierarchy_nodes.learning.skill import Skill
from hierarchy_nodes.learning.skills import SKILLS
from hierarchy_nodes.learning.world import World
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest
from hierarchy_nodes.planner.drawing import AVOID_DISTANCE, AVOID_MOST, draw_path
from hierarchy_nodes.planner.motions import MotionNamer
from hierarchy_nodes.planner.routes import Way
from hierarchy_nodes.types import (
    Array,
    Gripper,
    LanguageMotion,
    Observation,
    PathPoint,
    Plan,
    Prompt,
    RgbdFrame,
    RobotState,
    Role,
)

# A pixel shows a thing if its point lies within this of it, metres.
_SKIN = 0.004


@dataclass(frozen=True)
class TruePlanOptions:
    """How the true way is drawn."""

    tolerance: float = param(
        0.05, "Ramer-Douglas-Peucker, in widths of the image", low=0.0, high=0.5
    )
    depth: bool = param(True, "Give path points their depths, for controllers that lift")
    plan_lifetime: float = param(60.0, "A plan is valid for so long", unit="s", low=1.0, high=600.0)


class TruePlanner(PlannerBackend):
    """Draws the expert's way and lets the referee verify it.

    Args:
        cell: Whose truth is used; make this before the arm moves.
        task: What is to be done, whatever the instruction says.
    """

    Options = TruePlanOptions
    options: TruePlanOptions

    def __init__(self, cell: Cell, task: TaskSpec, options: TruePlanOptions | None = None) -> None:
        super().__init__(options or TruePlanOptions())
        self.world = World(cell, task)
        self.referee = Referee(cell, task)
        self._namer = MotionNamer()

    def plan(self, request: PlanRequest) -> Plan:
        world, frame = self.world, request.frame
        skill = SKILLS[world.task.family](world)
        path, points = true_path(
            skill, frame, request.robot, request.holding, self.options.tolerance
        )
        if not self.options.depth:
            path = tuple(replace(point, depth=float("nan")) for point in path)
        return Plan(
            plan_id=uuid.uuid4().hex[:8],
            stamp=frame.stamp,
            frame_id=frame.frame_id,
            camera_pose=frame.camera_pose,
            instruction=request.instruction,
            interaction=skill.interaction,
            path=path,
            prompts=self._prompts(frame, points),
            valid_until=frame.stamp + self.options.plan_lifetime,
            source="true",
            subtask=request.instruction,
        )

    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        return self.referee.verdict().success

    def motion(self, observation: Observation) -> LanguageMotion | None:
        return self._namer.motion(observation)

    def _prompts(self, frame: RgbdFrame, points: list[Array]) -> tuple[Prompt, ...]:
        """On the target, the goal, and what stands near the way."""
        world = self.world
        cloud, known = point_cloud(frame)

        def prompt(role: Role, thing: ObjectSpec) -> Prompt:
            pixel = visible_pixel(world, thing, frame, cloud, known)
            return Prompt(role, f"{thing.color} {thing.shape}", *pixel)

        prompts = [prompt(Role.TARGET, world.target)]
        if world.goal is not None:
            prompts.append(prompt(Role.GOAL, world.goal))
        flat = [point[:2] for point in points[:-1]]
        near = []
        for thing in world.others():
            here = world.position(thing.name)[:2]
            away = min((segment_distance(here, a, b) for a, b in pairwise(flat)), default=1.0)
            away -= max(thing.size[:2]) / 2
            if away < AVOID_DISTANCE:
                near.append((away, thing))
        near.sort(key=lambda pair: pair[0])
        return (*prompts, *(prompt(Role.AVOID, thing) for _, thing in near[:AVOID_MOST]))


def true_path(
    skill: Skill, frame: RgbdFrame, robot: RobotState, holding: bool, tolerance: float
) -> tuple[tuple[PathPoint, ...], list[Array]]:
    """The expert's way as HAMSTER draws it, and all its points ``(3,)`` after the first one.

    Args:
        skill: Of the task.
        frame: To be drawn on.
        robot: At the beginning.
        holding: The gripper holds the target.
        tolerance: Of the simplification, in widths of the image.
    """
    ways: list[Way] = []
    key: list[bool] = []
    for leg in skill.decide(robot.tool, robot.gripper).legs:
        if ways and np.linalg.norm(leg.pose.position - ways[-1].point) < 0.005:
            continue
        ways.append(Way(leg.pose.position, leg.event))
        key.append(leg.key or leg.event != Gripper.KEEP)
    first = skill.first if robot.gripper > 0.9 or not holding else Gripper.KEEP
    drawn = draw_path(frame, robot.tool.position, first, ways)
    kept = simplify(drawn, tolerance, {0, *(i + 1 for i, k in enumerate(key) if k)})
    return tuple(drawn[i] for i in kept), [way.point for way in ways]


def simplify(path: tuple[PathPoint, ...], tolerance: float, keep: set[int]) -> list[int]:
    """Indices of the points that are left: Ramer-Douglas-Peucker between those in `keep`.

    Args:
        path: At least one point.
        tolerance: Points nearer than this to the line that replaces them go, normalised units.
        keep: Stay in any case, as do the two ends.
    """
    points = np.array([[p.x, p.y] for p in path])
    fixed = sorted({0, len(path) - 1, *(i for i in keep if 0 <= i < len(path))})
    left = set(fixed)
    for start, end in pairwise(fixed):
        left |= _split(points, start, end, tolerance)
    return sorted(left)


def _split(points: Array, start: int, end: int, tolerance: float) -> set[int]:
    inner = range(start + 1, end)
    if not inner:
        return set()
    away = [segment_distance(points[i], points[start], points[end]) for i in inner]
    farthest = int(np.argmax(away))
    if away[farthest] <= tolerance:
        return set()
    middle = start + 1 + farthest
    before = _split(points, start, middle, tolerance)
    return {middle} | before | _split(points, middle, end, tolerance)


def visible_pixel(
    world: World, thing: ObjectSpec, frame: RgbdFrame, cloud: Array, known: NDArray[np.bool_]
) -> tuple[float, float]:
    """A pixel (normalised) in the midst of what is seen of `thing`.

    Where nothing is seen of it: where its middle would be.

    Args:
        cloud, known: Of `frame`, as ``geometry.point_cloud`` gives them.
    """
    middle = world.position(thing.name)
    near = known & (np.abs(cloud - middle) < 0.25).all(axis=-1)
    rows, columns = np.nonzero(near)
    seen = _inside(world, thing, cloud[rows, columns])
    width, height = frame.intrinsics.width, frame.intrinsics.height
    if not seen.any():
        x, y = np.clip(project(middle, frame.intrinsics, frame.camera_pose)[0][0], 0.0, 1.0)
        return float(x), float(y)
    pixels = np.stack([columns[seen], rows[seen]], axis=1)
    best = pixels[np.argmin(np.linalg.norm(pixels - np.median(pixels, axis=0), axis=1))]
    return float((best[0] + 0.5) / width), float((best[1] + 0.5) / height)


def _inside(world: World, thing: ObjectSpec, points: Array) -> NDArray[np.bool_]:
    """Which of ``(N, 3)`` points lie on the thing's coloured parts."""
    model, data = world.cell.model, world.cell.data
    own = model.body(thing.name).id
    bodies = [i for i in range(model.nbody) if i == own or model.body_parentid[i] == own]
    color = np.array(COLORS[thing.color])
    found = np.zeros(len(points), dtype=bool)
    for geom in range(model.ngeom):
        if model.geom_bodyid[geom] not in bodies:
            continue
        if np.abs(model.geom_rgba[geom, :3] - color).max() > 1e-3:
            continue
        local = (points - data.geom_xpos[geom]) @ data.geom_xmat[geom].reshape(3, 3)
        size = model.geom_size[geom]
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_BOX:
            found |= (np.abs(local) < size + _SKIN).all(axis=1)
        elif model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE:
            found |= np.linalg.norm(local, axis=1) < size[0] + _SKIN
        else:
            round_part = np.hypot(local[:, 0], local[:, 1]) < size[0] + _SKIN
            found |= round_part & (np.abs(local[:, 2]) < size[1] + _SKIN)
    return found
