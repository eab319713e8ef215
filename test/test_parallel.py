"""Work spread over processes: all of it is done, and an interruption drops what has not begun."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from hierarchy_nodes.learning.parallel import spread


def _square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def _leave_a_mark(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    time.sleep(0.1)
    return number


def _broken(number: int) -> int:
    raise KeyError(number)


def test_all_is_done_in_other_processes():
    found = list(spread(_square, range(6), 2))
    assert sorted(square for square, _ in found) == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {process for _, process in found}


@pytest.mark.parametrize(("items", "workers"), [([3, 4], 1), ([3], 4), ([], 4)])
def test_one_worker_or_one_item_stays_in_this_process(items, workers):
    assert list(spread(_square, items, workers)) == [(i * i, os.getpid()) for i in items]


def test_what_has_not_begun_is_dropped_when_nobody_waits_for_it(tmp_path):
    results = spread(partial(_leave_a_mark, tmp_path), range(40), 2)
    next(results)
    results.close()
    assert 1 <= len(list(tmp_path.iterdir())) < 20


def test_an_error_in_another_process_comes_through():
    with pytest.raises(KeyError):
        list(spread(_broken, range(3), 2))
