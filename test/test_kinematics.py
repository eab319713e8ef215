"""The arm's geometry: forward and inverse, limits, and the hand's extent."""

import numpy as np
import pytest

from hierarchy_nodes.arm.description import load_description
from hierarchy_nodes.arm.kinematics import Kinematics, NoSolution
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.geometry import angle_between, top_down


@pytest.fixture(scope="module")
def kinematics():
    return Kinematics()


def test_home_points_down_above_the_table(kinematics):
    pose = kinematics.forward(kinematics.home)
    assert pose.position == pytest.approx([0.35, 0.0, 0.40], abs=1e-3)
    assert angle_between(pose.quaternion, top_down([0, 0, 0]).quaternion) < 1e-3


@pytest.mark.parametrize("x", [0.30, 0.65])
@pytest.mark.parametrize("y", [-0.30, 0.30])
@pytest.mark.parametrize("z", [0.01, 0.30])
def test_working_area_is_reached_within_joint_limits(kinematics, x, y, z):
    target = top_down([x, y, z], yaw=0.4)
    q = kinematics.solve(target)
    pose = kinematics.forward(q)
    assert np.linalg.norm(pose.position - target.position) < 1e-3
    assert angle_between(pose.quaternion, target.quaternion) < 0.01
    assert (q >= kinematics.lower).all()
    assert (q <= kinematics.upper).all()


def test_unreachable_pose_is_an_error(kinematics):
    with pytest.raises(NoSolution, match=r"2\."):
        kinematics.solve(top_down([2.0, 0.0, 0.3]), iterations=60)


def test_velocity_bounds_are_kept_and_the_tool_moves_as_asked(kinematics):
    bound = np.full(7, 1.0)
    target = top_down([0.36, 0.0, 0.40])
    dt = 0.05
    v = kinematics.velocities_towards(kinematics.home, target, dt, -bound, bound)
    assert (np.abs(v) <= bound + 1e-9).all()
    tight = kinematics.velocities_towards(kinematics.home, target, dt, -bound / 9, bound / 9)
    assert np.abs(tight).max() == pytest.approx(1 / 9)
    moved = kinematics.forward(kinematics.home + v * dt).position
    assert moved[0] == pytest.approx(0.36, abs=2e-3)
    assert moved[1:] == pytest.approx([0.0, 0.40], abs=2e-3)


def test_not_a_number_has_no_solution(kinematics):
    bound = np.ones(7)
    with pytest.raises(NoSolution):
        kinematics.velocities_towards(
            kinematics.home, top_down([np.nan, 0, 0.3]), 0.01, -bound, bound
        )


def test_redundant_joint_drifts_home(kinematics):
    target = kinematics.forward(kinematics.home)
    q = kinematics.solve(target, start=kinematics.home + 0.4 * np.eye(7)[0] - 0.4 * np.eye(7)[2])
    bound = kinematics.max_velocity
    before = np.abs(q - kinematics.home).max()
    for _ in range(200):
        q = q + 0.02 * kinematics.velocities_towards(q, target, 0.02, -bound, bound)
    assert np.abs(q - kinematics.home).max() < 0.3 * before
    assert np.linalg.norm(kinematics.forward(q).position - target.position) < 1e-3


def test_hand_extent_covers_open_fingers(kinematics):
    corners = kinematics.hand_corners
    assert corners[:, 1].max() >= 0.05  # an open finger and its thickness
    assert corners[:, 2].max() == pytest.approx(0.0, abs=2e-3)  # finger tips
    down = top_down([0.5, 0.0, 0.1])
    assert kinematics.lowest(down) == pytest.approx(0.1, abs=2e-3)


def test_broken_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        load_description(tmp_path / "nowhere.urdf")
    urdf = tmp_path / "a.urdf"
    urdf.write_text("<robot name='a'/>")
    (tmp_path / "a.yaml").write_text("joints: [elbow]\ngripper: {joint: g}\n")
    with pytest.raises(ConfigError, match="elbow"):
        load_description(urdf)
