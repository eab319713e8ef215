"""Backend sam2 without its model: scripted masks, of which some are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import BLUE, GREEN, RED, cube, noisy, picture, plan_for, plate, robot_at

from hardware.cameras.mock import Box
from hierarchy_nodes.segmenter.masks import MaskReader
from hierarchy_nodes.segmenter.sam2.backend import Sam2Segmenter
from hierarchy_nodes.segmenter.sam2.health import Verdict, look_distance
from hierarchy_nodes.segmenter.sam2.options import Sam2Options
from hierarchy_nodes.segmenter.sam2.tracker import Guess
from hierarchy_nodes.types import Prompt, Role

PERIOD = 1 / 15
ARM = (150, 152, 155)
FACE = np.array([1.0, 0.0, 0.0])


class ScriptedTracker:
    """Follows the box that it was pointed at, unless `says` has another mask for the key."""

    def __init__(self):
        self.which = np.zeros((240, 320), np.int32)
        self.boxes, self.pending, self.says = {}, {}, {}
        self.remembered, self.pointed, self.shown = [], [], 0
        self.score, self.iou, self.look = 0.95, 0.9, FACE

    def show(self, color):
        assert color.shape == (*self.which.shape, 3)
        self.shown += 1
        self.pending.clear()

    def point(self, key, x, y):
        self.pointed.append((key, x, y))
        height, width = self.which.shape
        inside = 0 <= x < 1 and 0 <= y < 1
        box = self.which[int(y * height), int(x * width)] if inside else 0
        self.pending[key] = box
        return self._guess(self.which == box)

    def follow(self, key):
        self.pending.setdefault(key, self.boxes[key])
        mask = self.which == self.boxes[key]
        if key in self.says:
            mask = self.says[key](self.which)
        return self._guess(mask)

    def remember(self, key):
        self.boxes[key] = self.pending.pop(key)
        self.remembered.append(key)

    def forget(self, key):
        self.boxes.pop(key, None)

    def _guess(self, mask):
        score = self.score if mask.any() else 0.02
        return Guess(mask, score, self.iou, self.look)


class World:
    """The backend, its tracker, and the scene that both look at."""

    def __init__(self, boxes, *prompts, robot=None, **options):
        self.tracker = ScriptedTracker()
        self.backend = Sam2Segmenter(Sam2Options(**options), self.tracker)
        self.stamp, self.robot = 0.0, robot or robot_at(0.0)
        self.segments = self.plan(boxes, *prompts)

    def plan(self, boxes, *prompts, name="plan-1"):
        frame, self.tracker.which = picture(boxes, self.stamp)
        plan = replace(plan_for(frame, *prompts), plan_id=name)
        return self.backend.reset(plan, frame, replace(self.robot, stamp=self.stamp))

    def run(self, boxes, frames=1, robot=None, period=PERIOD):
        for _ in range(frames):
            self.stamp += period
            frame, self.tracker.which = picture(boxes, self.stamp)
            frame = noisy(frame, round(self.stamp * 1000))
            self.robot = robot or self.robot
            self.segments = self.backend.track(frame, replace(self.robot, stamp=self.stamp))
        return self.segments

    @property
    def target(self):
        return self.segments.role(Role.TARGET)

    @property
    def verdict(self):
        return self.backend.verdicts[0]


BLOCK, AT = cube(0.45, 0.0, RED), (Role.TARGET, "red block", (0.45, 0.0, 0.04))
TWIN = cube(0.47, 0.055, RED)


def test_prompts_become_masks_with_roles_and_places():
    boxes = [cube(0.40, 0.1, RED), plate(0.5, -0.1), cube(0.6, 0.15, GREEN)]
    world = World(
        boxes,
        (Role.TARGET, "red block", (0.40, 0.1, 0.04)),
        (Role.GOAL, "blue plate", (0.5, -0.1, 0.012)),
        (Role.AVOID, "green block", (0.6, 0.15, 0.04)),
    )
    for segments in (world.segments, world.run(boxes, 3)):
        assert [(s.id, s.role, s.lost) for s in segments.segments] == [
            (1, "target", False),
            (2, "goal", False),
            (3, "avoid", False),
        ]
        for index, segment in enumerate(segments.segments, start=1):
            mask, truth = segments.mask == segment.id, world.tracker.which == index
            assert (mask & truth).sum() / (mask | truth).sum() > 0.8
            assert segment.health > 0.85
        assert np.linalg.norm(segments.segments[0].centroid - [0.40, 0.1, 0.02]) < 0.008
        assert np.allclose(segments.segments[1].size, [0.14, 0.14, 0.012], atol=0.01)
    assert segments.plan_id == "plan-1"
    assert segments.stamp == world.stamp


def test_prompt_beside_its_thing_takes_the_nearest_and_far_away_nothing():
    boxes = [cube(0.45, 0.1, RED), cube(0.45, -0.1, GREEN)]
    world = World(boxes, (Role.TARGET, "near", (0.45, 0.07, 0.0)))
    assert not world.target.lost
    assert np.linalg.norm(world.target.centroid - [0.45, 0.1, 0.02]) < 0.008
    world = World(boxes, (Role.TARGET, "nowhere", (0.6, 0.0, 0.0)))
    assert world.target.lost
    assert world.target.health == 0.0
    assert world.backend.verdicts == [Verdict.NOTHING]
    world.run(boxes, 3)
    assert world.target.lost
    assert not world.segments.mask.any()
    assert world.tracker.shown == 1, "no image is encoded where there is nothing to follow"


def test_prompt_outside_of_the_image_is_lost():
    frame, _ = picture([BLOCK])
    plan = replace(plan_for(frame), prompts=(Prompt(Role.TARGET, "x", 1.7, -0.3),))
    segments = Sam2Segmenter(Sam2Options(), ScriptedTracker()).reset(plan, frame, robot_at(0.0))
    assert segments.segments[0].lost


def test_follows_a_thing_that_moves():
    world = World([cube(0.40, 0.05, RED), plate(0.45, -0.18)], (*AT[:2], (0.40, 0.05, 0.04)))
    for step in range(1, 16):
        at = 0.40 + 0.01 * step
        world.run([cube(at, 0.05, RED), plate(0.45, -0.18)])
        assert np.linalg.norm(world.target.centroid - [at, 0.05, 0.02]) < 0.01
    assert world.target.health > 0.7


def test_mask_that_bleeds_onto_the_table_does_no_harm():
    world = World([BLOCK], AT)
    rows, columns = np.indices((240, 320))

    def bleeding(which):
        middle_row, middle = np.argwhere(which == 1).mean(axis=0)
        return (abs(rows - middle_row) < 16) & (abs(columns - middle) < 16)

    world.tracker.says[1] = bleeding
    world.run([BLOCK], 8)
    assert np.linalg.norm(world.target.centroid - [0.45, 0.0, 0.02]) < 0.008
    assert not (world.segments.mask.astype(bool) & (world.tracker.which == 0)).sum() > 30


def test_jump_to_a_twin_while_the_thing_is_there_is_undone_by_pointing_again():
    world = World([BLOCK, TWIN], AT)
    world.run([BLOCK, TWIN], 3)
    world.tracker.says[1] = lambda which: which == 2
    world.run([BLOCK, TWIN], 10)
    assert world.verdict is Verdict.FITS
    assert len(world.tracker.pointed) == 11, "once by the plan, then on every image"
    assert np.linalg.norm(world.target.centroid - [0.45, 0.0, 0.02]) < 0.008
    assert world.target.health > 0.8
    assert world.tracker.boxes == {1: 1}, "the twin was never remembered"


@pytest.mark.parametrize("period", [PERIOD, 2.0])
def test_jump_to_a_twin_when_the_thing_is_gone_is_lost_and_stays_lost(period):
    """The twin is near enough to be reached and of the same colour and size."""
    world = World([BLOCK, TWIN], AT)
    world.run([BLOCK, TWIN], 3, period=period)
    count = len(world.tracker.remembered)
    world.tracker.says[1] = lambda which: which == 2
    away = Box((0.45, 0.0, -1.0), (0.01, 0.01, 0.01), RED)
    world.run([away, TWIN], 2, period=period)
    assert world.verdict is Verdict.ANOTHER
    world.run([away, TWIN], round(5 / period) + 1, period=period)
    assert world.target.lost
    assert world.target.health == 0.0
    assert not world.segments.mask.any()
    assert len(world.tracker.remembered) == count
    # It comes back, at another place.
    world.tracker.says.clear()
    back = cube(0.36, -0.06, RED)
    world.run([back, TWIN], 10, period=period)
    assert not world.target.lost
    assert np.linalg.norm(world.target.centroid - [0.36, -0.06, 0.02]) < 0.01


def test_a_far_jump_is_not_believed_even_if_nothing_stood_there():
    world = World([BLOCK], AT)
    world.run([BLOCK], 2)
    world.run([cube(0.45, -0.25, RED)])
    assert world.verdict is Verdict.TOO_FAR
    assert np.linalg.norm(world.target.centroid - [0.45, 0.0, 0.02]) < 0.008


def test_mask_that_merges_with_a_neighbour_is_not_believed():
    beside = cube(0.45, 0.041, RED)
    world = World([BLOCK, beside], AT)
    world.tracker.says[1] = lambda which: which > 0
    _, which = picture([BLOCK, beside], 0.1)
    world.tracker.point = lambda key, x, y: world.tracker._guess(which > 0)
    world.run([BLOCK, beside], 2)
    assert world.verdict in (Verdict.TOO_LARGE, Verdict.ANOTHER)
    assert max(world.target.size[:2]) < 0.05
    world.run([BLOCK, beside], 10)
    assert world.target.lost


def test_a_part_of_the_mask_while_all_of_it_is_seen_is_not_believed():
    world = World([BLOCK], AT)
    rows = np.indices((240, 320))[0]

    def top(which):
        inside = which == 1
        return inside & (rows < np.percentile(rows[inside], 35))

    world.tracker.says[1] = top
    world.run([BLOCK], 1)
    assert world.verdict is Verdict.FITS, "pointed again"
    assert len(world.tracker.pointed) == 2
    assert world.target.size[2] > 0.03


def test_another_colour_another_look_no_score_no_iou():
    other = cube(0.45, 0.0, GREEN)
    cases = [
        (dict(), [other], Verdict.COLOR),
        (dict(look=np.array([0.0, 1.0, 0.0])), [BLOCK], Verdict.LOOK),
        (dict(score=0.2), [BLOCK], Verdict.ABSENT),
        (dict(iou=0.1), [BLOCK], Verdict.UNSURE),
    ]
    for change, boxes, verdict in cases:
        world = World([BLOCK], AT)
        for name, value in change.items():
            setattr(world.tracker, name, value)
        world.run(boxes, 2)
        assert world.verdict is verdict
        assert not world.target.lost
        world.run(boxes, 10)
        assert world.target.lost, verdict


def test_doubtful_masks_lower_the_health():
    world = World([BLOCK], AT)
    world.tracker.iou, world.tracker.score = 0.4, 0.6
    world.run([BLOCK], 15)
    assert not world.target.lost
    assert 0.3 < world.target.health < 0.6


def test_hidden_by_the_arm_does_not_drift_onto_it_and_is_lost_after_a_while():
    """The mask slides onto fingers of the thing's own colour."""
    arm = Box((0.62, 0.0, 0.22), (0.06, 0.25, 0.15), ARM)
    fingers = [Box((0.35, y, 0.445), (0.022, 0.012, 0.09), RED) for y in (-0.028, 0.028)]
    robot = robot_at(0.0, gripper=0.55)
    world = World([BLOCK, plate(0.5, 0.3), *fingers], AT, robot=robot, z_max=0.6)
    world.run([BLOCK, plate(0.5, 0.3), *fingers], 3)
    hidden = [BLOCK, plate(0.5, 0.3), *fingers, arm]
    world.tracker.says[1] = lambda which: (which == 3) | (which == 4)
    world.run(hidden, 30)
    assert not (world.tracker.which == 1).any()
    assert world.verdict is Verdict.ROBOT
    assert not world.target.lost
    assert 0.2 < world.target.health < 0.75
    assert np.linalg.norm(world.target.centroid - [0.45, 0.0, 0.02]) < 0.008
    assert not world.segments.mask.any()
    remembered = len(world.tracker.remembered)
    # Free again in time ...
    world.tracker.says.clear()
    world.run([BLOCK, plate(0.5, 0.3), *fingers], 12)
    assert world.target.health > 0.8
    assert len(world.tracker.remembered) == remembered + 12
    # ... and for too long.
    world.tracker.says[1] = lambda which: which == 5
    world.run(hidden, 4, period=1.4)
    assert not world.target.lost
    world.run(hidden, 2, period=1.4)
    assert world.target.lost


def test_pixels_on_the_robot_are_no_part_of_a_mask():
    fingers = [Box((0.35, y, 0.445), (0.022, 0.012, 0.09), RED) for y in (-0.028, 0.028)]
    frame, which = picture([*fingers, BLOCK], width=640, height=480)
    reader = MaskReader(frame, robot_at(0.0, gripper=0.55), Sam2Options(z_max=0.6))
    assert reader.read((which == 1) | (which == 2)).robot > 0.8
    both = reader.read(which > 0)
    assert 0 < both.robot < 0.6
    assert np.linalg.norm(both.cluster.centroid - [0.45, 0.0, 0.02]) < 0.008
    nothing = reader.read(np.zeros_like(which, bool))
    assert nothing.cluster is None
    assert (nothing.robot, nothing.solid) == (0.0, 0.0)


def test_held_thing_goes_with_the_tool_and_is_no_jump():
    """Slow images: between two of them it is carried farther than a thing may jump."""

    def tool(k):
        return np.array([0.45, 0.1 - 0.08 * k, 0.02 + 0.05 * min(k, 1)])

    def scene(k):
        return [Box(tuple(tool(k)), (0.04, 0.04, 0.04), RED), plate(0.45, -0.25)]

    def robot(k):
        return robot_at(0.0, tool(k), gripper=0.5)

    world = World(scene(0), (*AT[:2], (0.45, 0.1, 0.04)), robot=robot(0))
    for k in range(1, 4):
        world.run(scene(k), robot=robot(k), period=0.1)
        assert world.verdict is Verdict.FITS
        assert np.linalg.norm(world.target.centroid - tool(k)) < 0.015


def test_new_plan_keeps_what_it_still_points_at_and_starts_the_rest_anew():
    boxes = [BLOCK, plate(0.5, -0.15), cube(0.6, 0.15, GREEN)]
    goal = (Role.GOAL, "plate", (0.5, -0.15, 0.012))
    world = World(boxes, AT, goal)
    world.run(boxes, 5)
    assert [key for key, _, _ in world.tracker.pointed] == [1, 2]
    other = (Role.TARGET, "green block", (0.6, 0.15, 0.04))
    segments = world.plan(boxes, other, goal, name="plan-2")
    assert [key for key, _, _ in world.tracker.pointed] == [1, 2, 3], "the plate was not"
    assert set(world.tracker.boxes) == {2, 3}, "the red block is forgotten"
    assert segments.plan_id == "plan-2"
    assert [(s.label, s.lost) for s in segments.segments] == [
        ("green block", False),
        ("plate", False),
    ]
    assert (segments.mask == 2)[world.tracker.which == 2].mean() > 0.8
    world.run(boxes, 2)
    assert world.tracker.remembered[-2:] == [3, 2]
    assert [s.lost for s in world.segments.segments] == [False, False]


def test_new_plan_starts_an_unhealthy_thing_anew():
    world = World([BLOCK, TWIN], AT)
    world.tracker.iou, world.tracker.score = 0.35, 0.55
    world.run([BLOCK, TWIN], 15)
    assert world.target.health < 0.5
    world.plan([BLOCK, TWIN], AT, name="plan-2")
    assert [key for key, _, _ in world.tracker.pointed] == [1, 2]


def test_plan_for_an_older_image_finds_the_thing_where_it_was_then():
    boxes = [cube(0.40, 0.1, RED), plate(0.5, -0.15)]
    world = World(boxes, (*AT[:2], (0.40, 0.1, 0.04)))
    old, _ = picture(boxes, 0.0)
    for step in range(1, 15):
        world.run([cube(0.40, 0.1 - 0.01 * step, RED), plate(0.5, -0.15)])
    plan = replace(plan_for(old, (*AT[:2], (0.40, 0.1, 0.04))), plan_id="plan-2")
    _, world.tracker.which = picture(boxes, 0.0)
    segments = world.backend.reset(plan, old, robot_at(0.0))
    assert segments.stamp == 0.0
    assert np.linalg.norm(segments.segments[0].centroid - [0.40, 0.1, 0.02]) < 0.01
    assert len(world.tracker.pointed) == 1
    world.run([cube(0.40, -0.05, RED), plate(0.5, -0.15)])
    assert np.linalg.norm(world.target.centroid - [0.40, -0.05, 0.02]) < 0.01


def test_two_prompts_on_one_thing_are_both_followed():
    world = World([BLOCK], AT, (Role.AVOID, "b", AT[2]))
    world.run([BLOCK], 2)
    assert [s.lost for s in world.segments.segments] == [False, False]


def test_no_depth_at_all_is_no_crash():
    world = World([BLOCK], AT)
    frame, _ = picture([BLOCK], 0.1)
    blind = replace(frame, depth=np.full_like(frame.depth, np.nan))
    segments = world.backend.track(blind, robot_at(0.1))
    assert not segments.segments[0].lost
    assert not segments.mask.any()


def test_look_distance_ignores_size():
    assert look_distance(FACE, 7 * FACE) == pytest.approx(0.0)
    assert look_distance(FACE, np.array([0.0, 2.0, 0.0])) == pytest.approx(1.0)
    assert look_distance(FACE, np.zeros(3)) == 0.0


def test_a_thing_on_another_of_its_colour():
    dish = Box((0.45, 0.0, 0.006), (0.14, 0.14, 0.012), BLUE)
    block = cube(0.45, 0.0, BLUE, z=0.012)
    world = World([dish, block], (Role.TARGET, "block", (0.45, 0.0, 0.052)))
    world.run([dish, block], 6)
    assert not world.target.lost
    assert np.linalg.norm(world.target.centroid - [0.45, 0.0, 0.032]) < 0.01
