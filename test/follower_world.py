"""A tool that follows chunks with a lag, a block and a plate: no physics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hierarchy_nodes.controller.path_follower import PathFollower, PathFollowerOptions
from hierarchy_nodes.geometry import look_at, matrix, project, slerp, top_down
from hierarchy_nodes.types import (
    CameraIntrinsics,
    Gripper,
    Interaction,
    LanguageMotion,
    Observation,
    PathPoint,
    Plan,
    Pose,
    Prompt,
    RgbdFrame,
    RobotState,
    Role,
    Segment,
    Segments,
)

CAMERA = look_at((1.10, 0.0, 0.75), (0.45, 0.0, 0.02))
INTRINSICS = CameraIntrinsics(320, 240, 290.0, 290.0, 160.0, 120.0)
BLOCK = np.array([0.45, 0.10, 0.02])
PLATE = np.array([0.50, -0.15, 0.006])


def frame(stamp: float = 0.0) -> RgbdFrame:
    """An empty table."""
    u, v = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    local = np.stack([(u - 160) / 290, (v - 120) / 290, np.ones_like(u)], axis=-1)
    down = (local @ matrix(CAMERA)[:3, :3].T)[..., 2]
    depth = np.where(down < 0, -CAMERA.position[2] / down, 0.0).astype(np.float32)
    return RgbdFrame(
        stamp, "camera", np.zeros((240, 320, 3), dtype=np.uint8), depth, INTRINSICS, CAMERA
    )


FRAME = frame()


def point(position, gripper=Gripper.KEEP, exact=True) -> PathPoint:
    uv, depth = project(np.array([position], dtype=float), INTRINSICS, CAMERA)
    x, y = np.clip(uv[0], 0.0, 1.0)
    return PathPoint(x, y, float(depth[0]) if exact else math.nan, gripper)


def plan(points, interaction=Interaction.PLACE, plan_id="p1", roles=True) -> Plan:
    prompts = (Prompt(Role.TARGET, "red block", 0.5, 0.5), Prompt(Role.GOAL, "plate", 0.5, 0.5))
    return Plan(
        plan_id=plan_id,
        stamp=0.0,
        frame_id="camera",
        camera_pose=CAMERA,
        instruction="put the red block on the plate",
        interaction=interaction,
        path=tuple(points),
        prompts=prompts if roles else (),
        valid_until=1e9,
        source="test",
    )


def place(exact=True) -> Plan:
    up = np.array([0, 0, 0.2])
    grasp, release = np.array([*BLOCK[:2], 0.015]), np.array([*PLATE[:2], 0.035])
    return plan(
        [
            point((0.35, 0, 0.4), Gripper.OPEN),
            point(BLOCK + up),
            point(grasp, Gripper.CLOSE),
            point(grasp + up),
            point(PLATE + up),
            point(release, Gripper.OPEN),
            point(release + up),
            point((0.35, 0, 0.38)),
        ]
    )


HAMSTER = plan(
    [
        point((0.35, 0, 0.3), exact=False),
        point(BLOCK, Gripper.CLOSE, exact=False),
        point((BLOCK + PLATE) / 2 + [0, 0, 0.2], exact=False),
        point(PLATE, Gripper.OPEN, exact=False),
    ]
)


@dataclass
class World:
    """A lagging tool, a block that sticks to fingers that close on it, segments of both."""

    follower: PathFollower = field(default_factory=lambda: PathFollower(PathFollowerOptions()))
    tool: Pose = field(default_factory=lambda: top_down((0.35, 0.0, 0.40)))
    gripper: float = 1.0
    time: float = 10.0
    block: np.ndarray = field(default_factory=lambda: BLOCK.copy())
    plate: np.ndarray = field(default_factory=lambda: PLATE.copy())
    block_size: tuple = (0.04, 0.04, 0.04)
    yaw: float = 0.0
    lost: frozenset = frozenset()
    frozen: bool = False
    floor: float = 0.0
    held: bool = False
    graspable: bool = True
    speed: float = 1.0
    trail: list = field(default_factory=list)
    phases: list = field(default_factory=list)

    def segments(self, plan_id: str) -> Segments:
        def segment(i, role, centroid, size):
            lost = role in self.lost
            return Segment(
                i, role, str(role), 0.0 if lost else 1.0, lost, centroid.copy(), size, self.yaw
            )

        parts = (
            segment(1, Role.TARGET, self.block, np.array(self.block_size)),
            segment(2, Role.GOAL, self.plate, np.array([0.16, 0.16, 0.012])),
        )
        mask = np.zeros((240, 320), dtype=np.uint8)
        return Segments(self.time, "camera", plan_id, mask, parts)

    def observe(self, the_plan: Plan, motion=None, segments=True) -> Observation:
        state = RobotState(self.time, np.zeros(7), np.zeros(7), self.gripper, self.tool)
        seen = self.segments(the_plan.plan_id) if segments else None
        return Observation(self.time, state, the_plan, FRAME, seen, motion, self.speed)

    def tick(self, the_plan: Plan, motion=None, segments=True):
        step = self.follower.act(self.observe(the_plan, motion, segments))
        if step.phase and (not self.phases or self.phases[-1] != step.phase):
            self.phases.append(step.phase)
        if step.chunk is not None:
            for _ in range(5):
                self.time += 0.01
                self._follow(step.chunk)
        else:
            self.time += 0.05
        self.trail.append(self.tool.position.copy())
        return step

    def _follow(self, chunk):
        at = (self.time - chunk.stamp) * self.speed
        goal = np.array([np.interp(at, chunk.times, chunk.positions[:, i]) for i in range(3)])
        i = min(int(np.searchsorted(chunk.times, at)), len(chunk.times) - 1)
        if not self.frozen:
            lag = 0.01 / 0.06
            position = self.tool.position + lag * (goal - self.tool.position)
            position[2] = max(position[2], self.floor)
            turned = slerp(self.tool.quaternion, chunk.quaternions[i], lag)
            self.tool = Pose(position, turned)
        wanted = float(np.interp(at, chunk.times, chunk.gripper))
        near = np.linalg.norm(self.tool.position - self.block) < 0.025 and self.graspable
        if wanted < 0.5 and near and self.gripper < 0.55:
            self.held = True
        if wanted > 0.6:
            self.held = False
        floor = 0.5 if self.held else 0.0
        self.gripper = max(floor, self.gripper + np.clip(wanted - self.gripper, -0.03, 0.03))
        if self.held:
            self.block = self.tool.position.copy()

    def run(self, the_plan: Plan, limit: float = 60.0, until=None, **kwargs):
        deadline = self.time + limit
        while self.time < deadline:
            step = self.tick(the_plan, **kwargs)
            if step.state in ("done", "failed") or (until is not None and until(step)):
                return step
        raise AssertionError(f"not ended: {step}")


def motion(world: World, text="left", **fields) -> LanguageMotion:
    values = {
        "stamp": world.time,
        "source": "correction",
        "correction_id": text,
        "valid_until": world.time + 5.0,
    }
    return LanguageMotion(text=text, **(values | fields))


# Plans
