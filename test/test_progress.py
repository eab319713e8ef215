"""How far the tool has come along a path."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy_nodes.planner.motions import Progress
from hierarchy_nodes.types import Gripper

KEEP, OPEN, CLOSE = Gripper.KEEP, Gripper.OPEN, Gripper.CLOSE
HOME, OVER, DOWN = np.array([0.3, 0.0, 0.4]), np.array([0.5, 0.1, 0.2]), np.array([0.5, 0.1, 0.03])
FETCH = ([HOME, OVER, DOWN, OVER, HOME], [OPEN, KEEP, CLOSE, KEEP, KEEP])


def goes(progress, tool, opening=1.0):
    found = progress.update(np.array(tool, dtype=float), opening)
    if found is None:
        return None
    way, event = found
    return way if event == KEEP else event


def test_points_are_passed_one_after_the_other():
    progress = Progress(*FETCH)
    np.testing.assert_allclose(goes(progress, HOME), OVER - HOME)
    np.testing.assert_allclose(goes(progress, OVER), DOWN - OVER)
    assert goes(progress, DOWN) == CLOSE
    assert goes(progress, DOWN, 0.97) == CLOSE
    np.testing.assert_allclose(goes(progress, DOWN, 0.5), OVER - DOWN)
    np.testing.assert_allclose(goes(progress, OVER, 0.5), HOME - OVER)
    assert goes(progress, HOME, 0.5) is None


def test_the_way_down_is_not_taken_for_the_way_back_up():
    progress = Progress([HOME, OVER, DOWN, OVER, HOME], [KEEP] * 5)
    goes(progress, OVER)
    for share in np.linspace(0.0, 0.8, 9):
        tool = OVER + share * (DOWN - OVER)
        np.testing.assert_allclose(goes(progress, tool), DOWN - tool)
    assert goes(progress, DOWN)[2] > 0


@pytest.mark.parametrize("came", [0.75, 0.5, 0.2])
def test_what_the_gripper_did_before_it_came_does_not_count(came):
    """It may be half open on its way to the thing, and half open with the thing in it."""
    progress = Progress(*FETCH)
    goes(progress, OVER, came)
    assert goes(progress, DOWN, came) == CLOSE
    assert goes(progress, DOWN, came - 0.1)[2] > 0
    release = Progress([OVER, DOWN, OVER], [KEEP, OPEN, KEEP])
    assert goes(release, DOWN, came) == OPEN
    assert goes(release, DOWN, came + 0.1)[2] > 0


def test_a_corner_that_is_cut_is_passed():
    progress = Progress([HOME, OVER, DOWN], [KEEP] * 3)
    assert goes(progress, OVER + np.array([0.03, 0.03, 0.0]))[2] == pytest.approx(0.0)
    beside = OVER + np.array([0.03, 0.0, -0.08])
    np.testing.assert_allclose(goes(progress, beside), DOWN - beside)


def test_what_is_nowhere_is_passed_at_once():
    progress = Progress([HOME, None, DOWN], [KEEP, OPEN, KEEP])
    np.testing.assert_allclose(goes(progress, HOME), DOWN - HOME)
    assert goes(Progress([HOME, None], [KEEP, KEEP]), HOME) is None
