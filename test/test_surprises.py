"""A thing of the task is dragged elsewhere, or hidden for a while."""

from types import SimpleNamespace

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import sample
from hierarchy_nodes.geometry import project
from hierarchy_nodes.learning import evaluation
from hierarchy_nodes.learning.episode import run_episode
from hierarchy_nodes.learning.surprises import FAMILIES, SURPRISES, Surprise


@pytest.fixture
def world():
    scene, task = sample("place", 5)
    cell = Cell(scene)
    stack = SimpleNamespace(
        time=0.0, plan=None, lens=None, executive=SimpleNamespace(task=object())
    )
    yield cell, task, stack
    cell.close()


def pass_time(surprise, stack, seconds):
    for _ in range(round(seconds / 0.02)):
        stack.time += 0.02
        surprise(stack)


def test_both_kinds_and_families_take_turns():
    specs = evaluation.episodes("surprises", 8, 0)
    assert [s.surprise for s in specs] == [*SURPRISES] * 4
    assert {(s.surprise, s.family) for s in specs} == {(k, f) for k in SURPRISES for f in FAMILIES}


def test_a_thing_is_dragged_only_once_there_is_a_plan(world):
    cell, task, stack = world
    surprise = Surprise(cell, task, "dragged", np.random.default_rng(0))
    pass_time(surprise, stack, 5.0)
    assert not surprise.report()
    stack.plan = object()
    pass_time(surprise, stack, 5.0)
    report = surprise.report()
    assert report["what"] in (task.target, task.goal)
    assert 0.06 <= report["metres"] <= 0.14
    start = np.array(cell.scene.object(report["what"]).position)
    moved = cell.data.body(report["what"]).xpos[:2] - start
    assert np.linalg.norm(moved) == pytest.approx(report["metres"], abs=0.004)
    assert stack.lens is None


def test_paper_hides_the_thing_for_two_seconds(world):
    cell, task, stack = world
    surprise = Surprise(cell, task, "hidden", np.random.default_rng(0))
    stack.plan, lenses = object(), []
    for _ in range(300):
        pass_time(surprise, stack, 0.02)
        lenses += [stack.lens] if stack.lens is not None else []
    assert len(lenses) * 0.02 == pytest.approx(2.0, abs=0.05)
    plain = cell.capture()
    covered = lenses[0](plain)
    at = cell.data.body(surprise.what).xpos
    x, y = project(at, plain.intrinsics, plain.camera_pose)[0][0]
    row, column = int(y * plain.intrinsics.height), int(x * plain.intrinsics.width)
    assert covered.depth[row, column] < plain.depth[row, column] - 0.15
    assert (covered.color[row, column] == covered.color[row + 3, column + 3]).all()
    same = (covered.depth == plain.depth).mean()
    assert 0.5 < same < 0.99


def test_a_hidden_thing_is_still_put_where_it_belongs():
    spec = evaluation.episodes("surprises", 2, 300)[1]
    result = run_episode(spec)
    assert result.surprise["kind"] == "hidden"
    assert result.success, (result.reason, result.message)
    summary = evaluation.summarise([result])
    assert summary["surprises"]["hidden"]["successes"] == 1
