"""What planners with a learned model share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import look_at, project
from hierarchy_nodes.planner.learned import check_reach, surface, understood
from hierarchy_nodes.types import CameraIntrinsics, Interaction, Prompt, RgbdFrame, Role


@pytest.fixture
def frame():
    """A camera 1 m over (0.5, 0.0) that looks straight down at a bare table, nearly."""
    lens = CameraIntrinsics(320, 240, 300.0, 300.0, 160.0, 120.0)
    pose = look_at((0.5, 0.0, 1.0), (0.501, 0.0, 0.0))
    depth = np.ones((240, 320), np.float32)
    return RgbdFrame(0.0, "camera", np.zeros((240, 320, 3), np.uint8), depth, lens, pose)


def prompt_at(frame, x, y):
    pixel, _ = project(np.array([x, y, 0.0]), frame.intrinsics, frame.camera_pose)
    return Prompt(Role.TARGET, "cup", float(pixel[0, 0]), float(pixel[0, 1]))


def test_a_pixel_is_a_point_on_what_is_seen_there(frame):
    cup = prompt_at(frame, 0.4, 0.1)
    assert surface(cup.x, cup.y, frame) == pytest.approx([0.4, 0.1, 0.0], abs=0.005)


def test_one_hole_in_the_depth_is_looked_over_and_a_wide_one_is_told(frame):
    row, column = 120, 160
    frame.depth[row, column] = 0.0
    assert surface(0.5, 0.5, frame) == pytest.approx([0.5, 0.0, 0.0], abs=0.005)
    frame.depth[row - 1 : row + 2, column - 1 : column + 2] = 0.0
    assert surface(0.5, 0.5, frame) is None


def test_what_is_too_near_or_too_far_is_refused_with_its_distance(frame):
    near, far = prompt_at(frame, 0.3, 0.0), prompt_at(frame, 0.6, 0.0)
    check_reach([near, far], frame, 0.2, 0.8)
    for least, most, told in ((0.35, 0.8, "0.30 m"), (0.2, 0.55, "0.60 m")):
        with pytest.raises(PlanningError, match=f"The cup is out of reach: it is {told}") as found:
            check_reach([near, far], frame, least, most)
        assert found.value.code == ErrorCode.OUT_OF_REACH
    # Where there is no depth, others look for it.
    check_reach([far], replace(frame, depth=np.zeros_like(frame.depth)), 0.2, 0.55)


def test_words_beyond_the_grammar_are_not_understood():
    step = understood("push the red block, then press the button")
    assert step is not None
    assert step.interaction == Interaction.PUSH
    assert understood("sing me a song about robots") is None
