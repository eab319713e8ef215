"""Whether the world is still as a plan took it to be.

What a controller notices itself, it reports itself: that it sees the target no longer, is stuck,
or has missed its grasp.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hierarchy_nodes.geometry import project, segment_distance
from hierarchy_nodes.planner.checking import holds_something
from hierarchy_nodes.types import (
    Array,
    CameraIntrinsics,
    Interaction,
    Plan,
    RobotState,
    Role,
    Segment,
    Segments,
)

# A thing whose place has changed by less than this for so long lies still: metres, seconds.
_STILL, _STILL_TIME = 0.01, 0.3
# Of a large thing that is hidden in part, the middle of what is seen moves by this share of it.
_HIDDEN_SHARE = 0.25
# Once the hand has been so near to a thing, it is the hand that moves or hides it: metres.
_NEAR = 0.10
_HEALTHY = 0.5
# What was held for so long was really held; what is gone for so long is gone: seconds.
_HELD_TIME, _GONE_TIME = 0.3, 0.3
# Off the path for so long: seconds. A correction is over sooner.
_OFF_TIME = 2.0


@dataclass
class _Place:
    """Where a thing was when the plan came, and where it lies now."""

    first: Array
    last: Array
    still_since: float


@dataclass
class PlanWatch:
    """Asked again and again while `plan` is executed.

    Args:
        plan: With its path and prompts.
        camera: That the path was drawn for.
        moved: A thing moved by somebody else so far calls for a new plan, metres; 0 for never.
        off_path: So does a tool that stays so far off the drawn path, image widths; 0 for never.
    """

    plan: Plan
    camera: CameraIntrinsics
    moved: float
    off_path: float
    _places: dict[Role, _Place] = field(default_factory=dict)
    _touched: set[Role] = field(default_factory=set)
    _held_since: float | None = None
    _had: bool = False
    _gone_since: float | None = None
    _off_since: float | None = None
    _found: str = ""

    def track(self, segments: Segments, robot: RobotState) -> None:
        """The newest masks."""
        if segments.plan_id != self.plan.plan_id:
            return
        for role in (Role.TARGET, Role.GOAL):
            segment = segments.role(role)
            if segment is not None:
                self._follow(segment, segments.stamp, robot)

    def feel(self, robot: RobotState) -> None:
        """The newest robot state."""
        if self.plan.interaction == Interaction.PLACE:
            self._grasp(robot)
        if self.off_path > 0:
            self._path(robot)

    def event(self) -> str:
        """Why a new plan is needed, in words; empty if none is."""
        return self._found

    def _follow(self, segment: Segment, stamp: float, robot: RobotState) -> None:
        here, role = np.asarray(segment.centroid, dtype=float), segment.role
        if segment.lost or segment.health < _HEALTHY:
            if role in self._places:
                self._places[role].still_since = stamp
            return
        place = self._places.setdefault(role, _Place(here, here, stamp))
        extent = float(max(segment.size[:2]))
        tool = robot.tool.position
        if min(np.linalg.norm(tool - here), np.linalg.norm(tool - place.first)) < (
            _NEAR + extent / 2
        ):
            self._touched.add(role)
        if np.linalg.norm(here - place.last) > _STILL:
            place.last, place.still_since = here, stamp
        away = float(np.linalg.norm(here[:2] - place.first[:2]))
        still = stamp - place.still_since >= _STILL_TIME
        far = self.moved > 0 and away > self.moved + _HIDDEN_SHARE * extent
        if far and still and role not in self._touched:
            self._found = f"the {segment.label or role} was moved by {100 * away:.0f} cm"

    def _grasp(self, robot: RobotState) -> None:
        if holds_something(robot):
            self._gone_since = None
            self._held_since = robot.stamp if self._held_since is None else self._held_since
            self._had = self._had or robot.stamp - self._held_since >= _HELD_TIME
            return
        self._held_since = None
        if robot.gripper > 0.5:
            # Let go of on purpose.
            self._had, self._gone_since = False, None
        elif self._had:
            self._gone_since = robot.stamp if self._gone_since is None else self._gone_since
            if robot.stamp - self._gone_since >= _GONE_TIME:
                self._found = "what was held is no longer in the hand"

    def _path(self, robot: RobotState) -> None:
        wide = np.array([1.0, self.camera.height / self.camera.width])
        here = project(robot.tool.position, self.camera, self.plan.camera_pose)[0][0] * wide
        points = [np.array([p.x, p.y]) * wide for p in self.plan.path]
        pairs = zip(points, points[1:] or points, strict=False)
        if min(segment_distance(here, a, b) for a, b in pairs) < self.off_path:
            self._off_since = None
            return
        self._off_since = robot.stamp if self._off_since is None else self._off_since
        if robot.stamp - self._off_since >= _OFF_TIME:
            self._found = "the tool is far from the path"
