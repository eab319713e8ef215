"""Another task midway: what is in the hand is put down, and the first task is gone back to."""

from hardware.cell.cell import Cell
from hardware.cell.errands import PAIR, sample_errand
from hierarchy_nodes.learning import evaluation
from hierarchy_nodes.learning.episode import run_episode
from hierarchy_nodes.learning.switching import DROP, MOMENTS, Falls


def test_pairs_have_nothing_in_common():
    for seed in range(12):
        scene, errand = sample_errand(PAIR, seed)
        assert (scene, errand) == sample_errand(PAIR, seed)
        first, second = errand.aims
        assert len({first.target, first.goal, second.target, second.goal}) == 4
        assert errand.instruction == first.instruction


def test_moments_are_taken_in_turn():
    specs = evaluation.episodes("switch", 6, 0)
    assert [spec.family for spec in specs] == [*MOMENTS, *MOMENTS]


def test_what_is_in_the_hand_is_put_down_and_the_first_task_done_after_all():
    spec = evaluation.episodes("switch", 2, 300)[1]
    assert spec.family == "mid"
    result = run_episode(spec)
    assert result.success, (result.reason, result.message)
    assert result.switch["done"]
    assert result.switch["fell"] < 0.03
    assert result.switch["resumed"], result.switch["resumed_reason"]
    summary = evaluation.summarise([result])
    assert summary["switch"]["mid"] == {
        "done": summary["switch"]["mid"]["done"],
        "dropped": 0,
        "resumed": summary["switch"]["mid"]["resumed"],
    }
    assert summary["switch"]["mid"]["resumed"]["successes"] == 1
    assert summary["switch"]["early"]["done"]["episodes"] == 0


class Held:
    """A stack of which nothing is known but the time."""

    time = 0.0


def test_a_fall_is_measured():
    scene, errand = sample_errand(PAIR, 0)
    cell, stack = Cell(scene), Held()
    try:
        falls, name = Falls(cell), errand.aims[0].target
        truth = falls._truth
        falls._truth = _Fingers(truth, name)
        x, y = scene.object(name).position
        cell.move_object(name, (x, y, 0.15), 0.0)
        falls(stack)
        falls._truth = truth
        for _ in range(100):
            cell.step(0.01)
            stack.time += 0.01
            falls(stack)
        assert DROP < 0.1 < falls.farthest < 0.14
    finally:
        cell.close()


class _Fingers:
    """As if both fingers touched one thing."""

    def __init__(self, truth, name):
        self._inner, self._name = truth, name
        self.position = truth.position

    def touching(self, name):
        return {"finger_left", "finger_right"} if name == self._name else set()
