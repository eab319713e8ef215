"""Clusters: every thing on the table once, where it is, in its own colour."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import BLUE, GREEN, RED, YELLOW, cube, nearest, noisy, picture, plate

from hardware.cameras.mock import Box
from hierarchy_nodes.geometry import matrix, pose_from_matrix, project
from hierarchy_nodes.robot_filter import RobotFilter
from hierarchy_nodes.segmenter.clusters import ClusterOptions, find_clusters
from hierarchy_nodes.types import Pose, RobotState

HOME = [0.0, -0.34697264, 0.0, 1.97478833, 0.0, 1.51377697, 0.0]


def overlap(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def random_scene(seed):
    """Five things on places of a loose grid."""
    rng = np.random.default_rng(seed)
    spots = [(x, y) for x in (0.33, 0.46, 0.59) for y in (-0.22, 0.0, 0.22)]
    rng.shuffle(spots)
    colors = [RED, GREEN, BLUE, YELLOW, (120, 30, 160)]
    boxes = []
    for (x, y), color in zip(spots, colors, strict=False):
        x, y = x + rng.uniform(-0.015, 0.015), y + rng.uniform(-0.02, 0.02)
        size = (rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.06), rng.uniform(0.02, 0.07))
        boxes.append(Box((x, y, size[2] / 2), size, color, rng.uniform(-1.5, 1.5)))
    return boxes


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [False, True])
def test_positions_sizes_and_masks(seed, noise):
    boxes = random_scene(seed)
    frame, which = picture(boxes)
    if noise:
        frame = noisy(frame, seed)
    clusters = find_clusters(frame)
    assert len(clusters) == len(boxes)
    for index, box in enumerate(boxes, start=1):
        found, away = nearest(clusters, box.center)
        assert away <= 0.008
        assert overlap(found.mask, which == index) > 0.8
        assert np.allclose(found.size, [*sorted(box.size[:2])[::-1], box.size[2]], atol=0.009)
        assert np.abs(found.color - box.color).max() < 80


def test_largest_first_and_pixel_on_the_thing():
    frame, which = picture([cube(0.4, 0.1, RED), plate(0.5, -0.1)])
    clusters = find_clusters(frame)
    assert [len(c.points) for c in clusters] == sorted(
        (len(c.points) for c in clusters), reverse=True
    )
    for cluster, index in zip(clusters, (2, 1), strict=True):
        x, y = cluster.pixel
        assert which[int(y * 240), int(x * 320)] == index


def test_block_on_plate_is_two_things():
    block = cube(0.45, -0.1, RED, z=0.012)
    frame, _ = picture([plate(0.45, -0.1), block])
    clusters = find_clusters(noisy(frame, 1))
    assert len(clusters) == 2
    found, away = nearest(clusters, block.center)
    assert away < 0.008
    assert found.size[2] == pytest.approx(0.04, abs=0.006)
    _, away = nearest(clusters, (0.45, -0.1, 0.006))
    assert away < 0.008


def test_twins_of_one_colour_stay_two():
    boxes = [cube(0.40, 0.0, RED), cube(0.48, 0.0, RED), cube(0.40, 0.07, RED)]
    frame, _ = picture(boxes)
    clusters = find_clusters(frame)
    assert len(clusters) == 3
    for box in boxes:
        assert nearest(clusters, box.center)[1] < 0.008


def test_yaw_follows_the_longer_side():
    bar = Box((0.45, 0.05, 0.015), (0.10, 0.03, 0.03), GREEN, 0.6)
    frame, _ = picture([bar])
    (found,) = find_clusters(frame)
    assert found.yaw == pytest.approx(0.6, abs=0.08)


def test_thin_plate_survives_and_bare_table_is_empty():
    frame, _ = picture([])
    assert find_clusters(noisy(frame, 0)) == []
    frame, _ = picture([Box((0.45, 0.0, 0.004), (0.12, 0.12, 0.008), BLUE)])
    assert len(find_clusters(noisy(frame, 0, depth=0.0005))) == 1


def test_painted_zone_is_a_thing_and_stays_apart_from_a_block_on_it():
    zone = Box((0.45, 0.1, 0.0005), (0.12, 0.12, 0.001), GREEN)
    block = cube(0.45, 0.1, RED, z=0.001)
    frame, _ = picture([zone, block])
    clusters = find_clusters(frame)
    assert len(clusters) == 2
    flat, away = nearest(clusters, zone.center)
    assert away < 0.012
    assert flat.size[2] < 0.004


def test_table_that_is_tilted_and_low():
    """The camera's pose is a little wrong: the table is found where it is seen."""
    block = cube(0.45, 0.05, RED)
    frame, which = picture([block, plate(0.5, -0.15)])
    tilt = np.eye(4)
    tilt[:3, :3] = [[1, 0, 0], [0, np.cos(0.02), -np.sin(0.02)], [0, np.sin(0.02), np.cos(0.02)]]
    tilt[2, 3] = -0.008
    moved = replace(frame, camera_pose=pose_from_matrix(tilt @ matrix(frame.camera_pose)))
    clusters = find_clusters(moved)
    assert len(clusters) == 2
    assert max(overlap(c.mask, which == 1) for c in clusters) > 0.85


def test_without_any_table_in_view_z_zero_counts():
    """A closed box fills the view's table region: no plane near z = 0 is seen."""
    frame, _ = picture([Box((0.5, 0.0, 0.05), (0.9, 1.4, 0.1), YELLOW)])
    clusters = find_clusters(frame)
    assert len(clusters) == 1
    assert np.median(clusters[0].points[:, 2]) == pytest.approx(0.1, abs=0.005)


def test_bad_depth_is_unknown():
    frame, _ = picture([cube(0.45, 0.0, RED)])
    depth = frame.depth.copy()
    depth[:, ::7] = np.nan
    depth[::9] = np.inf
    depth[::11] = 0.0
    (found,) = find_clusters(replace(frame, depth=depth))
    assert np.isfinite(found.points).all()
    assert np.linalg.norm(found.centroid - [0.45, 0.0, 0.02]) < 0.012
    assert find_clusters(replace(frame, depth=np.full_like(depth, np.nan))) == []
    assert find_clusters(replace(frame, depth=np.zeros_like(depth))) == []


def test_larger_images():
    boxes = [cube(0.4, 0.1, RED), plate(0.5, -0.1), cube(0.5, -0.1, GREEN, z=0.012)]
    frame, _ = picture(boxes, width=640, height=480)
    clusters = find_clusters(frame)
    assert len(clusters) == 3
    for box in boxes:
        assert nearest(clusters, box.center)[1] < 0.006


def test_outside_of_the_region_is_ignored():
    frame, _ = picture([cube(0.45, 0.0, RED), cube(0.45, 0.3, GREEN)])
    assert len(find_clusters(frame)) == 2
    assert len(find_clusters(frame, options=ClusterOptions(y_max=0.2))) == 1


def robot(gripper=0.5):
    tool = Pose(np.array([0.35, 0.0, 0.40]), np.array([0.0, 1.0, 0.0, 0.0]))
    return RobotState(0.0, np.array(HOME), np.zeros(7), gripper, tool)


def test_robot_filter_knows_the_hand_and_the_fingers():
    own = RobotFilter()
    fingers = [[0.35, 0.026, 0.445], [0.35, -0.026, 0.445]]
    assert own.mask(np.array([[0.35, 0.0, 0.53], [0.35, 0.0, 0.65]]), robot()).all()
    assert own.mask(np.array(fingers), robot(0.5)).all()
    # Opened fingers leave where the closed ones were; a held thing between them stays.
    between = np.array([[0.35, 0.0, 0.41], [0.35, 0.008, 0.42], [0.45, 0.0, 0.02]])
    assert not own.mask(between, robot(0.5)).any()
    assert own.mask(between[:2], robot(0.0)).all()
    assert own.mask(np.zeros((0, 3)), robot()).shape == (0,)


def test_robot_in_view_is_no_thing():
    """Fingers are drawn where they are at home; only when no robot is known are they things."""
    fingers = [
        Box((0.35, y, 0.445), (0.022, 0.012, 0.09), (100, 105, 110)) for y in (-0.028, 0.028)
    ]
    frame, which = picture([*fingers, cube(0.5, 0.1, RED)], width=640, height=480)
    assert (which == 1).sum() > 50
    options = ClusterOptions(z_max=0.6)
    assert len(find_clusters(frame, None, options)) == 3
    (found,) = find_clusters(frame, robot(0.55), options)
    assert np.linalg.norm(found.centroid - [0.5, 0.1, 0.02]) < 0.008


def test_pixel_projects_onto_the_box():
    frame, _ = picture([cube(0.4, -0.1, GREEN)])
    (found,) = find_clusters(frame)
    middle, _ = project(found.centroid, frame.intrinsics, frame.camera_pose)
    assert np.abs(middle[0] - found.pixel).max() < 0.03
