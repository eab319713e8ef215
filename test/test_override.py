"""The person who says once, midway, where the arm is to go."""

from types import SimpleNamespace

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import sample
from hardware.cell.truth import Truth
from hierarchy_nodes.learning.override import DURATION, Override


@pytest.fixture
def stack():
    cell = Cell(sample("open_drawer", 3)[0])
    told = []
    yield SimpleNamespace(cell=cell, time=0.0, plan=None, correct=told.append, told=told)
    cell.close()


def pass_time(override, stack, seconds):
    for _ in range(round(seconds / 0.02)):
        stack.time += 0.02
        override(stack)


def test_it_speaks_once_after_the_plan_and_measures_how_far_the_tool_went(stack, monkeypatch):
    override = Override(np.random.default_rng(0))
    pass_time(override, stack, 5.0)
    assert not stack.told
    assert override.report() == {}
    stack.plan = object()
    pass_time(override, stack, 4.0)
    (motion,) = stack.told
    assert motion.valid_until - motion.stamp == pytest.approx(DURATION)
    report = override.report()
    assert report["moved"] == pytest.approx(0, abs=1e-3)
    assert 0.03 <= report["asked"] <= 0.08

    moved = Override(np.random.default_rng(0))
    start = stack.cell.tool_position().copy()
    pass_time(moved, stack, 4.0)
    assert moved.told is not None
    stack.time = moved.told.stamp + 0.5
    monkeypatch.setattr(stack.cell, "tool_position", lambda: start + 0.04 * motion.direction)
    moved(stack)
    assert moved.report()["moved"] == pytest.approx(0.04, abs=1e-3)


def test_it_waits_while_the_hand_is_closed_around_a_handle(stack, monkeypatch):
    stack.plan = object()
    held = {"finger_left", "finger_right", "hand"}
    monkeypatch.setattr(Truth, "touching", lambda self, name: held)
    override = Override(np.random.default_rng(0))
    pass_time(override, stack, 5.0)
    assert not stack.told
    held.discard("finger_left")
    pass_time(override, stack, 0.1)
    assert len(stack.told) == 1


def test_unheard_it_only_watches(stack):
    stack.plan = object()
    override = Override(np.random.default_rng(0), heard=False)
    pass_time(override, stack, 4.0)
    assert override.told is not None
    assert not stack.told
