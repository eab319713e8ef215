"""Poses, rays and pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import picture

from hardware.cameras.mock import front_camera
from hierarchy_nodes import geometry
from hierarchy_nodes.types import Pose

coordinate = st.floats(-2, 2)
angle = st.floats(-3.1, 3.1)
vector = st.tuples(coordinate, coordinate, coordinate).map(np.array)


@st.composite
def quaternions(draw):
    values = np.array([draw(st.floats(-1, 1)) for _ in range(4)])
    norm = np.linalg.norm(values)
    return values / norm if norm > 0.1 else np.array([1.0, 0.0, 0.0, 0.0])


@given(vector, quaternions())
def test_matrix_and_back(position, quaternion):
    again = geometry.pose_from_matrix(geometry.matrix(Pose(position, quaternion)))
    assert np.allclose(again.position, position)
    assert geometry.angle_between(again.quaternion, quaternion) < 1e-6


@given(vector, angle)
def test_top_down_points_down_with_the_fingers_across_yaw(position, yaw):
    transform = geometry.matrix(geometry.top_down(position, yaw))
    assert np.allclose(transform[:3, 2], [0, 0, -1], atol=1e-9)
    assert np.allclose(transform[:3, 0], [np.cos(yaw), np.sin(yaw), 0], atol=1e-9)
    assert abs(transform[:3, 1] @ [np.cos(yaw), np.sin(yaw), 0]) < 1e-9
    turned = geometry.yaw_of(geometry.top_down(position, yaw).quaternion)
    assert np.cos(turned - yaw) == pytest.approx(1.0)


@given(quaternions(), quaternions(), st.floats(0, 1))
def test_slerp_goes_the_short_way_at_even_speed(start, end, fraction):
    middle = geometry.slerp(start, end, fraction)
    whole = geometry.angle_between(start, end)
    assert np.linalg.norm(middle) == pytest.approx(1.0)
    assert geometry.angle_between(start, middle) == pytest.approx(fraction * whole, abs=2e-3)


def test_look_at():
    pose = geometry.look_at([1.1, 0.0, 0.75], [0.45, 0.0, 0.02])
    transform = geometry.matrix(pose)
    assert np.linalg.det(transform[:3, :3]) == pytest.approx(1.0)
    forward = np.array([-0.65, 0.0, -0.73])
    assert np.allclose(transform[:3, 2], forward / np.linalg.norm(forward))
    # Seen from the front, the robot's left is on the image's right.
    camera, _ = front_camera()
    pixels, depths = geometry.project(
        np.array([[0.45, 0.2, 0], [0.45, -0.2, 0], [0.45, 0, 0.02]]), camera, pose
    )
    assert pixels[0, 0] > 0.5 > pixels[1, 0]
    assert np.allclose(pixels[2], 0.5)
    assert (depths > 0).all()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 3))
def test_project_undoes_a_ray(x, y, depth):
    camera, pose = front_camera()
    point = pose.position + depth * geometry.ray(x, y, camera, pose)
    pixel, found = geometry.project(point, camera, pose)
    assert found[0] == pytest.approx(depth)
    assert np.allclose(pixel[0], [x, y], atol=1e-9)


@given(st.floats(0, 1), st.floats(0.3, 1), st.floats(-0.05, 0.2))
def test_on_plane(x, y, z):
    camera, pose = front_camera()
    point = geometry.on_plane(x, y, camera, pose, z)
    assert point[2] == pytest.approx(z)
    pixel, _ = geometry.project(point, camera, pose)
    assert np.allclose(pixel[0], [x, y], atol=1e-9)


def test_points_behind_the_camera_have_no_positive_depth():
    camera, pose = front_camera()
    _, depth = geometry.project(np.array([1.5, 0.0, 1.2]), camera, pose)
    assert depth[0] <= 0


def test_point_cloud_agrees_with_rays():
    frame, _ = picture([])
    cloud, known = geometry.point_cloud(frame)
    assert cloud.shape == (240, 320, 3)
    assert known.sum() > 0.8 * known.size
    row, column = 180, 40
    ray = geometry.ray((column + 0.5) / 320, (row + 0.5) / 240, frame.intrinsics, frame.camera_pose)
    expected = frame.camera_pose.position + float(frame.depth[row, column]) * ray
    assert np.allclose(cloud[row, column], expected)
    assert abs(cloud[row, column, 2]) < 1e-6


@pytest.mark.parametrize(
    ("point", "distance", "share"),
    [((1.0, 2.0), 2.0, 0.25), ((-3.0, 4.0), 5.0, 0.0), ((7.0, 4.0), 5.0, 1.0)],
)
def test_distance_from_a_segment_and_the_share_behind(point, distance, share):
    ends = np.zeros(2), np.array([4.0, 0.0])
    assert geometry.beside_segment(np.array(point), *ends) == pytest.approx((distance, share))
    assert geometry.segment_distance(np.array(point), *ends) == pytest.approx(distance)


def test_a_segment_without_length_is_a_point():
    spot = np.ones(3)
    assert geometry.beside_segment(np.array([1.0, 1.0, 3.0]), spot, spot) == (2.0, 0.0)
