"""Percentiles as numpy has them."""

import numpy as np
import pytest

from hierarchy_nodes.segmenter.ranks import median, percentiles

SHARES = (0, 0.7, 2, 50, 98, 99.3, 100)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 7, 250])
def test_as_numpy_for_all_kinds_of_numbers(dtype, count):
    values = np.random.default_rng(count).uniform(0, 255, (3, count)).astype(dtype)
    found = percentiles(values, *SHARES)
    assert found.shape == (len(SHARES), 3)
    assert found == pytest.approx(np.percentile(values.astype(float), SHARES, axis=-1), abs=1e-4)
    assert median(values[0]) == pytest.approx(np.median(values[0].astype(float)), abs=1e-4)


def test_values_keep_their_order():
    values = np.array([3.0, 1.0, 2.0])
    assert median(values) == 2.0
    assert values.tolist() == [3.0, 1.0, 2.0]
