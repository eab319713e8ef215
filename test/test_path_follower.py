"""The path follower on a tool that follows chunks with a lag: no physics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from hierarchy_nodes.controller.line import Line
from hierarchy_nodes.controller.path_follower import PathFollower, PathFollowerOptions
from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.geometry import look_at, project, slerp, top_down, yaw_of
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
    from hierarchy_nodes.geometry import matrix

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


def test_exact_place_path_is_followed_to_its_end():
    world = World()
    step = world.run(place())
    assert step.state == "done"
    assert np.allclose(world.block[:2], PLATE[:2], atol=0.006)
    assert world.phases == [
        "prepare",
        "approach",
        "descend",
        "grasp",
        "lift",
        "carry",
        "lower",
        "release",
        "retreat",
        "done",
    ]
    # The end of the path, away from the camera's view.
    assert np.allclose(world.tool.position, [0.35, 0, 0.38], atol=0.01)


@pytest.mark.parametrize("count", [2, 4])
def test_hamster_path_without_depth(count):
    points = HAMSTER.path if count == 4 else (HAMSTER.path[1], HAMSTER.path[3])
    world = World()
    step = world.run(plan(points))
    assert step.state == "done", step
    assert np.allclose(world.block[:2], PLATE[:2], atol=0.006)
    trail = np.array(world.trail)
    # From above: near the block's height only when straight over it.
    beside = np.linalg.norm(trail[:, :2] - BLOCK[:2], axis=1) > 0.02
    off_plate = np.linalg.norm(trail[:, :2] - PLATE[:2], axis=1) > 0.02
    assert trail[beside & off_plate][:, 2].min() > 0.1
    assert trail[:, 2].min() > 0.007


def test_hamster_path_without_segments_uses_depth():
    bare = replace(HAMSTER, prompts=())
    world = World(follower=PathFollower(PathFollowerOptions()), graspable=False)
    step = world.run(bare, segments=False)
    # The table is empty: the tool reaches down where the path says, and finds nothing.
    assert step.code == ErrorCode.GRASP_FAILED
    assert np.allclose(world.tool.position[:2], BLOCK[:2], atol=0.03)


def test_travel_is_at_normal_speed_and_slow_at_the_contact():
    world = World()
    world.run(place(), until=lambda step: step.phase == "grasp")
    speeds = np.linalg.norm(np.diff(np.array(world.trail), axis=0), axis=1) / 0.05
    heights = np.array(world.trail)[1:, 2]
    assert 0.2 < speeds.max() < 0.27
    assert speeds[heights < 0.04].max() < 0.1


def test_speed_factor_slows_down():
    def duration(speed):
        world = World(speed=speed)
        world.run(place())
        return world.time

    assert duration(0.5) - 10 > 1.5 * (duration(1.0) - 10)


@pytest.mark.parametrize(
    ("yaw", "expected"), [(0.3, 0.3), (math.pi / 2, math.pi / 2), (2.8, -0.34)]
)
def test_fingers_close_across_the_short_side(yaw, expected):
    world = World(block_size=(0.09, 0.03, 0.03), yaw=yaw)
    world.run(place(), until=lambda step: step.phase == "grasp")
    difference = (yaw_of(world.tool.quaternion) - expected + math.pi / 2) % math.pi - math.pi / 2
    assert abs(difference) < 0.03


def test_a_square_block_is_taken_by_the_nearer_pair_of_sides():
    world = World(yaw=1.3)
    world.run(place(), until=lambda step: step.phase == "grasp")
    assert abs(yaw_of(world.tool.quaternion) - (1.3 - math.pi / 2)) < 0.03


@pytest.mark.parametrize("interaction", [Interaction.PUSH, Interaction.KNOCK, Interaction.CLOSE])
def test_sweeps_go_through_their_points_broadside(interaction):
    start, end = np.array([0.40, 0.0, 0.03]), np.array([0.40, 0.15, 0.03])
    up = np.array([0, 0, 0.2])
    points = [
        point((0.35, 0, 0.4), Gripper.CLOSE),
        point(start + up),
        point(start),
        point(end),
        point(end + up),
        point((0.35, 0, 0.38)),
    ]
    world = World()
    step = world.run(plan(points, interaction))
    assert step.state == "done"
    assert str(interaction) in world.phases
    trail = np.array(world.trail)
    for goal in (start, end):
        assert np.linalg.norm(trail - goal, axis=1).min() < 0.012
    assert world.gripper < 0.05


@pytest.mark.parametrize("floor", [0.0, 0.04])
def test_press_follows_its_points(floor):
    top = np.array([0.5, 0.1, 0.03])
    points = [
        point((0.35, 0, 0.4), Gripper.CLOSE),
        point(top + np.array([0, 0, 0.1])),
        point(top),
        point(top + np.array([0, 0, 0.1])),
        point((0.35, 0, 0.38)),
    ]
    # The button gives way to its travel's end only.
    world = World(floor=floor)
    step = world.run(plan(points, Interaction.PRESS))
    assert step.state == "done", step
    assert np.linalg.norm(np.array(world.trail) - top, axis=1).min() < 0.02


# Chunks


def test_chunk_starts_at_the_tool_and_is_well_formed():
    world = World()
    step = world.tick(place())
    chunk = step.chunk
    assert chunk.positions.shape == (16, 3)
    assert chunk.quaternions.shape == (16, 4)
    assert np.all(np.diff(chunk.times) > 0)
    assert chunk.stamp == 10.0
    assert np.allclose(chunk.positions[0], (0.35, 0, 0.40), atol=1e-9)
    assert np.allclose(np.linalg.norm(chunk.quaternions, axis=1), 1)


def test_successive_chunks_agree():
    world = World()
    the_plan = place()
    before = None
    for _ in range(60):
        step = world.tick(the_plan)
        if before is not None and step.phase == "approach":
            at = step.chunk.stamp - before.stamp
            expected = [np.interp(at, before.times, before.positions[:, i]) for i in range(3)]
            assert np.allclose(step.chunk.positions[0], expected, atol=0.004)
        before = step.chunk


def test_after_a_pause_the_plan_starts_from_the_measured_pose():
    world = World()
    the_plan = place()
    for _ in range(15):
        world.tick(the_plan)
    world.tool = top_down((0.40, 0.05, 0.35))
    world.time += 2.0
    step = world.tick(the_plan)
    assert np.allclose(step.chunk.positions[0], (0.40, 0.05, 0.35), atol=1e-9)
    assert world.run(the_plan).state == "done"


def test_line_keeps_its_speed_limits():
    poses = [top_down(p) for p in ((0, 0, 0), (0.3, 0, 0), (0.3, 0.2, 0))]
    line = Line(poses, [0.25, 0.25], [(0, 0), (0.04, 0.08)], 0.8)
    times = np.arange(0, 6, 0.01)
    way, speed = line.advance(0.0, 0.0, times)
    assert line.length == pytest.approx(0.5)
    assert way[-1] == pytest.approx(0.5)
    assert speed.max() <= 0.25 + 1e-6
    assert np.abs(np.diff(speed)).max() <= 0.8 * 0.01 * 2 + 0.021
    assert speed[np.argmin(np.abs(way - 0.3))] < 0.06
    assert speed[way > 0.462].max() < 0.085


# Things that move, vanish, slip


def test_a_moved_block_is_followed():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "approach" and step.progress > 0.05)
    world.block = BLOCK + np.array([0.08, -0.06, 0.0])
    step = world.run(the_plan)
    assert step.state == "done", step
    assert np.allclose(world.block[:2], PLATE[:2], atol=0.006)


def test_a_moved_goal_is_followed():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "carry")
    world.plate = PLATE + np.array([-0.06, -0.05, 0.0])
    assert world.run(the_plan).state == "done"
    assert np.allclose(world.block[:2], world.plate[:2], atol=0.006)


def test_jitter_of_the_boxes_is_not_followed():
    world = World()
    random = np.random.default_rng(0)
    the_plan = place()
    quiet = World()
    quiet.run(the_plan, until=lambda step: step.phase == "grasp")
    while True:
        world.block = BLOCK + random.normal(0, 0.002, 3)
        if world.tick(the_plan).phase == "grasp":
            break
    assert np.allclose(world.tool.position, quiet.tool.position, atol=0.003)


def test_lost_target_holds_then_fails():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "approach")
    world.lost = frozenset({Role.TARGET})
    step = world.run(the_plan, until=lambda step: step.state == "holding")
    assert step.state == "holding"
    assert "red block" in step.message
    held_at = world.tool.position
    step = world.run(the_plan)
    assert (step.state, step.code) == ("failed", ErrorCode.TARGET_LOST)
    assert np.linalg.norm(world.tool.position - held_at) < 0.05


def test_a_short_loss_is_survived():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "approach")
    world.lost = frozenset({Role.TARGET})
    world.run(the_plan, until=lambda step: step.state == "holding")
    world.lost = frozenset()
    assert world.run(the_plan).state == "done"


def test_no_segments_at_all_fails_by_name():
    step = World().run(place(), segments=False)
    assert (step.state, step.code) == ("failed", ErrorCode.TARGET_LOST)


def test_closing_on_nothing_is_a_failed_grasp():
    world = World(graspable=False)
    step = world.run(place())
    assert (step.state, step.code) == ("failed", ErrorCode.GRASP_FAILED)
    again = world.tick(place())
    assert (again.state, again.chunk) == ("failed", None)


def test_a_slipped_block_is_a_failed_grasp():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "carry")
    world.held, world.graspable = False, False
    step = world.run(the_plan)
    assert (step.state, step.code) == ("failed", ErrorCode.GRASP_FAILED)
    assert "slipped" in step.message


def test_a_blocked_arm_is_stuck():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "approach")
    world.frozen = True
    step = world.run(the_plan)
    assert (step.state, step.code) == ("failed", ErrorCode.CONTROLLER_STUCK)


def test_a_new_plan_replaces_the_old():
    world = World()
    world.run(place(), until=lambda step: step.phase == "carry")
    home = [point(world.tool.position), point((0.35, 0, 0.38))]
    step = world.run(plan(home, Interaction.NONE, "p2", roles=False))
    assert step.state == "done"
    assert np.allclose(world.tool.position, [0.35, 0, 0.38], atol=0.01)
    # Carried on the way: the grip is kept.
    assert world.held


# Corrections


def test_correction_without_a_plan_moves_exactly_that_far():
    world = World()
    hold = replace(place(), path=(), plan_id="ended", valid_until=0.0)
    start = world.tool.position
    left = motion(world, direction=np.array([0.0, 1.0, 0.0]), distance=0.05)
    # The arm holds on chunks of a plan that is no longer valid.
    assert world.tick(hold, left).chunk.plan_id == ""
    for _ in range(60):
        world.tick(hold, left)
    assert np.allclose(world.tool.position - start, [0, 0.05, 0], atol=0.002)
    assert world.tick(hold, left).state == "holding"


def test_corrections_in_a_row_add_up():
    world = World()
    hold = replace(place(), path=(), plan_id="")
    start = world.tool.position
    for i in range(3):
        up = motion(world, f"up {i}", direction=np.array([0.0, 0.0, 1.0]), distance=0.02)
        for _ in range(4):
            world.tick(hold, up)
    for _ in range(60):
        world.tick(hold)
    assert np.allclose(world.tool.position - start, [0, 0, 0.06], atol=0.002)


def test_default_distance_rotation_and_gripper():
    world = World()
    hold = replace(place(), path=(), plan_id="")
    start = world.tool
    for _ in range(40):
        world.tick(hold, motion(world, "fwd", stamp=1.0, direction=np.array([1.0, 0, 0])))
    assert world.tool.position[0] - start.position[0] == pytest.approx(0.03, abs=0.002)
    for _ in range(60):
        world.tick(hold, motion(world, "turn", stamp=2.0, rotation=0.5))
    assert abs(yaw_of(world.tool.quaternion)) == pytest.approx(0.5, abs=0.02)
    for _ in range(60):
        world.tick(hold, motion(world, "close", stamp=3.0, gripper=Gripper.CLOSE))
    assert world.gripper < 0.05


def test_correction_never_goes_into_the_table():
    world = World()
    hold = replace(place(), path=(), plan_id="")
    for i in range(4):
        down = motion(world, f"down {i}", direction=np.array([0, 0, -1.0]), distance=0.3)
        for _ in range(80):
            world.tick(hold, down)
    assert world.tool.position[2] > 0.005


def test_correction_before_the_grasp_shifts_the_grasp():
    world = World(graspable=False)
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "approach" and step.progress > 0.05)
    left = motion(world, direction=np.array([0.0, 1.0, 0.0]), distance=0.02)
    step = world.run(the_plan, motion=left)
    assert step.code == ErrorCode.GRASP_FAILED
    assert np.allclose(world.tool.position, [BLOCK[0], BLOCK[1] + 0.02, 0.015], atol=0.006)


def test_correction_while_carrying_shifts_the_release():
    world = World()
    the_plan = place()
    world.run(the_plan, until=lambda step: step.phase == "carry")
    away = motion(world, direction=np.array([-1.0, 0.0, 0.0]), distance=0.04)
    assert world.run(the_plan, motion=away).state == "done"
    assert np.allclose(world.block[:2], PLATE[:2] - [0.04, 0], atol=0.006)


def test_planner_motions_and_old_corrections_move_nothing():
    world = World()
    hold = replace(place(), path=(), plan_id="")
    left = np.array([0.0, 1.0, 0.0])
    for words in (
        motion(world, direction=left, source="planner"),
        motion(world, direction=left, valid_until=world.time - 1),
    ):
        assert world.tick(hold, words).chunk is None
