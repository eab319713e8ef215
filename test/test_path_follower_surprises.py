"""The path follower where things move, vanish, slip and block."""

from __future__ import annotations

import numpy as np
from follower_world import BLOCK, PLATE, World, place, plan, point

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.types import Interaction, Role


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
