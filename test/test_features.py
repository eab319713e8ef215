"""What the policy sees: points, things, path and what is left of corrections."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scenes import BLUE, GREEN, RED, cube, picture, plan_for, plate, robot_at

from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.controller.diffusion.features import (
    PATH_POINTS,
    POINTS,
    Extractor,
    extract,
    nothing,
    shorten,
)
from hierarchy_nodes.controller.diffusion.history import FAR
from hierarchy_nodes.controller.diffusion.remaining import CorrectionAccount, Remaining
from hierarchy_nodes.geometry import matrix, on_plane, project, top_down
from hierarchy_nodes.types import (
    Gripper,
    LanguageMotion,
    Observation,
    PathPoint,
    RobotState,
    Role,
    Segment,
    Segments,
)

BLOCK, PLATE, OTHER = (0.45, 0.10, 0.02), (0.50, -0.15, 0.006), (0.58, 0.02, 0.02)
TOOL = np.array([0.35, 0.0, 0.40])


def segment(number, role, place, lost=False, yaw=0.0) -> Segment:
    return Segment(number, role, str(role), 0.9, lost, np.array(place), np.full(3, 0.04), yaw)


def scene(tool=TOOL, **more) -> Observation:
    frame, which = picture([cube(*BLOCK[:2], RED), plate(*PLATE[:2]), cube(*OTHER[:2], GREEN)])
    mask = np.where(which == 1, 7, np.where(which == 2, 3, 0)).astype(np.uint8)
    segments = Segments(
        0.0, frame.frame_id, "plan-1", mask,
        (segment(7, Role.TARGET, BLOCK, yaw=0.3), segment(3, Role.GOAL, PLATE)),
    )  # fmt: skip
    path = (
        point(frame, TOOL),
        point(frame, (0.45, 0.10, 0.12)),
        point(frame, BLOCK, Gripper.CLOSE),
        point(frame, (0.50, -0.15, 0.15)),
        point(frame, PLATE, Gripper.OPEN),
    )
    plan = replace(plan_for(frame, (Role.TARGET, "block", BLOCK)), path=path)
    return replace(Observation(0.0, robot_at(0.0, tool), plan, frame, segments), **more)


def point(frame, place, gripper=Gripper.KEEP) -> PathPoint:
    (x, y), _ = project(np.array(place), frame.intrinsics, frame.camera_pose)[0][0], None
    return PathPoint(float(x), float(y), math.nan, gripper)


def test_points_lie_on_the_things_and_carry_their_roles():
    found = extract(scene(), seed=3)
    assert found.points.shape == (POINTS, 3)
    roles = found.point_roles
    assert [int((roles == r).sum()) for r in (0, 1, 2, 3)] == [128, 64, 64, 0]
    for role, place, size in ((1, BLOCK, 0.04), (2, PLATE, 0.15)):
        away = np.abs(found.points[roles == role] - place).max(axis=0)
        assert np.all(away[:2] <= size / 2 + 0.005)
    rest = found.points[roles == 0]
    assert np.abs(rest - OTHER).max() < 0.03
    assert np.all(rest[:, 2] > 0.004)
    red, blue = (found.point_colors[roles == r].mean(0) for r in (1, 2))
    assert red.argmax() == np.argmax(RED)
    assert blue.argmax() == np.argmax(BLUE)


def test_the_same_seed_gives_the_same_and_another_other_points():
    first, again, other = (extract(scene(), seed=s) for s in (1, 1, 2))
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
    assert not np.array_equal(first.points, other.points)


def test_flat_masks_count_though_they_are_on_the_table():
    observation = scene()
    mask = np.zeros_like(observation.segments.mask)
    u, v = project(np.array((0.40, -0.05, 0.0)), observation.frame.intrinsics,
                   observation.frame.camera_pose)[0][0]  # fmt: skip
    row, column = int(v * 240), int(u * 320)
    mask[row - 6 : row + 6, column - 6 : column + 6] = 3
    found = extract(replace(observation, segments=replace(observation.segments, mask=mask)))
    painted = found.points[found.point_roles == 2]
    assert len(painted) == POINTS // 2
    assert np.abs(painted[:, 2]).max() < 0.004
    assert np.abs(painted[:, :2] - (0.40, -0.05)).max() < 0.05


def test_the_robot_is_no_thing():
    # A box where the arm's own hand is said to be.
    joints = np.array([0.0, 0.3, 0.0, 1.9, 0.0, 0.9, 0.0])
    tool = Kinematics().forward(joints)
    robot = RobotState(0.0, joints, np.zeros(7), 1.0, tool)
    middle = matrix(tool)[:3] @ (0.0, 0.0, -0.13, 1.0)
    hand = replace(cube(0.5, 0.0, GREEN, 0.02), center=tuple(middle))
    frame, _ = picture([hand])
    plan = plan_for(frame)
    seen = extract(Observation(0.0, robot, plan, frame))
    away = extract(Observation(0.0, robot_at(0.0), plan, frame))
    assert np.abs(away.points - middle).max() < 0.03
    assert not seen.points.any()


def test_things_come_from_the_segments_of_this_plan():
    found = extract(scene())
    np.testing.assert_array_equal(found.things_there, [1, 1, 0])
    np.testing.assert_allclose(found.things[0, :3], BLOCK, atol=1e-6)
    np.testing.assert_allclose(found.things[0, 6:], [math.cos(0.6), math.sin(0.6), 0.9], atol=1e-6)
    observation = scene()
    old = replace(observation.segments, plan_id="before")
    stale = extract(replace(observation, segments=old))
    assert stale.things_there.sum() == 0
    assert stale.point_roles.sum() == 0
    lost = (segment(7, Role.TARGET, BLOCK, lost=True),)
    gone = extract(replace(observation, segments=replace(observation.segments, segments=lost)))
    assert gone.things[0, 8] == 0


@pytest.mark.parametrize(
    ("off", "depth", "meant"), [(0.04, True, 0.04), (0.04, False, 0.0), (0.008, True, 0.0)]
)
def test_a_plan_that_lets_go_beside_the_goals_middle_means_that_place(off, depth, meant):
    observation = scene()
    end = np.array([PLATE[0], PLATE[1] + off, PLATE[2] + 0.03])
    image, away = project(end, observation.frame.intrinsics, observation.frame.camera_pose)
    opened = PathPoint(*map(float, image[0]), float(away[0]) if depth else math.nan, Gripper.OPEN)
    plan = replace(observation.plan, path=(*observation.plan.path[:-1], opened))
    found = extract(replace(observation, plan=plan))
    expected = [PLATE[0], PLATE[1] + meant, PLATE[2]]
    np.testing.assert_allclose(found.things[1, :3], expected, atol=1e-5)
    np.testing.assert_allclose(found.things[0, :3], BLOCK, atol=1e-6)


def test_path_rays_meet_both_planes():
    observation = scene()
    found = extract(observation)
    np.testing.assert_array_equal(found.path_there, [1] * 5 + [0] * 3)
    np.testing.assert_array_equal(found.path_gripper[:5], [0, 0, 2, 0, 1])
    for k, p in enumerate(observation.plan.path):
        for z, columns in ((0.0, slice(0, 3)), (0.3, slice(3, 6))):
            expected = on_plane(
                p.x, p.y, observation.frame.intrinsics, observation.plan.camera_pose, z
            )
            np.testing.assert_allclose(found.path[k, columns], expected, atol=1e-4)
    assert not found.path[5:].any()


def test_long_paths_keep_their_ends_events_and_corners():
    xs = np.linspace(0.1, 0.9, 12)
    path = [PathPoint(float(x), 0.5) for x in xs]
    path[3] = replace(path[3], gripper=Gripper.CLOSE)
    path[6] = replace(path[6], y=0.8)
    found = shorten(tuple(path), PATH_POINTS)
    assert len(found) == PATH_POINTS
    assert found[0] == path[0]
    assert found[-1] == path[-1]
    assert path[3] in found
    assert path[6] in found
    assert shorten(tuple(path[:3]), PATH_POINTS) == tuple(path[:3])


def test_what_is_missing_is_zero():
    found = nothing()
    for name, array in found.arrays().items():
        if name not in ("tool", "closest"):
            assert not array.any(), name


def test_the_extractor_remembers_what_was_passed_and_touched():
    extractor = Extractor()
    down = [(0.35, 0, 0.40), (0.45, 0.10, 0.12), BLOCK, (0.45, 0.10, 0.12)]
    passed, closest = [], []
    for tool, gripper in zip(down, (1.0, 1.0, 0.5, 0.5), strict=True):
        observation = scene()
        found = extractor(replace(observation, robot=robot_at(0.0, tool, gripper)))
        passed.append(int(found.path_passed.sum()))
        closest.append(float(found.closest[0]))
    # Above the block before and after: all that differs is what was done.
    assert passed == [1, 2, 3, 3]
    assert closest[1] == pytest.approx(0.08, abs=1e-3)
    assert closest[3] == pytest.approx(0.02, abs=1e-3)
    new = scene()
    new = replace(new, plan=replace(new.plan, plan_id="plan-2"))
    again = extractor(new)
    assert int(again.path_passed.sum()) == 1
    assert again.closest[0] == FAR


def test_the_extractor_remembers_how_deep_the_tool_went_into_the_target():
    extractor, seen = Extractor(), []
    x, y, _ = BLOCK
    for place in ((x, y, 0.12), (x, y, 0.032), (x + 0.06, y, 0.01), (x, y, 0.12)):
        extractor(scene(tool=place))
        seen.append(extractor.done.pressed)
    assert seen == pytest.approx([0.0, 0.008, 0.008, 0.008])
    blind = Extractor()
    blind(scene(segments=None))
    assert math.isnan(blind.done.pressed)


def test_a_gripper_event_is_passed_only_when_the_gripper_has_acted():
    extractor = Extractor()
    for tool in ((0.35, 0, 0.40), (0.45, 0.10, 0.12), BLOCK):
        found = extractor(replace(scene(), robot=robot_at(0.0, tool, 1.0)))
    assert int(found.path_passed.sum()) == 2


def told(direction=(0.0, 1.0, 0.0), distance=0.05, stamp=0.0, **more) -> LanguageMotion:
    return LanguageMotion(
        stamp, "words", np.array(direction), distance, valid_until=stamp + 2.0,
        source="correction", **more,
    )  # fmt: skip


def at(*offset, yaw=0.0):
    return top_down(TOOL + offset, yaw)


def test_what_was_travelled_is_taken_off():
    account = CorrectionAccount()
    motion = told()
    left = account.update(motion, at(0, 0, 0), 0.0)
    assert (left.distance, tuple(left.direction)) == (pytest.approx(0.05), (0, 1, 0))
    left = account.update(motion, at(0, 0.03, 0), 0.3)
    assert left.distance == pytest.approx(0.02)
    # Pushed aside, it leads back to where it was asked to go.
    left = account.update(motion, at(0.02, 0.05, 0), 0.4)
    np.testing.assert_allclose(left.direction, [-1, 0, 0], atol=1e-9)
    assert account.update(motion, at(0, 0.049, 0), 0.5) is None
    assert account.update(motion, at(0, 0.0, 0), 0.6) is None


def test_corrections_add_up_and_end_in_time():
    account = CorrectionAccount()
    account.update(told(distance=0.05), at(0, 0, 0), 0.0)
    left = account.update(told((1, 0, 0), 0.04, stamp=0.2, weight=2.0), at(0, 0.02, 0), 0.2)
    np.testing.assert_allclose(left.direction * left.distance, [0.04, 0.03, 0])
    assert left.weight == 2.0
    assert account.update(None, at(0, 0.02, 0), 2.1) is not None
    assert account.update(None, at(0, 0.02, 0), 2.3) is None


@pytest.mark.parametrize("turn", [0.5, -0.5, 1.5, math.pi - 0.01])
def test_turns_are_counted(turn):
    account = CorrectionAccount()
    motion = told((0, 0, 0), 0.0, rotation=turn)
    assert account.update(motion, at(0, 0, 0), 0.0).rotation == pytest.approx(turn)
    # The approach axis points down: a positive turn about it is a negative yaw.
    left = account.update(motion, at(0, 0, 0, yaw=-0.6 * turn), 0.2)
    assert left.rotation == pytest.approx(0.4 * turn, abs=1e-6)
    assert account.update(motion, at(0, 0, 0, yaw=-turn), 0.3) is None


def test_the_planners_motions_do_not_count():
    account = CorrectionAccount()
    assert account.update(replace(told(), source="planner"), at(0, 0, 0), 0.0) is None
    assert account.update(replace(told(), valid_until=-1.0), at(0, 0, 0), 0.0) is None


def test_gripper_corrections_last_a_while():
    account = CorrectionAccount()
    motion = told((0, 0, 0), 0.0, gripper=Gripper.CLOSE)
    assert account.update(motion, at(0, 0, 0), 0.0).gripper == Gripper.CLOSE
    assert account.update(motion, at(0, 0, 0), 0.9).gripper == Gripper.CLOSE
    assert account.update(motion, at(0, 0, 0), 1.1) is None


def test_motion_features():
    left = Remaining(np.array([0.0, 0.0, 1.0]), 0.02, -0.3, Gripper.OPEN, 1.5)
    found = extract(scene(), remaining=left)
    np.testing.assert_allclose(found.motion, [0, 0, 1, 0.02, -0.3, 1.5], atol=1e-6)
    assert (found.motion_gripper[0], found.motion_there[0]) == (Gripper.OPEN, 1.0)
    assert extract(scene(), remaining=None).motion_there[0] == 0.0
