"""The path follower draws through its path, and joins chunk to chunk."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from follower_world import BLOCK, HAMSTER, PLATE, World, place, plan, point

from hierarchy_nodes.controller.line import Line
from hierarchy_nodes.controller.path_follower import PathFollower, PathFollowerOptions
from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.geometry import top_down, yaw_of
from hierarchy_nodes.types import Gripper, Interaction


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
