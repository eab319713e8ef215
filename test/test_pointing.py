"""Evaluation of what planners point at: the measure itself, and a run from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import AXES, FAMILIES, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.cli.main import main
from hierarchy_nodes.errors import ConfigError, ErrorCode, PlanningError, UnknownNameError
from hierarchy_nodes.learning import evaluation, pointing
from hierarchy_nodes.learning.pointing import PointingResult, PointingSpec, figures
from hierarchy_nodes.learning.statistics import calibration_error, resampled
from hierarchy_nodes.learning.true_plan import TruePlanner
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest
from hierarchy_nodes.planner.drawing import work_end
from hierarchy_nodes.types import Gripper, Interaction, Role

KEEP, OPEN, CLOSE = Gripper.KEEP, Gripper.OPEN, Gripper.CLOSE


class Oracle(PlannerBackend):
    """Knows the scene of the seed, shifts what it says; what is absent, it says is absent."""

    def __init__(self, spec, shift=0.0, knows=True):
        super().__init__(None)
        scene, self.task = sample(spec.family, spec.seed, spec.axis)
        self.cell, self.shift, self.knows = Cell(scene), shift, knows
        self.inner = TruePlanner(self.cell, self.task)

    def plan(self, request):
        if self.knows and request.instruction != self.task.instruction:
            raise PlanningError(ErrorCode.OBJECT_NOT_FOUND, "none")
        plan = self.inner.plan(request)
        moved = tuple(replace(p, x=min(p.x + self.shift, 1.0)) for p in plan.prompts)
        path = tuple(replace(p, x=min(p.x + self.shift, 1.0)) for p in plan.path)
        return replace(plan, prompts=moved, path=path, confidence=0.75)

    def verify(self, plan, frame, robot):
        return None

    def motion(self, observation):
        return self.inner.motion(observation)


def ask(monkeypatch, spec, **how):
    oracle = Oracle(spec, **how)
    monkeypatch.setattr(pointing, "_backend", lambda name, options: oracle)
    try:
        return pointing.look(spec)
    finally:
        oracle.cell.close()


@pytest.mark.parametrize("axis", AXES)
def test_truth_is_right_and_what_is_beside_it_is_not(monkeypatch, axis):
    family = FAMILIES[AXES.index(axis)]
    spec = PointingSpec(0, family, axis, 11, "oracle", picture=axis == "visual")
    found = ask(monkeypatch, spec)
    assert found.asked
    assert found.right
    assert found.end == pytest.approx(0.0, abs=1e-6)
    assert found.ticks > 15
    assert found.named == found.ticks
    assert found.absent_code == "OBJECT_NOT_FOUND"
    assert found.confidence == 0.75
    assert bool(found.picture) == spec.picture
    off = ask(monkeypatch, spec, shift=0.45, knows=False)
    assert not off.target
    assert off.planned
    assert off.end > 0.1
    assert off.named < off.ticks
    assert off.absent_code == "NONE"


def test_masks_show_the_things():
    scene, task = sample("place", 5)
    cell = Cell(scene)
    frame, geoms = cell.capture(), cell.geoms()
    for name in (task.target, task.goal):
        mask = pointing.mask_of(cell, geoms, name)
        assert 50 < mask.sum() < 10_000
    target = pointing.mask_of(cell, geoms, task.target)
    truth = TruePlanner(cell, task).plan(
        PlanRequest(task.instruction, frame, Kinematics().robot_state(cell.arm_state()))
    )
    point = next(p for p in truth.prompts if p.role == Role.TARGET)
    assert target[int(point.y * 240), int(point.x * 320)]
    assert not (target & pointing.mask_of(cell, geoms, task.goal)).any()
    cell.close()


def test_what_is_absent_is_not_there_and_nearly_all_scenes_have_such_a_question():
    rng = np.random.default_rng(0)
    asked = 0
    for seed in range(20):
        for axis in AXES:
            scene, task = sample(FAMILIES[seed % len(FAMILIES)], seed, axis)
            text = pointing.absent(scene, task, rng)
            if text is None:
                continue
            asked += 1
            there = {(t.color, t.shape) for t in scene.objects}
            words = text.replace(",", "").split()
            pairs = set(pairwise(words))
            named = {scene.object(n).shape for n in (task.target, task.goal) if n}
            if axis != "language":
                assert any(b in named and (a, b) not in there for a, b in pairs), text
    assert asked >= 130


@pytest.mark.parametrize(
    ("interaction", "events", "end"),
    [
        (Interaction.PLACE, (OPEN, KEEP, CLOSE, KEEP, OPEN, KEEP), 4),
        (Interaction.PLACE, (KEEP, KEEP, KEEP), 2),
        (Interaction.OPEN, (OPEN, KEEP, CLOSE, OPEN, KEEP), 3),
        (Interaction.PUSH, (CLOSE, KEEP, KEEP, KEEP, KEEP), 3),
        (Interaction.PUSH, (CLOSE, KEEP), 1),
        (Interaction.PRESS, (CLOSE, KEEP, KEEP, KEEP), 2),
    ],
)
def test_where_the_work_ends(interaction, events, end):
    assert work_end(interaction, events) == end


def result(**values):
    return replace(PointingResult(0, 0, "place", "basic", asked=True, absent="x"), **values)


def test_figures_count_what_is_not_answered_as_wrong():
    good = {"planned": True, "target": True, "goal": True, "has_goal": True, "end": 0.01}
    found = figures(
        [
            result(**good, confidence=0.9, ticks=10, named=9, absent_code="OBJECT_NOT_FOUND"),
            result(**good | {"goal": False}, confidence=0.5, ticks=10, named=5, absent_code="NONE"),
            result(code="OBJECT_NOT_FOUND", ticks=20, absent_code="OBJECT_NOT_FOUND"),
            result(asked=False, absent=""),
        ]
    )
    assert (found["target"]["successes"], found["target"]["episodes"]) == (2, 3)
    assert (found["goal"]["successes"], found["goal"]["episodes"]) == (1, 2)
    assert found["instead_of_a_plan"] == {"OBJECT_NOT_FOUND": 1}
    assert found["motion"]["top1"] == pytest.approx(14 / 40)
    assert found["absent"]["precision"]["success_rate"] == pytest.approx(2 / 3)
    assert found["absent"]["recall"]["success_rate"] == pytest.approx(2 / 3)
    assert found["calibration"]["error"] == pytest.approx((0.1 + 0.5) / 2)
    assert found["end_widths"]["near"]["successes"] == 2
    empty = figures([])
    assert empty["end_widths"]["mean"] is None
    assert empty["motion"]["interval"] is None


def test_the_bootstrap_covers_and_sure_mistakes_are_miscalibrated():
    rows = np.random.default_rng(1).normal(2.0, 1.0, 400)
    low, high = resampled(rows, np.mean)
    assert low < rows.mean() < high
    assert high - low == pytest.approx(4 / 20, abs=0.06)
    right = (np.arange(1000) % 10 < 8).astype(float)
    assert calibration_error(np.full(1000, 0.8), right) < 0.05
    assert calibration_error(np.full(1000, 1.0), right) == pytest.approx(0.2)


def test_the_command_writes_figures_and_pictures(tmp_path, capsys):
    arguments = ["evaluate", "--suite", "pointing", "--planner", "classical", "--quiet"]
    arguments += ["--episodes", "3", "--seed", "0", "--workers", "1"]
    figures_at, drawn = tmp_path / "f.json", tmp_path / "f.jpg"
    assert main([*arguments, "--json", str(figures_at), "--pictures", str(drawn)]) == 0
    found = json.loads(figures_at.read_text())
    assert len(found["results"]) == 3
    assert set(found["per_axis"]) == set(AXES[:3])
    assert "picture" not in found["results"][0]
    assert cv2.imread(str(drawn)) is not None
    assert "absent recall" in capsys.readouterr().out


@pytest.mark.parametrize(
    "more",
    [
        ["--resume", "--json", "f.json"],
        ["--policy", "hierarchical"],
        ["--plan", "true"],
        ["--inject-latency", "20"],
        ["--perturb"],
        ["--drop", "masks"],
        ["--camera-shift"],
        ["--controller-option", "speed=0.1"],
        ["--attempts", "1"],
        ["--no-verify"],
        ["--through-ros"],
    ],
    ids=lambda more: more[0][2:],
)
def test_what_is_about_executing_is_refused(more, capsys, monkeypatch):
    monkeypatch.setattr(pointing, "look", None)
    arguments = ["evaluate", "--suite", "pointing", "--planner", "classical", "--episodes", "1"]
    assert main([*arguments, *more]) == 2
    assert f"--suite pointing executes nothing: {more[0]} cannot" in capsys.readouterr().err


def test_pictures_are_refused_by_all_other_suites(capsys, monkeypatch):
    monkeypatch.setattr(evaluation, "run_in_process", None)
    arguments = ["evaluate", "--suite", "place", "--episodes", "1", "--pictures", "f.jpg"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "--suite place executes episodes: --pictures can only" in told
    assert "--suite pointing" in told


def test_axes_are_refused_by_a_suite_without(capsys, monkeypatch):
    monkeypatch.setattr(evaluation, "run_in_process", None)
    assert main(["evaluate", "--suite", "basic", "--episodes", "1", "--axes", "visual"]) == 2
    assert "only be given with --suite axes or pointing" in capsys.readouterr().err


def test_what_cannot_be_run_is_told():
    with pytest.raises(UnknownNameError, match="classical"):
        pointing.specs(1, 0, "clasical")
    with pytest.raises(UnknownNameError, match="plan_lifetime"):
        pointing.specs(1, 0, "classical", {"plan_lifetim": 1})
    with pytest.raises(ConfigError, match="hierarchy train planner"):
        pointing.specs(1, 0, "compact", {"weights": "nowhere.safetensors"})
    with pytest.raises(ConfigError, match="reserved"):
        pointing.specs(1, 900_000, "classical")
