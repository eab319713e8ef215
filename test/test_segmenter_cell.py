"""Perception on images of the simulated cell, against the simulator's truth."""

import numpy as np
import pytest
from scenes import plan_for

from hardware.base import JointCommand
from hardware.cell.cell import Cell
from hardware.cell.scene import ObjectSpec, SceneSpec
from hardware.cell.tasks import sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.segmenter.clusters import find_clusters
from hierarchy_nodes.segmenter.depth import DepthOptions, DepthSegmenter
from hierarchy_nodes.types import RobotState, Role

SEEDS = range(20)


def look(cell):
    """The frame and the arm at that moment."""
    state = cell.arm_state()
    tool = top_down([0.35, 0.0, 0.40])
    robot = RobotState(state.stamp, state.positions, state.velocities, state.gripper, tool)
    return cell.capture(), robot


@pytest.mark.parametrize("axis", ["basic", "novel_object"])
def test_every_thing_of_a_scene_is_one_cluster_where_it_is(axis, record_property):
    errors, surplus = [], []
    for seed in SEEDS if axis == "basic" else range(5):
        scene, _ = sample("place", seed, axis)
        cell = Cell(scene)
        try:
            clusters = find_clusters(*look(cell))
            surplus.append(len(clusters) - len(scene.objects))
            for thing in scene.objects:
                truth = cell.data.body(thing.name).xpos
                found = min(clusters, key=lambda c: np.linalg.norm(c.centroid - truth))
                errors.append(np.linalg.norm(found.centroid - truth))
                if thing.shape not in ("ball",):
                    expected = [*sorted(thing.size[:2])[::-1], thing.size[2]]
                    assert np.allclose(found.size, expected, atol=0.015), thing.name
        finally:
            cell.close()
    record_property("errors_mm", [round(1e3 * e, 1) for e in errors])
    assert max(errors) <= 0.015
    assert np.median(errors) <= 0.004
    assert surplus == [0] * len(surplus)


def script(block, goal):
    """Tool positions and gripper openings of a pick and place, a second or so each."""
    (x, y), (u, v) = block, goal
    return [
        ((x, y, 0.15), 1.0),
        ((x, y, 0.022), 1.0),
        ((x, y, 0.022), 0.3),
        ((x, y, 0.18), 0.3),
        ((u, v, 0.18), 0.3),
        ((u, v, 0.04), 0.3),
        ((u, v, 0.04), 1.0),
        ((u, v, 0.20), 1.0),
        ((0.35, 0.0, 0.40), 1.0),
    ]


def test_follows_a_block_through_a_real_grasp_onto_a_plate():
    """The arm picks a block and puts it on the plate; the truth is the simulator's."""
    block, dish = (0.42, 0.12), (0.52, -0.12)
    make = ObjectSpec.make
    twin = make("red", "block", (0.58, 0.15), name="twin")
    scene = SceneSpec((make("red", "block", block), make("blue", "plate", dish), twin))
    cell, kinematics = Cell(scene), Kinematics()
    segmenter = DepthSegmenter(DepthOptions())

    def robot():
        return kinematics.robot_state(cell.arm_state())

    try:
        frame = cell.capture()
        prompts = (
            (Role.TARGET, "red block", (*block, 0.04)),
            (Role.GOAL, "blue plate", (*dish, 0.012)),
        )
        segmenter.reset(plan_for(frame, *prompts), frame, robot())
        joints, opening = cell.arm_state().positions, 1.0
        wander, away, lost = [], [], 0
        for position, gripper in script(block, dish):
            goal = kinematics.solve(top_down(position), joints)
            steps = 100
            for step in range(1, steps + 1):
                share = 0.5 - 0.5 * np.cos(np.pi * step / steps)
                mixed = joints + share * (goal - joints)
                grip = opening + share * (gripper - opening)
                cell.command(JointCommand(mixed, np.zeros(7), grip))
                cell.step(0.01)
                if step % 10 == 0:
                    segments = segmenter.track(cell.capture(), robot())
                    target, plate = segments.segments
                    truth = cell.data.body("red_block").xpos
                    lost += target.lost or plate.lost
                    away.append(np.linalg.norm(target.centroid - truth))
                    wander.append(np.linalg.norm(plate.centroid[:2] - dish))
            joints, opening = goal, gripper
        lifted = cell.data.body("red_block").xpos
    finally:
        cell.close()
    assert np.linalg.norm(lifted[:2] - dish) < 0.03, "the grasp itself must work"
    print(f"target: median {np.median(away):.4f}, worst {max(away):.4f} m; n = {len(away)}")
    print(f"goal: worst {max(wander):.4f} m")
    assert lost == 0
    assert np.median(away) < 0.008
    assert max(away) < 0.015
    assert max(wander) < 0.012
    assert away[-1] < 0.008
    assert target.health > 0.8
