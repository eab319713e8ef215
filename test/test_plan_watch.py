"""What makes a plan obsolete: things moved, the grasp lost, the path left."""

import numpy as np
import pytest
from task_world import World

from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.planner.watch import PlanWatch
from hierarchy_nodes.types import (
    CameraIntrinsics,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Pose,
    RobotState,
    Role,
    Segment,
    Segments,
)

CAMERA = CameraIntrinsics(320, 240, 300.0, 300.0, 160.0, 120.0)
# Looks straight down from 1 m over (0.5, 0), its x along y of the base frame.
POSE = Pose(np.array([0.5, 0.0, 1.0]), np.array([0.0, 0.70710678, 0.70710678, 0.0]))
AWAY = (0.5, 0.4, 0.3)


def watch(interaction=Interaction.PLACE, moved=0.06, off_path=0.25):
    path = (
        PathPoint(0.5, 0.5, 1.0, Gripper.OPEN),
        PathPoint(0.5, 0.6, 1.0, Gripper.CLOSE),
        PathPoint(0.7, 0.6, 1.0, Gripper.OPEN),
    )
    plan = Plan("p", 0.0, "camera", POSE, "do it", interaction, path, (), 60.0, "test")
    return PlanWatch(plan, CAMERA, moved, off_path)


def robot(now, tool=AWAY, gripper=1.0):
    return RobotState(now, np.zeros(7), np.zeros(7), gripper, top_down(tool))


def segments(now, at, role=Role.TARGET, health=1.0, lost=False, size=0.04, plan_id="p"):
    box = np.array([size, size, 0.04])
    found = Segment(1, role, "red block", health, lost, np.array([*at, 0.02]), box, 0.0)
    return Segments(now, "camera", plan_id, np.zeros((1, 1), np.uint8), (found,))


def follow(core, places, tool=AWAY, **options):
    """One mask every 0.1 s; the first event, if there is one."""
    for i, place in enumerate(places):
        core.track(segments(0.1 * i, place, **options), robot(0.1 * i, tool))
        if core.event():
            return core.event()
    return ""


MOVED = [(0.4, -0.2)] * 3 + [(0.4, -0.2 + 0.02 * i) for i in range(5)] + [(0.4, -0.12)] * 6


@pytest.mark.parametrize("role", [Role.TARGET, Role.GOAL])
def test_a_moved_thing_is_told_once_it_lies_still(role):
    assert follow(watch(), MOVED, role=role) == "the red block was moved by 8 cm"
    assert follow(watch(), MOVED[:10], role=role) == ""


@pytest.mark.parametrize(
    "options",
    [{"plan_id": "another"}, {"lost": True}, {"health": 0.2}, {"role": Role.AVOID}, {"size": 0.12}],
)
def test_what_is_not_well_seen_or_not_of_the_task_moves_nothing(options):
    assert follow(watch(), MOVED, **options) == ""


def test_zero_switches_it_off():
    assert follow(watch(moved=0.0), MOVED) == ""


def test_what_the_hand_has_come_near_is_moved_by_the_hand():
    core = watch()
    core.track(segments(0.0, MOVED[0]), robot(0.0, (0.4, -0.2, 0.08)))
    assert follow(core, MOVED) == ""


def grip(core, openings, begin=0.0):
    for i, opening in enumerate(openings):
        core.feel(robot(begin + 0.1 * i, gripper=opening))
        if core.event():
            return core.event()
    return ""


def test_a_lost_grasp():
    taken = [1.0, 0.6, *[0.4] * 6]
    assert "no longer in the hand" in grip(watch(off_path=0.0), [*taken, *[0.0] * 6])
    # Closed on nothing, let go of, or squeezed for a moment only.
    assert grip(watch(off_path=0.0), [1.0, 0.6, 0.3, *[0.0] * 8]) == ""
    assert grip(watch(off_path=0.0), [*taken, 0.7, *[1.0] * 4, *[0.0] * 6]) == ""
    assert grip(watch(off_path=0.0), [*taken, 0.0, *[0.4] * 6]) == ""
    assert grip(watch(Interaction.OPEN, off_path=0.0), [*taken, *[0.0] * 6]) == ""


def test_a_tool_that_stays_far_off_its_path():
    core, near, far = watch(), (0.5, 0.05, 0.0), (0.5, -0.45, 0.0)
    told = []
    for i, tool in enumerate([near] * 5 + [far] * 15 + [near] * 2 + [far] * 25):
        core.feel(robot(0.1 * i, tool))
        told.append(core.event())
    assert told[:42] == [""] * 42
    assert told[-1] == "the tool is far from the path"


def test_a_new_plan_is_made_and_not_for_ever():
    world = World(max_events=2)
    world.start()
    for count in range(1, 4):
        world.run(1)
        plan = world.plan(prompted=True)
        world.run(1)
        for i, place in enumerate(MOVED):
            world.core.track(segments(world.now + 0.1 * i, place, plan_id=plan.plan_id))
        world.run(0.1)
        if count <= 2:
            assert world.core.task.plan is None
            assert world.plans[-1].subtask == "replanning: the red block was moved by 8 cm"
            # It is not the arm's fault.
            assert world.core.task.attempt == 1
    assert world.core.task.plan is plan
