"""The depth segmenter: from prompts to masks that stay on their things."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import BLUE, GREEN, RED, cube, noisy, picture, plan_for, plate, robot_at

from hardware.cameras.mock import Box
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.parameters import from_mapping
from hierarchy_nodes.segmenter.base import SEGMENTERS
from hierarchy_nodes.segmenter.depth import DepthOptions, DepthSegmenter
from hierarchy_nodes.types import Prompt, Role

PERIOD = 1 / 15
ARM = (150, 152, 155)


def start(boxes, *prompts, robot=None):
    segmenter = DepthSegmenter(DepthOptions())
    frame, _ = picture(boxes)
    segments = segmenter.reset(plan_for(frame, *prompts), frame, robot or robot_at(0.0))
    return segmenter, segments


def follow(segmenter, scenes, first=1, robot=None, noise=True):
    """Track one frame a scene; all results."""
    results = []
    for number, boxes in enumerate(scenes, start=first):
        stamp = number * PERIOD
        frame, which = picture(boxes, stamp)
        frame = noisy(frame, number) if noise else frame
        state = robot(number) if robot else robot_at(stamp)
        results.append((segmenter.track(frame, replace(state, stamp=stamp)), which))
    return results


def test_prompts_become_masks_with_roles_and_labels():
    boxes = [cube(0.40, 0.1, RED), plate(0.5, -0.1), cube(0.6, 0.15, GREEN)]
    _, segments = start(
        boxes,
        (Role.TARGET, "red block", (0.40, 0.1, 0.04)),
        (Role.GOAL, "blue plate", (0.5, -0.1, 0.012)),
    )
    _, which = picture(boxes)
    assert segments.plan_id == "plan-1"
    assert segments.mask.dtype == np.uint8
    target, goal = segments.role(Role.TARGET), segments.role(Role.GOAL)
    assert (target.id, target.label, target.lost) == (1, "red block", False)
    assert (goal.id, goal.label, goal.lost) == (2, "blue plate", False)
    assert target.health > 0.9
    for index, segment in ((1, target), (2, goal)):
        mask, truth = segments.mask == segment.id, which == index
        assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    assert np.linalg.norm(target.centroid - [0.40, 0.1, 0.02]) < 0.008


def test_prompt_beside_its_thing_takes_the_nearest_and_far_away_nothing():
    boxes = [cube(0.45, 0.1, RED), cube(0.45, -0.1, GREEN)]
    _, segments = start(boxes, (Role.TARGET, "near", (0.45, 0.07, 0.0)))
    assert not segments.segments[0].lost
    assert np.linalg.norm(segments.segments[0].centroid - [0.45, 0.1, 0.02]) < 0.008
    segmenter, segments = start(boxes, (Role.TARGET, "nowhere", (0.6, 0.0, 0.0)))
    (segment,) = segments.segments
    assert segment.lost
    assert segment.health == 0.0
    assert not segments.mask.any()
    assert np.isfinite(segment.centroid).all()
    ((later, _),) = follow(segmenter, [boxes])
    assert later.segments[0].lost


def test_two_prompts_on_one_thing_are_both_followed():
    boxes = [cube(0.45, 0.1, RED)]
    point = (0.45, 0.1, 0.04)
    segmenter, _ = start(boxes, (Role.TARGET, "a", point), (Role.AVOID, "b", point))
    ((segments, _),) = follow(segmenter, [boxes])
    assert [s.lost for s in segments.segments] == [False, False]


def test_follows_a_moving_thing_past_its_twin():
    """The red block is pushed past another red block; the mask stays on the first."""

    def scene(k):
        return [cube(0.40 + 0.008 * k, 0.05, RED), cube(0.50, -0.02, RED), plate(0.45, -0.18)]

    segmenter, _ = start(scene(0), (Role.TARGET, "red block", (0.40, 0.05, 0.04)))
    for k, (segments, which) in enumerate(follow(segmenter, map(scene, range(1, 26))), start=1):
        (segment,) = segments.segments
        truth = [0.40 + 0.008 * k, 0.05, 0.02]
        assert not segment.lost
        assert np.linalg.norm(segment.centroid - truth) < 0.012
        mask = segments.mask == 1
        assert (mask & (which == 1)).sum() / (mask | (which == 1)).sum() > 0.7
    assert segment.health > 0.7


def test_covered_by_the_arm_is_not_lost_and_keeps_its_place():
    base = [cube(0.45, 0.0, RED), plate(0.5, 0.2)]
    # Between camera and block, above the table region: as the arm would be.
    arm = Box((0.62, 0.0, 0.22), (0.06, 0.25, 0.15), ARM)
    segmenter, _ = start(base, (Role.TARGET, "red block", (0.45, 0.0, 0.04)))
    _, which = picture([*base, arm])
    assert not (which == 1).any(), "the block must be hidden"
    results = follow(segmenter, [[*base, arm]] * 20)
    healths = [segments.segments[0].health for segments, _ in results]
    last = results[-1][0].segments[0]
    assert not last.lost
    assert healths[-1] < healths[0]
    assert 0.2 < last.health < 0.75
    assert np.linalg.norm(last.centroid - [0.45, 0.0, 0.02]) < 0.008
    (back, _) = follow(segmenter, [base] * 15, first=21)[-1]
    assert back.segments[0].health > 0.8


def test_taken_away_is_lost_after_half_a_second_and_found_again():
    block, rest = cube(0.45, 0.0, RED), [plate(0.5, 0.2), cube(0.6, -0.2, GREEN)]
    segmenter, _ = start([block, *rest], (Role.TARGET, "red block", (0.45, 0.0, 0.04)))
    results = follow(segmenter, [rest] * 15)
    lost = [segments.segments[0].lost for segments, _ in results]
    assert not any(lost[:5])
    assert lost[-1]
    assert results[-1][0].segments[0].health == 0.0
    assert not results[-1][0].mask.any()
    # It comes back somewhere else.
    (found, _) = follow(segmenter, [[cube(0.38, -0.1, RED), *rest]] * 10, first=16)[-1]
    (segment,) = found.segments
    assert not segment.lost
    assert segment.health > 0.7
    assert np.linalg.norm(segment.centroid - [0.38, -0.1, 0.02]) < 0.01


def test_lost_thing_does_not_take_another_colour_or_a_twin():
    rest = [cube(0.5, 0.1, GREEN), cube(0.40, -0.15, RED)]
    segmenter, _ = start([cube(0.45, 0.0, RED), *rest], (Role.TARGET, "red", (0.45, 0.0, 0.04)))
    (segments, _) = follow(segmenter, [rest] * 30)[-1]
    assert segments.segments[0].lost


def test_held_thing_is_carried_with_the_tool_even_when_hidden():
    """Lifted and carried; half way a sheet hides hand and block from the camera."""
    rest = [plate(0.45, -0.2)]

    def tool(k):
        return np.array([0.45, 0.1 - 0.008 * k, 0.02 + 0.006 * min(k, 10)])

    def scene(k):
        x, y, z = tool(k)
        sheet = [Box((0.75, 0.0, 0.25), (0.02, 0.5, 0.5), ARM)] if 8 <= k <= 16 else []
        return [Box((x, y, z), (0.04, 0.04, 0.04), RED), *rest, *sheet]

    def robot(k):
        return robot_at(0.0, tool(k), gripper=0.5)

    segmenter, _ = start(
        scene(0),
        (Role.TARGET, "red block", (0.45, 0.1, 0.04)),
        (Role.GOAL, "blue plate", (0.45, -0.2, 0.012)),
        robot=robot(0),
    )
    for k, (segments, which) in enumerate(
        follow(segmenter, map(scene, range(1, 25)), robot=robot), start=1
    ):
        target, goal = segments.segments
        assert not target.lost
        assert np.linalg.norm(target.centroid - tool(k)) < 0.015, k
        assert np.linalg.norm(goal.centroid - [0.45, -0.2, 0.006]) < 0.008
        if k == 16:
            assert not (which == 1).any()
            assert target.health < 0.8
    assert target.health > 0.8


def test_dropped_thing_stays_behind():
    """The fingers say that they hold it, but the image shows that it stayed on the table."""
    block = cube(0.45, 0.0, RED)

    def robot(k):
        return robot_at(0.0, (0.45, 0.0, 0.02 + 0.01 * k), gripper=0.5)

    segmenter, _ = start([block], (Role.TARGET, "red", (0.45, 0.0, 0.04)), robot=robot(0))
    (segments, _) = follow(segmenter, [[block]] * 15, robot=robot)[-1]
    assert np.linalg.norm(segments.segments[0].centroid - [0.45, 0.0, 0.02]) < 0.01


def test_goal_does_not_wander_when_it_is_partly_covered():
    dish = plate(0.45, -0.1)
    segmenter, _ = start([dish], (Role.GOAL, "blue plate", (0.45, -0.1, 0.012)))
    rim = cube(0.50, -0.06, RED, side=0.06, z=0.012)
    for segments, _ in follow(segmenter, [[dish, rim]] * 15):
        (segment,) = segments.segments
        assert not segment.lost
        assert np.linalg.norm(segment.centroid - [0.45, -0.1, 0.006]) < 0.006


def test_put_on_a_thing_of_its_own_colour():
    """Block and plate grow together in the image; the depth still tells that the block is there."""

    def scene(k):
        return [plate(0.45, -0.1, RED), Box(tuple(tool(k)), (0.04, 0.04, 0.04), RED)]

    def tool(k):
        return np.array([0.45, -0.1, 0.032 + 0.01 * max(0, 8 - k)])

    def robot(k):
        return robot_at(0.0, tool(k), gripper=0.5)

    top = (0.45, -0.1, 0.132)
    segmenter, start_segments = start(scene(0), (Role.TARGET, "block", top), robot=robot(0))
    assert not start_segments.segments[0].lost
    (segments, _) = follow(segmenter, map(scene, range(1, 25)), robot=robot)[-1]
    (segment,) = segments.segments
    assert not segment.lost
    assert 0.4 < segment.health < 0.9
    assert np.linalg.norm(segment.centroid - tool(24)) < 0.01


def test_parted_by_something_in_front_is_still_one():
    bar = Box((0.45, 0.0, 0.02), (0.03, 0.2, 0.04), BLUE)
    post = Box((0.55, 0.0, 0.08), (0.03, 0.04, 0.16), GREEN)
    segmenter, _ = start([bar], (Role.TARGET, "bar", (0.45, 0.05, 0.04)))
    segments, which = follow(segmenter, [[bar, post]] * 5)[-1]
    mask, truth = segments.mask == 1, which == 1
    assert (mask & truth).sum() / truth.sum() > 0.75
    assert np.linalg.norm(segments.segments[0].centroid - [0.45, 0.0, 0.02]) < 0.012


def test_knocked_over():
    standing = Box((0.45, 0.0, 0.06), (0.04, 0.04, 0.12), GREEN)
    lying = Box((0.45, 0.05, 0.02), (0.04, 0.12, 0.04), GREEN)
    segmenter, _ = start([standing], (Role.TARGET, "bottle", (0.45, 0.0, 0.06)))
    (segments, _) = follow(segmenter, [[lying]] * 5)[-1]
    (segment,) = segments.segments
    assert not segment.lost
    assert np.linalg.norm(segment.centroid - lying.center) < 0.012
    assert segment.size[2] < 0.05


def test_a_thing_does_not_cover_itself():
    """A block that was seen tilted, and so larger, lies flat again, nearer to the camera.

    Where it was remembered it is then hidden behind itself, and is seen whole nevertheless.
    """
    tilted = Box((0.435, 0.0, 0.039), (0.049, 0.049, 0.049), RED)
    segmenter, _ = start([tilted], (Role.TARGET, "red block", tilted.center))
    (segments, _) = follow(segmenter, [[cube(0.45, 0.0, RED)]] * 10)[-1]
    (segment,) = segments.segments
    assert np.linalg.norm(segment.centroid - [0.45, 0.0, 0.02]) < 0.008
    assert max(segment.size) < 0.046


def test_new_plan_forgets_the_old_one():
    boxes = [cube(0.45, 0.0, RED), cube(0.5, 0.15, GREEN)]
    segmenter, _ = start(boxes, (Role.TARGET, "red", (0.45, 0.0, 0.04)))
    frame, _ = picture(boxes, 1.0)
    plan = replace(plan_for(frame, (Role.TARGET, "green", (0.5, 0.15, 0.04))), plan_id="plan-2")
    segments = segmenter.reset(plan, frame, robot_at(1.0))
    assert [s.label for s in segments.segments] == ["green"]
    assert segments.plan_id == "plan-2"


def test_no_depth_at_all_is_no_crash():
    boxes = [cube(0.45, 0.0, RED)]
    segmenter, _ = start(boxes, (Role.TARGET, "red", (0.45, 0.0, 0.04)))
    frame, _ = picture(boxes, 0.1)
    blind = replace(frame, depth=np.full_like(frame.depth, np.nan))
    segments = segmenter.track(blind, robot_at(0.1))
    assert not segments.segments[0].lost
    assert not segments.mask.any()


def test_prompt_outside_of_the_image_is_lost():
    frame, _ = picture([cube(0.45, 0.0, RED)])
    plan = replace(plan_for(frame), prompts=(Prompt(Role.TARGET, "x", 1.7, -0.3),))
    segments = DepthSegmenter(DepthOptions()).reset(plan, frame, robot_at(0.0))
    assert segments.segments[0].lost


def test_options_are_checked():
    assert SEGMENTERS.get("depth") is DepthSegmenter
    assert from_mapping(DepthOptions, {"lost_after": 1}).lost_after == 1.0
    with pytest.raises(UnknownNameError, match="lost_after"):
        from_mapping(DepthOptions, {"lost_aftr": 1.0})
    with pytest.raises(ConfigError, match="min_height"):
        from_mapping(DepthOptions, {"min_height": -1.0})
