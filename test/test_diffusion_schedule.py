"""Levels of noise, and steps between any two of them."""

import numpy as np
import pytest

from hierarchy_nodes.controller.diffusion.schedule import CosineSchedule
from hierarchy_nodes.errors import ConfigError

SCHEDULE = CosineSchedule(100)


def test_from_clean_to_noise():
    assert (SCHEDULE.signal[0], SCHEDULE.noise[0]) == (1.0, 0.0)
    assert SCHEDULE.signal[100] < 0.01
    assert np.all(np.diff(SCHEDULE.signal) < 0)
    np.testing.assert_allclose(SCHEDULE.signal**2 + SCHEDULE.noise**2, 1.0)
    # The cosine itself, where no beta is cut off.
    share = (0.5 + 0.008) / 1.008
    expected = np.cos(share * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2)
    assert SCHEDULE.signal[50] == pytest.approx(expected)


def test_a_share_of_all_levels_is_one_that_was_trained():
    assert [SCHEDULE.level(share) for share in (0.001, 0.4, 1.0)] == [1, 40, 100]
    assert CosineSchedule(1).level(0.4) == 1


@pytest.mark.parametrize(("level", "to"), [(100, 99), (100, 60), (60, 7), (10, 0), (1, 0)])
def test_a_step_leads_to_the_right_level(level, to):
    # A noisy clean sample becomes the same one with less noise, along the same noise.
    clean, noise = 0.8, -1.3
    noisy = SCHEDULE.signal[level] * clean + SCHEDULE.noise[level] * noise
    step = SCHEDULE.step(level, to)
    expected = SCHEDULE.signal[to] * clean + SCHEDULE.noise[to] * noise
    assert step.clean * clean + step.noisy * noisy == pytest.approx(expected, abs=1e-9)
    assert step.fresh == 0


@pytest.mark.parametrize(("level", "to"), [(100, 60), (60, 59), (30, 3)])
def test_fresh_noise_takes_the_place_of_old(level, to):
    step = SCHEDULE.step(level, to, 1.0)
    old = step.noisy * SCHEDULE.noise[level]
    assert old**2 + step.fresh**2 == pytest.approx(SCHEDULE.noise[to] ** 2)
    assert SCHEDULE.step(level, 0, 1.0).fresh == pytest.approx(0.0, abs=1e-9)


def test_visits_are_even_and_complete():
    assert SCHEDULE.visits(100, 100) == list(range(100, 0, -1))
    assert SCHEDULE.visits(100, 4) == [100, 75, 50, 25]
    assert SCHEDULE.visits(30, 3) == [30, 20, 10]
    for start in (1, 7, 40, 100):
        for steps in range(1, start + 1):
            visits = SCHEDULE.visits(start, steps)
            assert len(set(visits)) == steps
            assert visits[0] == start
            assert min(visits) >= 1


def test_wrong_numbers_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        CosineSchedule(0)
    with pytest.raises(ConfigError, match="valid are 1 to 100"):
        SCHEDULE.visits(100, 200)
