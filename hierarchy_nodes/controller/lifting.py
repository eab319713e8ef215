"""From a 2D path to tool poses: the path convention of ``planner/README.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hierarchy_nodes.geometry import deproject, on_plane, point_cloud, top_down, yaw_of
from hierarchy_nodes.types import (
    TOUCHES,
    Array,
    CameraIntrinsics,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Pose,
    RgbdFrame,
    RobotState,
    Role,
    Segment,
    Segments,
)

# Never nearer to the table with the tool's tip than this, metres.
FLOOR = 0.008
# The working area, with a margin, into which points without a depth are clipped.
_LOW, _HIGH = np.array([0.22, -0.42]), np.array([0.72, 0.42])
_SQUARE = 1.2


@dataclass(frozen=True)
class Waypoint:
    """One tool pose to pass, or to reach and act at.

    Attributes:
        pose: Tool frame in the base frame.
        gripper: What to do on arrival; not KEEP implies coming to rest.
        phase: A word for a person, of the way to this point.
        anchor: The segment whose displacement moves this point.
        contact: Something is touched at this point, or about to be: come slowly.
    """

    pose: Pose
    gripper: Gripper
    phase: str
    anchor: Role | None = None
    contact: bool = False

    def moved(self, offset: Array) -> Waypoint:
        """Shifted by `offset` ``(3,)`` metres, but not into the table."""
        position = self.pose.position + offset
        position[2] = max(position[2], min(FLOOR, self.pose.position[2]))
        return replace(self, pose=Pose(position, self.pose.quaternion))


@dataclass(frozen=True)
class LiftSettings:
    """Heights in metres: of travel, over a thing, into it, and of letting go."""

    travel: float = 0.22
    above: float = 0.10
    grasp_depth: float = 0.02
    clearance: float = 0.01


def lift(
    plan: Plan, frame: RgbdFrame, segments: Segments | None, robot: RobotState, s: LiftSettings
) -> list[Waypoint]:
    """The tool poses of `plan`; the first path point (where the tool was) is not among them.

    A gripper event of the first point is to be done on the spot: see :func:`first_event`.
    """
    yaw = choose_yaw(plan, frame.intrinsics, segments, robot)
    points = list(plan.path)
    if not _grasps_at_once(plan):
        points = points[1:]
    lifted: list[Waypoint] = []
    event_seen = _grasp_index(plan) is None
    held_height: float | None = None
    for index, point in enumerate(points):
        exact = math.isfinite(point.depth)
        if exact:
            position = deproject(point, frame.intrinsics, plan.camera_pose)
            lifted.append(_exact(plan, point, position, yaw, event_seen, index))
        elif plan.interaction in TOUCHES:
            lifted += _touch(plan, point, index, frame, segments, yaw, s)
        elif point.gripper == Gripper.CLOSE:
            waypoints, held_height = _grasp(plan, point, frame, segments, yaw, s)
            lifted += waypoints
        elif point.gripper == Gripper.OPEN:
            held = 0.03 if held_height is None else held_height
            lifted += _release(plan, point, frame, segments, yaw, held, s)
        else:
            way = _clip(on_plane(point.x, point.y, frame.intrinsics, plan.camera_pose, s.travel))
            phase = "carry" if event_seen else "approach"
            lifted.append(Waypoint(top_down(way, yaw), Gripper.KEEP, phase, None))
        if point.gripper == Gripper.CLOSE:
            event_seen = True
    return _after_last_release(lifted)


def first_event(plan: Plan, robot: RobotState) -> Gripper:
    """What the gripper does on the spot before the tool moves."""
    first = plan.path[0].gripper
    if _grasps_at_once(plan):
        return Gripper.OPEN
    if first == Gripper.KEEP and _grasp_index(plan) is not None and robot.gripper < 0.9:
        return Gripper.OPEN
    return first


def choose_yaw(
    plan: Plan, camera: CameraIntrinsics, segments: Segments | None, robot: RobotState
) -> float:
    """Yaw of the tool's x axis for the whole plan (``planner/README.md``, item 4)."""
    present = yaw_of(robot.tool.quaternion)
    target = segments.role(Role.TARGET) if segments is not None else None
    if plan.interaction in (Interaction.PLACE, Interaction.NONE):
        if _grasp_index(plan) is None:
            return present
        if target is None or target.lost:
            return nearest_yaw(present, 0.0, math.pi)
        length, width = float(target.size[0]), float(target.size[1])
        # The fingers close along the tool's y axis, so its x axis lies along the longer side.
        square = length < _SQUARE * width
        return nearest_yaw(target.yaw, 0.0, math.pi / 2 if square else math.pi)
    exact = all(math.isfinite(point.depth) for point in plan.path)
    sweep = plan.path[2:4] if exact else plan.path[-2:]
    if plan.interaction == Interaction.PRESS or len(sweep) < 2:
        return nearest_yaw(present, 0.0, math.pi)
    if exact:
        flat = [deproject(point, camera, plan.camera_pose) for point in sweep]
    else:
        flat = [on_plane(point.x, point.y, camera, plan.camera_pose, 0.03) for point in sweep]
    along = math.atan2(flat[1][1] - flat[0][1], flat[1][0] - flat[0][0])
    return nearest_yaw(along, 0.0, math.pi)


def nearest_yaw(yaw: float, reference: float, period: float) -> float:
    """The one of ``yaw + k * period`` nearest to `reference`: the wrist's middle is yaw 0."""
    return yaw - period * round((yaw - reference) / period)


def grasp_height(target: Segment, depth: float) -> float:
    """Height of the tool's tip: `depth` down the thing, or half of it, not into the table."""
    height = float(target.size[2])
    top = float(target.centroid[2]) + height / 2
    return max(FLOOR, top - max(depth, min(height / 2, 0.035)))


def _grasp_index(plan: Plan) -> int | None:
    if plan.interaction in TOUCHES:
        return None
    events = [i for i, p in enumerate(plan.path) if p.gripper == Gripper.CLOSE]
    return events[0] if events else None


def _grasps_at_once(plan: Plan) -> bool:
    """A short path of a learned planner may begin with the grasp itself."""
    return _grasp_index(plan) == 0


def _exact(
    plan: Plan, point: PathPoint, position: Array, yaw: float, grasped: bool, index: int
) -> Waypoint:
    event = point.gripper
    if plan.interaction in TOUCHES:
        phases = ["approach", "press" if plan.interaction == Interaction.PRESS else "descend"]
        if plan.interaction != Interaction.PRESS:
            phases.append(str(plan.interaction))
        follows = plan.interaction != Interaction.CLOSE
        busy = index < len(phases)
        return Waypoint(
            top_down(position, yaw),
            event,
            phases[index] if busy else "retreat",
            Role.TARGET if busy and follows else None,
            contact=0 < index < len(phases),
        )
    acts = event != Gripper.KEEP
    if not grasped:
        phase = "descend" if acts else "approach"
        return Waypoint(top_down(position, yaw), event, phase, Role.TARGET, contact=acts)
    if plan.interaction == Interaction.OPEN:
        return Waypoint(top_down(position, yaw), event, "pull", None, contact=acts)
    phase = "lower" if acts else "carry"
    return Waypoint(top_down(position, yaw), event, phase, Role.GOAL, contact=acts)


def _after_last_release(waypoints: list[Waypoint]) -> list[Waypoint]:
    """What comes after the last event is the retreat; what follows a grasp at once is the lift."""
    events = [i for i, w in enumerate(waypoints) if w.gripper != Gripper.KEEP]
    for i in events:
        if waypoints[i].gripper == Gripper.CLOSE and i + 1 < len(waypoints):
            after = waypoints[i + 1]
            if after.phase == "carry" and after.gripper == Gripper.KEEP:
                anchor = None if _above(waypoints[i], after) else after.anchor
                waypoints[i + 1] = replace(after, phase="lift", anchor=anchor)
    releases = [i for i in events if waypoints[i].gripper == Gripper.OPEN]
    for i in range(releases[-1] + 1 if releases else len(waypoints), len(waypoints)):
        waypoints[i] = replace(waypoints[i], phase="retreat", anchor=None)
    return waypoints


def _above(first: Waypoint, second: Waypoint) -> bool:
    return bool(np.linalg.norm((first.pose.position - second.pose.position)[:2]) < 0.02)


def _clip(position: Array) -> Array:
    return np.array([*np.clip(position[:2], _LOW, _HIGH), position[2]])


def _surface(plan: Plan, point: PathPoint, frame: RgbdFrame) -> Array:
    """What the camera sees at a 2D point: the middle of the top of the thing there ``(3,)``."""
    camera = frame.intrinsics
    cloud, known = point_cloud(frame)
    u = min(int(point.x * camera.width), camera.width - 1)
    v = min(int(point.y * camera.height), camera.height - 1)
    rows, columns = slice(max(0, v - 2), v + 3), slice(max(0, u - 2), u + 3)
    around = cloud[rows, columns][known[rows, columns]]
    if len(around) == 0:
        return on_plane(point.x, point.y, camera, plan.camera_pose, 0.0)
    seen = np.median(around, axis=0)
    near = cloud[known & (np.linalg.norm(cloud[..., :2] - seen[:2], axis=-1) < 0.03)]
    top = float(np.quantile(near[:, 2], 0.95))
    upper = near[near[:, 2] > top - 0.01]
    return np.array([*np.median(upper[:, :2], axis=0), top])


def _segment(segments: Segments | None, role: Role) -> Segment | None:
    found = segments.role(role) if segments is not None else None
    return None if found is None or found.lost else found


def _grasp(
    plan: Plan,
    point: PathPoint,
    frame: RgbdFrame,
    segments: Segments | None,
    yaw: float,
    s: LiftSettings,
) -> tuple[list[Waypoint], float]:
    """Approach, descend and lift; and how high above the thing's underside it is held."""
    target = _segment(segments, Role.TARGET)
    if target is not None:
        top = float(target.centroid[2] + target.size[2] / 2)
        z = grasp_height(target, s.grasp_depth)
        xy, bottom = target.centroid[:2], float(target.centroid[2] - target.size[2] / 2)
    else:
        surface = _surface(plan, point, frame)
        xy, top, bottom = surface[:2], float(surface[2]), 0.0
        z = max(FLOOR, top - max(s.grasp_depth, min(top / 2, 0.035)))
    high = max(s.travel, top + s.above)
    above, at = top_down([*xy, top + s.above], yaw), top_down([*xy, z], yaw)
    return [
        Waypoint(above, Gripper.KEEP, "approach", Role.TARGET),
        Waypoint(at, Gripper.CLOSE, "descend", Role.TARGET, contact=True),
        Waypoint(top_down([*xy, high], yaw), Gripper.KEEP, "lift"),
    ], max(z - max(bottom, 0.0), FLOOR)


def _release(
    plan: Plan,
    point: PathPoint,
    frame: RgbdFrame,
    segments: Segments | None,
    yaw: float,
    held: float,
    s: LiftSettings,
) -> list[Waypoint]:
    goal = _segment(segments, Role.GOAL)
    if goal is not None:
        xy, top = goal.centroid[:2], float(goal.centroid[2] + goal.size[2] / 2)
    else:
        surface = _surface(plan, point, frame)
        xy, top = surface[:2], float(surface[2])
    z = top + held + s.clearance
    high = max(s.travel, z + s.above)
    return [
        Waypoint(top_down([*xy, high], yaw), Gripper.KEEP, "carry", Role.GOAL),
        Waypoint(top_down([*xy, z], yaw), Gripper.OPEN, "lower", Role.GOAL, contact=True),
        Waypoint(top_down([*xy, high], yaw), Gripper.KEEP, "retreat"),
    ]


def _touch(
    plan: Plan,
    point: PathPoint,
    index: int,
    frame: RgbdFrame,
    segments: Segments | None,
    yaw: float,
    s: LiftSettings,
) -> list[Waypoint]:
    """2D points of a push, press, close or knock: on the plane of the thing's middle."""
    target = _segment(segments, Role.TARGET)
    anchor = None if plan.interaction == Interaction.CLOSE else Role.TARGET
    if target is not None:
        middle, top = float(target.centroid[2]), float(target.centroid[2] + target.size[2] / 2)
    else:
        top = float(_surface(plan, point, frame)[2])
        middle = top / 2
    if plan.interaction == Interaction.PRESS:
        if index > 0:
            return []
        xy = target.centroid[:2] if target is not None else _surface(plan, point, frame)[:2]
        above = top_down([*xy, top + s.above], yaw)
        pressed = top_down([*xy, max(FLOOR, top - 0.01)], yaw)
        return [
            Waypoint(above, Gripper.KEEP, "approach", anchor),
            Waypoint(pressed, Gripper.KEEP, "press", anchor, contact=True),
            Waypoint(above, Gripper.KEEP, "retreat"),
        ]
    z = max(FLOOR, middle)
    at = _clip(on_plane(point.x, point.y, frame.intrinsics, plan.camera_pose, z))
    there = Waypoint(top_down(at, yaw), Gripper.KEEP, str(plan.interaction), anchor, contact=True)
    above = top_down([*at[:2], max(s.travel, top + s.above)], yaw)
    last = index == len(plan.path) - 2
    before = [Waypoint(above, Gripper.KEEP, "approach", anchor)] if index == 0 else []
    if index == 0:
        there = replace(there, phase="descend")
    after = [Waypoint(above, Gripper.KEEP, "retreat")] if last else []
    return [*before, there, *after]
