"""What is added to a chunk so that a spoken displacement is travelled."""

import numpy as np
import pytest

from hierarchy_nodes.controller.diffusion.features import HORIZON, TIMES
from hierarchy_nodes.controller.diffusion.obeying import LAG, SPEED, obeyed
from hierarchy_nodes.controller.diffusion.remaining import Remaining
from hierarchy_nodes.types import Gripper

TOOL = np.array([0.5, 0.1, 0.2])
LEFT = np.array([0.0, 1.0, 0.0])


def still() -> np.ndarray:
    chunk = np.zeros((HORIZON, 8))
    chunk[:, :3], chunk[:, 3] = TOOL, 1.0
    return chunk


def left(distance: float = 0.05, seconds: float = 1.0, direction=LEFT) -> Remaining:
    return Remaining(direction, distance, 0.0, Gripper.KEEP, 1.0, seconds)


def test_a_policy_that_hesitates_is_led_evenly():
    along = (obeyed(still(), TOOL, left()) - still())[:, 1]
    np.testing.assert_allclose(along, 0.05 * np.clip(TIMES / (1.0 - LAG), 0, 1), atol=1e-9)


def test_a_policy_that_is_ahead_is_left_alone_and_so_is_what_it_does_aside():
    chunk = still()
    chunk[:, 1] += 0.08 * np.clip(TIMES / 0.5, 0, 1)
    chunk[:, 2] -= 0.03
    np.testing.assert_array_equal(obeyed(chunk, TOOL, left()), chunk)
    chunk[:, 1] = TOOL[1] - 0.02
    moved = obeyed(chunk, TOOL, left())
    np.testing.assert_array_equal(moved[:, [0, 2]], chunk[:, [0, 2]])
    assert moved[-1, 1] == pytest.approx(TOOL[1] + 0.05)


def test_what_is_due_at_once_is_not_jumped_to():
    along = (obeyed(still(), TOOL, left(0.08, 0.01)) - still())[:, 1]
    assert np.diff(along).max() <= SPEED * np.diff(TIMES).max() + 1e-9
    assert along[0] <= SPEED * TIMES[0] + 1e-9
    assert along.max() == pytest.approx(0.08)


def test_actions_that_are_decided_stay_and_the_rest_goes_on_from_them():
    weights = np.zeros(HORIZON)
    weights[:3] = 1.0
    chunk = still()
    chunk[:, 1] += 0.01
    moved = obeyed(chunk, TOOL, left(), weights)
    np.testing.assert_array_equal(moved[:3], chunk[:3])
    assert 0 < moved[3, 1] - chunk[3, 1] < 0.01
    assert moved[-1, 1] == pytest.approx(TOOL[1] + 0.05)


def test_it_does_not_lead_into_the_table():
    down = Remaining(np.array([0.0, 0.0, -1.0]), 0.3, 0.0, Gripper.KEEP, 1.0, 1.0)
    assert 0 < obeyed(still(), TOOL, down)[:, 2].min() < 0.02


def test_turns_and_grips_alone_change_nothing():
    chunk = still()
    assert obeyed(chunk, TOOL, left(0.0, direction=np.zeros(3))) is chunk
