"""The path follower under spoken corrections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from follower_world import BLOCK, PLATE, World, motion, place, plan, point

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.geometry import yaw_of
from hierarchy_nodes.types import Gripper, Interaction


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


def test_a_path_that_leads_nowhere_is_done_at_once():
    world = World()
    here = point(world.tool.position)
    nowhere = plan([here], interaction=Interaction.NONE, plan_id="aside", roles=False)
    assert world.run(nowhere, limit=10.0).state == "done"
