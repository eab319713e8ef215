"""The present language motion of a plan from a model."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.controller.lifting import LiftSettings, lift
from hierarchy_nodes.geometry import project
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.motions import AXES, VALID, MotionNamer
from hierarchy_nodes.types import Array, LanguageMotion, Observation, PathPoint, Plan

# The motion that the model stated is the first one: it holds until the tool has moved so far.
FIRST = 0.02
_WORD = re.compile("[a-z]+")


@dataclass(frozen=True)
class _Told:
    plan: Plan
    text: str
    direction: Array
    tool: Array


class Narration:
    """Names motions along the path as the controller lifts it, beginning with the stated one.

    `begin` runs in the worker's thread, `motion` in the node's: they share one attribute.
    """

    def __init__(self) -> None:
        self._namer = MotionNamer()
        self._told: _Told | None = None

    def begin(self, plan: Plan, stated: str, request: PlanRequest) -> None:
        """A new plan, and the first motion in the model's words ("" if it stated none)."""
        shadow = _lifted(plan, request)
        self._told = _Told(shadow, stated, direction(stated), request.robot.tool.position)

    def motion(self, observation: Observation) -> LanguageMotion | None:
        """The motion that comes next, or None if there is none to tell."""
        told = self._told
        if told is None or told.plan.plan_id != observation.plan.plan_id:
            return None
        named = self._namer.motion(replace(observation, plan=told.plan))
        moved = float(np.linalg.norm(observation.robot.tool.position - told.tool))
        stated = np.any(told.direction)
        # The path is what is followed; words that contradict it would only confuse.
        if not stated or moved > FIRST or named is None or named.direction @ told.direction <= 0:
            return named
        return LanguageMotion(
            stamp=observation.now,
            text=told.text.strip().lower()[:100],
            direction=told.direction,
            valid_until=observation.now + VALID,
            source="planner",
        )


def direction(text: str) -> Array:
    """``(3,)`` unit vector of "move arm forward and down", base frame; zeros if it has none."""
    words = set(_WORD.findall(text.lower()[:200]))
    way = np.zeros(3)
    for axis, (plus, minus) in enumerate(AXES):
        way[axis] = float(plus in words) - float(bool({minus, minus + "s"} & words))
    length = float(np.linalg.norm(way))
    return way / length if length > 0 else way


def _lifted(plan: Plan, request: PlanRequest) -> Plan:
    """`plan` with a depth for every point, as the controller would lift it without masks."""
    if all(math.isfinite(p.depth) for p in plan.path):
        return plan
    frame = request.frame
    ways = lift(plan, frame, None, request.robot, LiftSettings())
    points = np.array([way.pose.position for way in ways]).reshape(-1, 3)
    if not np.isfinite(points).all():
        return plan
    pixels, depths = project(points, frame.intrinsics, frame.camera_pose)
    drawn = (
        PathPoint(float(u), float(v), float(depth), way.gripper)
        for (u, v), depth, way in zip(pixels, depths, ways, strict=True)
    )
    return replace(plan, path=(plan.path[0], *drawn))
