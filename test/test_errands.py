"""Errands of several steps: drawn again bit for bit, and judged as a whole."""

from itertools import combinations
from math import dist

import pytest

from hardware.cell.cell import Cell
from hardware.cell.errands import ERRANDS, STEPS, Errand, sample_errand
from hardware.cell.referee import ErrandReferee
from hierarchy_nodes.cli.main import main
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.learning import evaluation
from hierarchy_nodes.learning.episode import run_episode
from hierarchy_nodes.planner.language import parse

SEEDS = range(12)


@pytest.mark.parametrize("kind", ERRANDS)
def test_every_draw_is_reproducible_and_sound(kind):
    for seed in SEEDS:
        scene, errand = sample_errand(kind, seed)
        assert (scene, errand) == sample_errand(kind, seed)
        assert STEPS[0] <= len(errand.aims) <= STEPS[1]
        names = {thing.name for thing in scene.objects}
        assert {aim.target for aim in errand.aims} | set(errand.untouched) <= names
        for first, second in combinations(scene.objects, 2):
            gap = dist(first.position, second.position)
            assert gap > (max(first.size[:2]) + max(second.size[:2])) / 2, (first, second)


def test_a_kind_that_is_none_is_told():
    with pytest.raises(UnknownNameError, match="gather, list, pair, sort"):
        sample_errand("juggle", 0)


def test_gathered_are_all_of_one_color_and_no_others():
    for seed in SEEDS:
        scene, errand = sample_errand("gather", seed)
        color = scene.object(errand.aims[0].target).color
        small = [t for t in scene.objects if t.shape in ("block", "cylinder")]
        assert {t.name for t in small if t.color == color} == {a.target for a in errand.aims}
        assert f"{color} things" in errand.instruction


def test_sorted_go_to_the_goal_of_their_color():
    for seed in SEEDS:
        scene, errand = sample_errand("sort", seed)
        pairs = [(scene.object(a.target), scene.object(a.goal)) for a in errand.aims]
        assert all(target.color == goal.color for target, goal in pairs)
        assert len({goal.name for _, goal in pairs}) == 2


def test_the_grammar_understands_every_errand():
    for kind in ERRANDS:
        for seed in range(40):
            _, errand = sample_errand(kind, seed)
            steps = parse(errand.instruction)
            assert len(steps) == (len(errand.aims) if kind == "list" else 1)
            assert all(parse(str(step)) == (step,) for step in steps)
            assert steps[0].by_color == (kind == "sort")


@pytest.fixture
def gathering():
    scene, errand = sample_errand("gather", 3)
    cell = Cell(scene)
    yield cell, errand
    cell.close()


def lay(cell: Cell, names: list[str], errand: Errand) -> None:
    """Into the goal, beside each other."""
    x, y = cell.scene.object(errand.aims[0].goal).position
    for (dx, dy), name in zip(((0.03, 0), (-0.03, 0.03), (-0.03, -0.03)), names, strict=False):
        cell.move_object(name, (x + dx, y + dy, 0.05), 0.0)
    cell.step(1.5)


def test_the_referee_wants_every_step(gathering):
    cell, errand = gathering
    referee = ErrandReferee(cell, errand)
    targets = [aim.target for aim in errand.aims]
    assert len(targets) == 3
    assert referee.verdict().reason.startswith("0 of 3 steps: ")
    lay(cell, targets[:2], errand)
    verdict = referee.verdict()
    assert not verdict.success
    assert verdict.reason.startswith("2 of 3 steps: ")
    assert targets[2] in verdict.reason
    lay(cell, targets, errand)
    assert referee.verdict().success, referee.verdict().reason


def test_the_referee_sees_what_was_not_asked_for(gathering):
    cell, errand = gathering
    referee = ErrandReferee(cell, errand)
    lay(cell, [aim.target for aim in errand.aims], errand)
    x, y = cell.scene.object(errand.aims[0].goal).position
    cell.move_object(errand.untouched[0], (x, y, 0.08), 0.0)
    cell.step(1.5)
    verdict = referee.verdict()
    assert not verdict.success
    assert f"{errand.untouched[0]} is in" in verdict.reason


def test_one_may_rest_on_the_other(gathering):
    cell, errand = gathering
    referee = ErrandReferee(cell, errand)
    targets = [aim.target for aim in errand.aims]
    lay(cell, targets[:2], errand)
    x, y = cell.scene.object(errand.aims[0].goal).position
    cell.move_object(targets[2], (x - 0.03, y, 0.10), 0.0)
    cell.step(1.5)
    assert referee.verdict().success, referee.verdict().reason


def test_there_is_no_true_plan_of_an_errand(capsys):
    with pytest.raises(ConfigError, match="--plan planner"):
        evaluation.episodes("multistep", 3, 0, plan="true")
    arguments = ["evaluate", "--suite", "multistep", "--episodes", "1", "--policy", "hierarchical"]
    assert main(arguments) == 2
    assert "--plan planner" in capsys.readouterr().err


def test_an_errand_is_done_from_the_first_step_to_the_last():
    (spec,) = evaluation.episodes("multistep", 1, 303)
    assert spec.family == "gather"
    result = run_episode(spec)
    assert result.success, (result.reason, result.message)
    assert result.reason == "3 of 3 steps"
    assert result.claimed
    assert result.attempts >= 3
