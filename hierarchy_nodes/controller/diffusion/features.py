"""What the policy looks at, as arrays of fixed shape: the same in training and on the robot."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from transforms3d import quaternions

from hierarchy_nodes.controller.diffusion.history import Done, History
from hierarchy_nodes.controller.diffusion.points import sample_points
from hierarchy_nodes.controller.diffusion.remaining import CorrectionAccount, Remaining
from hierarchy_nodes.geometry import IDENTITY, deproject, project, segment_distance
from hierarchy_nodes.types import (
    Array,
    CameraIntrinsics,
    Gripper,
    Interaction,
    Observation,
    PathPoint,
    Plan,
    Pose,
    RobotState,
    Role,
    Segments,
)

POINTS = 256
PATH_POINTS = 8
# Value in `Features.point_roles`, and row - 1 in `Features.things`.
ROLES = {Role.TARGET: 1, Role.GOAL: 2, Role.AVOID: 3}
# What may be missing.
CHANNELS = ("path", "masks", "motion", "text")
# A chunk has this many poses, this many seconds apart; the first is one period ahead.
HORIZON, PERIOD = 16, 0.1
TIMES: Array = PERIOD * np.arange(1.0, HORIZON + 1)
# Heights of the planes that a path's rays are cut with, metres.
PLANES = (0.0, 0.3)
INTERACTIONS = tuple(Interaction)
# A ray that hardly descends is cut this far from the camera, metres along the optical axis.
_NEAR, _FAR = 0.05, 3.0
# A plan that lets go this far from the goal's middle means that place, metres.
_OFF = 0.015


@dataclass(frozen=True)
class Features:
    """One observation in the base frame, before anything is normalised or made relative.

    Channels that are missing are zeros with their flag at 0.

    Attributes:
        points: ``(N, 3)`` float32, metres: a sample of what stands on the table, without the
            robot; half of it from the masks where there are any, repeated where there is little.
            Demonstrations have N = `POINTS`, a policy looks at fewer.
        point_colors: ``(N, 3)`` uint8 RGB.
        point_roles: ``(N,)`` uint8, 0 or a value of `ROLES`.
        tool: ``(7,)`` float32 measured position in metres and quaternion (w, x, y, z).
        joints: ``(7,)`` float32 radians.
        gripper: ``(1,)`` float32 measured opening in [0, 1].
        things: ``(3, 9)`` float32, a row a role: centroid, size (metres), cosine and sine of twice
            the yaw, health. A goal's is where the plan lets go, if it says so off the middle.
        things_there: ``(3,)`` float32, 1 where the plan has a thing of that role.
        path: ``(PATH_POINTS, 6)`` float32: where each point's ray from the camera meets the planes
            z = 0 and z = 0.3, so that it means the same to every camera.
        path_pixels: ``(PATH_POINTS, 2)`` float32 normalised image coordinates.
        path_gripper: ``(PATH_POINTS,)`` uint8, a value of ``types.Gripper``.
        path_there: ``(PATH_POINTS,)`` float32.
        path_passed: ``(PATH_POINTS,)`` float32, 1 for points that the tool has passed since the
            plan came.
        closest: ``(1,)`` float32, how near the tool has come to the top of the target since then,
            metres, at most ``history.FAR``.
        camera: ``(11,)`` float32 position and quaternion of the optical frame, then fx, fy, cx, cy
            divided by the image width (fx, cx) and height.
        motion: ``(6,)`` float32: direction, metres still to go along it, radians still to turn,
            weight.
        motion_gripper: ``(1,)`` uint8, a value of ``types.Gripper``.
        motion_there: ``(1,)`` float32, 1 while a correction overrides the plan.
        interaction: ``(1,)`` uint8, index in ``types.Interaction``.
        text: The instruction in words.
    """

    points: NDArray[np.float32]
    point_colors: NDArray[np.uint8]
    point_roles: NDArray[np.uint8]
    tool: NDArray[np.float32]
    joints: NDArray[np.float32]
    gripper: NDArray[np.float32]
    things: NDArray[np.float32]
    things_there: NDArray[np.float32]
    path: NDArray[np.float32]
    path_pixels: NDArray[np.float32]
    path_gripper: NDArray[np.uint8]
    path_there: NDArray[np.float32]
    path_passed: NDArray[np.float32]
    closest: NDArray[np.float32]
    camera: NDArray[np.float32]
    motion: NDArray[np.float32]
    motion_gripper: NDArray[np.uint8]
    motion_there: NDArray[np.float32]
    interaction: NDArray[np.uint8]
    text: str

    def arrays(self) -> dict[str, NDArray]:
        """All but the text, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "text"}


def nothing(points: int = POINTS) -> Features:
    """An arm at the origin that sees nothing and was told nothing."""
    robot = RobotState(0.0, np.zeros(7), np.zeros(7), 0.0, IDENTITY)
    plan = Plan("", 0.0, "", IDENTITY, "", Interaction.NONE, (), (), 0.0, "none")
    return extract(Observation(0.0, robot, plan), points=points)


class Extractor:
    """Observations in their order to features: the account that a single one cannot keep.

    Demonstrations and the robot use this one class, so that both mean the same.

    Args:
        points: How many a cloud has.
    """

    def __init__(self, points: int = POINTS) -> None:
        self.account = CorrectionAccount()
        self._points = points
        self._history = History()
        self._plan_id: str | None = None
        self.remaining: Remaining | None = None
        self.done = Done()

    def reset(self) -> None:
        """A new episode."""
        self.account.clear()
        self._history.clear()
        self._plan_id, self.remaining, self.done = None, None, Done()

    def __call__(self, observation: Observation, seed: int = 0) -> Features:
        """Take in `observation`, which is newer than the ones before."""
        o = observation
        if o.plan.plan_id != self._plan_id:
            self._plan_id = o.plan.plan_id
            self._history.clear()
        self.remaining = self.account.update(o.motion, o.robot.tool, o.now)
        image = None
        if o.frame is not None and o.plan.path:
            tool = o.robot.tool.position
            image = project(tool, o.frame.intrinsics, o.plan.camera_pose)[0][0]
        self.done = self._history.update(
            shorten(o.plan.path, PATH_POINTS),
            image,
            o.robot.tool.position,
            o.robot.gripper,
            _current(o),
        )
        return extract(o, seed, self.remaining, self.done, self._points)


def extract(
    observation: Observation,
    seed: int = 0,
    remaining: Remaining | None = None,
    done: Done | None = None,
    points: int = POINTS,
) -> Features:
    """What the policy looks at, from what the controller knows. A millisecond or two.

    Args:
        observation: The newest of everything. Segments of another plan do not count.
        seed: Which pixels are drawn; the same seed gives the same features.
        remaining: What is left of a correction, as ``remaining.CorrectionAccount`` counts it;
            the motion in the observation itself is not looked at.
        done: What happened since the plan came, as ``history.History`` tells it.
        points: How many are drawn.
    """
    o = observation
    segments, drawn = _current(o), _path(o)
    cloud = (
        np.zeros((points, 3), dtype=np.float32),
        np.zeros((points, 3), dtype=np.uint8),
        np.zeros(points, dtype=np.uint8),
    )
    if o.frame is not None:
        cloud = sample_points(o.frame, o.robot, segments, ROLES, points, seed)
    return Features(
        points=cloud[0],
        point_colors=cloud[1],
        point_roles=cloud[2],
        **_robot(o.robot),
        **_things(segments, drawn.end if o.plan.interaction == Interaction.PLACE else None),
        **drawn.arrays,
        path_passed=_passed(o, done or Done()),
        closest=np.array([(done or Done()).closest], dtype=np.float32),
        **_motion(remaining),
        interaction=np.array([INTERACTIONS.index(o.plan.interaction)], dtype=np.uint8),
        text=o.plan.subtask or o.plan.instruction,
    )


def _current(o: Observation) -> Segments | None:
    """The segments, if they belong to the plan."""
    known = o.segments is not None and o.segments.plan_id == o.plan.plan_id
    return o.segments if known else None


def _robot(robot: RobotState) -> dict[str, NDArray]:
    tool = np.concatenate([robot.tool.position, robot.tool.quaternion])
    return {
        "tool": tool.astype(np.float32),
        "joints": np.asarray(robot.joint_positions, dtype=np.float32),
        "gripper": np.array([robot.gripper], dtype=np.float32),
    }


def _things(segments: Segments | None, end: Array | None) -> dict[str, NDArray]:
    things = np.zeros((len(ROLES), 9), dtype=np.float32)
    there = np.zeros(len(ROLES), dtype=np.float32)
    for role, number in ROLES.items():
        segment = segments.role(role) if segments is not None else None
        if segment is None:
            continue
        turn = (np.cos(2 * segment.yaw), np.sin(2 * segment.yaw))
        health = 0.0 if segment.lost else segment.health
        middle = segment.centroid
        if role == Role.GOAL and end is not None and np.linalg.norm((end - middle)[:2]) > _OFF:
            middle = np.array([*end[:2], middle[2]])
        things[number - 1] = [*middle, *segment.size, *turn, health]
        there[number - 1] = 1.0
    return {"things": things, "things_there": there}


def _passed(o: Observation, done: Done) -> NDArray[np.float32]:
    passed = np.zeros(PATH_POINTS, dtype=np.float32)
    if o.frame is not None:
        passed[: min(done.passed, PATH_POINTS, len(o.plan.path))] = 1.0
    return passed


class _Drawn(NamedTuple):
    """The path on the camera that it was drawn on, and that camera.

    `end`: ``(3,)`` where what is held is let go of, if the path says so with a depth.
    """

    arrays: dict[str, NDArray]
    end: Array | None = None


_NO_PATH: dict[str, NDArray] = {
    "path": np.zeros((PATH_POINTS, 2 * 3), dtype=np.float32),
    "path_pixels": np.zeros((PATH_POINTS, 2), dtype=np.float32),
    "path_gripper": np.zeros(PATH_POINTS, dtype=np.uint8),
    "path_there": np.zeros(PATH_POINTS, dtype=np.float32),
    "camera": np.zeros(11, dtype=np.float32),
}


def _path(o: Observation) -> _Drawn:
    if o.frame is None:
        return _Drawn(_NO_PATH)
    pose = o.plan.camera_pose if o.plan.path else o.frame.camera_pose
    place = (*pose.position.tolist(), *pose.quaternion.tolist())
    return _drawn(o.plan.path, o.frame.intrinsics, place)


@lru_cache(maxsize=8)
def _drawn(
    path: tuple[PathPoint, ...], camera: CameraIntrinsics, pose: tuple[float, ...]
) -> _Drawn:
    """What is the same until there is another path."""
    found = {name: array.copy() for name, array in _NO_PATH.items()}
    scale = np.array([camera.width, camera.height, camera.width, camera.height])
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy]) / scale
    found["camera"][:] = [*pose, *lens]
    short = shorten(path, PATH_POINTS)
    if short:
        count = len(short)
        pixels = np.array([[p.x, p.y] for p in short])
        found["path"][:count] = cut_rays(pixels, found["camera"])
        found["path_pixels"][:count] = pixels
        found["path_gripper"][:count] = [p.gripper for p in short]
        found["path_there"][:count] = 1.0
    opened = [p for p in path[1:] if p.gripper == Gripper.OPEN and np.isfinite(p.depth)]
    place = Pose(np.array(pose[:3]), np.array(pose[3:]))
    return _Drawn(found, deproject(opened[-1], camera, place) if opened else None)


def cut_rays(pixels: Array, camera: Array) -> Array:
    """Where the rays of pixels meet the two planes.

    Args:
        pixels: ``(..., 2)`` normalised image coordinates.
        camera: ``(11,)`` as in `Features`.

    Returns:
        ``(..., 6)`` metres in the base frame.
    """
    position, lens = np.asarray(camera[:3], dtype=float), camera[7:]
    rotation = quaternions.quat2mat(np.asarray(camera[3:7], dtype=float))
    local = np.ones((*pixels.shape[:-1], 3))
    local[..., :2] = (pixels - lens[2:]) / lens[:2]
    rays = local @ rotation.T
    # Upwards or level: it meets no plane below the camera; taken as far away.
    down = np.minimum(rays[..., 2:], -1e-6)
    cuts = [
        position + rays * np.clip((height - position[2]) / down, _NEAR, _FAR) for height in PLANES
    ]
    return np.concatenate(cuts, axis=-1)


def shorten(path: tuple[PathPoint, ...], most: int) -> tuple[PathPoint, ...]:
    """`path` with at most `most` points: the straightest ones go first, gripper events last."""
    points = [np.array([p.x, p.y]) for p in path]
    kept = list(range(len(path)))
    while len(kept) > most:
        costs = [
            segment_distance(points[k], points[before], points[after])
            + (path[k].gripper != Gripper.KEEP)
            for before, k, after in zip(kept, kept[1:], kept[2:], strict=False)
        ]
        del kept[1 + int(np.argmin(costs))]
    return tuple(path[k] for k in kept)


def _motion(remaining: Remaining | None) -> dict[str, NDArray]:
    motion, grip, there = np.zeros(6, np.float32), np.zeros(1, np.uint8), np.zeros(1, np.float32)
    if remaining is not None:
        r = remaining
        motion[:] = [*r.direction, r.distance, r.rotation, r.weight]
        grip[0], there[0] = int(r.gripper), 1.0
    return {"motion": motion, "motion_gripper": grip, "motion_there": there}
