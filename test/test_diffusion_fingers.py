"""The tool waits for fingers that let go."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy_nodes.controller.diffusion.fingers import Fingers

HELD, TURNED = 0.6, [0.0, 1.0, 0.0, 0.0]


def chunk(gripper: float, rising: float = 0.1) -> np.ndarray:
    """Sixteen actions that rise by so many metres."""
    heights = np.linspace(0.05, 0.05 + rising, 16)
    return np.array([[0.4, 0.1, height, *TURNED, gripper] for height in heights])


@pytest.fixture
def holding() -> Fingers:
    fingers = Fingers()
    assert fingers.waited_for(chunk(0.0), HELD, 0.0)[-1, 2] > 0.1
    return fingers


def test_it_stays_until_they_have_opened(holding):
    first = holding.waited_for(chunk(1.0), HELD, 0.05)
    np.testing.assert_allclose(first[:, :7], np.tile(chunk(1.0)[0, :7], (16, 1)))
    assert (first[:, 7] == 1.0).all()
    later = chunk(1.0, rising=0.2)
    np.testing.assert_array_equal(holding.waited_for(later, HELD + 0.02, 0.10), first)
    np.testing.assert_array_equal(holding.waited_for(later, HELD + 0.10, 0.15), later)


def test_not_for_ever(holding):
    holding.waited_for(chunk(1.0), HELD, 0.05)
    assert np.ptp(holding.waited_for(chunk(1.0), HELD, 1.0)[:, 2]) == 0.0
    np.testing.assert_array_equal(holding.waited_for(chunk(1.0), HELD, 2.0), chunk(1.0))
    np.testing.assert_array_equal(holding.waited_for(chunk(1.0), HELD, 2.1), chunk(1.0))


def test_nor_where_it_keeps_the_thing_after_all(holding):
    holding.waited_for(chunk(1.0), HELD, 0.05)
    np.testing.assert_array_equal(holding.waited_for(chunk(0.0), HELD, 0.10), chunk(0.0))


@pytest.mark.parametrize("gripper", [0.0, 1.0], ids=["closed", "open"])
def test_empty_fingers_are_not_waited_for(gripper):
    fingers = Fingers()
    for now, wanted in ((0.0, 0.0), (0.05, 1.0), (0.10, 1.0)):
        chosen = chunk(wanted)
        np.testing.assert_array_equal(fingers.waited_for(chosen, gripper, now), chosen)


def test_fingers_that_were_opening_before_the_first_chunk_are_not_waited_for():
    np.testing.assert_array_equal(Fingers().waited_for(chunk(1.0), 0.3, 0.0), chunk(1.0))


def test_a_correction_is_not_pulled_back(holding):
    holding.waited_for(chunk(1.0), HELD, 0.05)
    holding.move_on()
    np.testing.assert_array_equal(holding.waited_for(chunk(1.0), HELD, 0.50), chunk(1.0))
