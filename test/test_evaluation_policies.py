"""Evaluation of learned policies: their settings, corrections, jerk and paired tests."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.cli.main import main
from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.learning import episode, evaluation
from hierarchy_nodes.learning.comparison import compare
from hierarchy_nodes.learning.episode import Blinkered, perturbation, run_episode
from hierarchy_nodes.learning.evaluation import EpisodeResult, EpisodeSpec, episodes
from hierarchy_nodes.learning.jerk import JerkMeter


def test_settings_reach_every_episode_and_do_not_change_the_seeds():
    plain = episodes("basic", 4, 10)
    hard = episodes("basic", 4, 10, "hierarchical", latency=0.1, drop=("path",), plan="true")
    assert [(s.seed, s.family, s.axis) for s in plain] == [(s.seed, s.family, s.axis) for s in hard]
    assert {(s.latency, s.drop, s.plan) for s in hard} == {(0.1, ("path",), "true")}
    assert all(s.correct and s.heard for s in episodes("corrections", 3, 0))
    assert all(s.correct and not s.heard for s in episodes("unheard", 3, 0))
    with pytest.raises(UnknownNameError, match="masks"):
        episodes("basic", 1, 0, drop=("mask",))


def test_perturbations_are_drawn_from_the_seed_and_alternate():
    spec = [EpisodeSpec(i, "place", "basic", 7) for i in range(2)]
    shoved, moved = (perturbation(s, np.random.default_rng(1)) for s in spec)
    assert shoved.shove is not None
    assert shoved.move is None
    assert moved.move is not None
    assert moved.shove is None


def test_masks_are_kept_from_a_backend_in_every_way():
    from test_demonstrations import _observe

    seen = []

    class Looking(ControllerBackend):
        def reset(self):
            pass

        def act(self, o):
            seen.append(o)
            return Step(None, "", "busy")

    from hierarchy_nodes.types import Prompt, Role

    o = _observe(0.0)
    o = replace(o, plan=replace(o.plan, prompts=(Prompt(Role.TARGET, "x", 0.5, 0.5),)))
    Blinkered(Looking(None)).act(o)
    assert seen[0].segments is None
    assert seen[0].plan.prompts == ()
    assert seen[0].plan.path == o.plan.path


def test_jerk_is_told_apart_at_borders_and_inside():
    meter = JerkMeter(0.01)
    at = 0.0
    for k in range(40):
        # Even motion, but for a jump in speed at the border after 20 setpoints.
        at += 0.001 if k < 20 else 0.002
        meter.add(np.array([at, 0.0, 0.0]), new_chunk=k % 10 == 0)
    assert meter.inside < 1.0
    assert meter.border == pytest.approx(0.001 / 0.01**3, rel=0.01)


def test_holding_is_neither_border_nor_inside():
    meter = JerkMeter(0.01)
    for x in (0.0, 0.1, 0.0, 0.3):
        meter.add(np.array([x, 0.0, 0.0]), new_chunk=True, holding=True)
    assert meter.border == meter.inside == 0.0


def _file(path, successes, axis="basic"):
    rows = [
        {"family": "place", "axis": axis, "seed": i, "success": bool(s)}
        for i, s in enumerate(successes)
    ]
    path.write_text(json.dumps({"results": rows}))
    return path


def test_paired_comparison_is_mcnemars_exact_test(tmp_path, capsys):
    a = _file(tmp_path / "a.json", [1] * 15 + [0] * 5)
    b = _file(tmp_path / "b.json", [1] * 5 + [0] * 15)
    found = compare(a, b)
    assert (found["only_first"], found["only_second"], found["episodes"]) == (10, 0, 20)
    assert found["p"] == pytest.approx(2 * 0.5**10)
    assert found["difference"] == pytest.approx(0.5)
    assert found["relative"] == pytest.approx(2.0)
    assert compare(a, a)["p"] == 1.0
    out = tmp_path / "c.json"
    assert main(["evaluate", "--compare", str(a), str(b), "--json", str(out)]) == 0
    assert "p = 0.00195" in capsys.readouterr().out
    assert json.loads(out.read_text())["per_axis"]["basic"]["episodes"] == 20


def test_runs_without_common_episodes_cannot_be_compared(tmp_path):
    a = _file(tmp_path / "a.json", [1])
    b = _file(tmp_path / "b.json", [1], axis="visual")
    with pytest.raises(ConfigError, match="no episode in common"):
        compare(a, b)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ConfigError, match="no results of"):
        compare(a, tmp_path / "x.json")


def test_obedience_and_jerk_are_summarised():
    def result(i, moved, success):
        return EpisodeResult(
            i,
            i,
            "place",
            "basic",
            success=success,
            correction={"asked": 0.05, "moved": moved, "share": moved / 0.05},
            jerk={"border": 30.0, "inside": 20.0 + i},
        )

    summary = evaluation.summarise([result(0, 0.05, True), result(1, 0.02, True)])
    assert summary["corrections"]["obeyed"]["successes"] == 1
    assert summary["corrections"]["success_after"]["successes"] == 2
    assert summary["jerk"]["border_over_inside"] == pytest.approx(30 / 21)


def test_the_expert_obeys_an_override_and_still_finishes():
    found = run_episode(EpisodeSpec(0, "place", "basic", 31, "expert", plan="true", correct=True))
    assert found.success, found.reason
    assert found.correction["share"] > 0.8
    assert 0.03 <= found.correction["asked"] <= 0.08
    assert found.jerk["inside"] > 0
    assert found.rejected == 0


def test_what_nobody_hears_is_measured_all_the_same():
    spec = EpisodeSpec(0, "place", "basic", 31, "expert", plan="true", correct=True)
    spoken, unheard = run_episode(spec), run_episode(replace(spec, heard=False))
    assert unheard.correction["direction"] == spoken.correction["direction"]
    assert unheard.correction["asked"] == spoken.correction["asked"]
    assert abs(unheard.correction["moved"] - spoken.correction["moved"]) > 0.01


def test_a_perturbed_episode_with_a_moved_camera_and_late_chunks():
    found = run_episode(
        EpisodeSpec(
            0,
            "press",
            "basic",
            32,
            "expert",
            plan="true",
            perturb=True,
            camera_shift=True,
            latency=0.1,
        )
    )
    assert found.success, found.reason


@pytest.mark.parametrize("latency", [0.0, 0.1])
def test_chunks_of_the_learned_policy_join_without_a_jerk_of_their_own(latency):
    found = run_episode(
        EpisodeSpec(0, "place", "basic", 302, "hierarchical", plan="true", latency=latency)
    )
    config = ArmConfig()
    # From full acceleration one way to full acceleration the other way in one period.
    most = 2 * config.max_acceleration * config.rate_hz
    assert found.success, found.reason
    assert found.jerk["border"] <= 1.5 * found.jerk["inside"]
    assert max(found.jerk.values()) <= 1.05 * most


def test_an_episode_ends_when_the_referee_is_satisfied_or_the_time_is_up():
    never = {"done_threshold": 1.0}
    spec = EpisodeSpec(0, "press", "basic", 302, "hierarchical", plan="true", max_attempts=1)
    spec = replace(spec, controller_options=never, time_limit=40.0, until_done=True)
    found = run_episode(spec)
    assert found.success, found.reason
    assert not found.claimed
    assert found.duration < 30
    late = run_episode(replace(spec, time_limit=1.0))
    assert not late.success
    assert late.code == "TIMED_OUT"
    assert late.duration == pytest.approx(1.0, abs=0.1)


def test_nobody_segments_for_a_policy_that_sees_no_masks():
    spec = EpisodeSpec(0, "press", "basic", 302, "hierarchical", plan="true", time_limit=1.0)
    seeing, blind = run_episode(spec), run_episode(replace(spec, policy="flat"))
    assert seeing.latencies["segmenter"]
    assert not blind.latencies["segmenter"]
    assert blind.latencies["controller"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--suite", "surprises", "--plan", "planner", "--until-done"], "--until-done"),
        (["--through-ros", "--until-done"], "until_done"),
        (["--time-limit", "0"], "--time-limit 0"),
        (["--time-limit", "nan"], "--time-limit nan"),
    ],
)
def test_ends_that_an_episode_cannot_have_are_refused(arguments, said, capsys):
    assert main(["evaluate", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_what_only_exists_in_process_is_refused_through_ros(capsys):
    arguments = ["evaluate", "--through-ros", "--perturb", "--camera-shift"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "perturb" in told
    assert "camera_shift" in told
    assert main(["evaluate", "--controller-option", "nothing"]) == 2
    assert "KEY=VALUE" in capsys.readouterr().err


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a network that has learned nothing but to move about near the tool."""
    torch = pytest.importorskip("torch")
    from toy import TINY

    from hierarchy_nodes.controller.diffusion.actions import Normalisation
    from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork
    from hierarchy_nodes.controller.diffusion.weights import PolicyConfig
    from hierarchy_nodes.weights import save_weights

    torch.manual_seed(0)
    network = DiffusionNetwork(TINY)
    torch.nn.init.normal_(network.out.weight, std=0.1)
    network.done.bias.data[:] = -9.0
    still = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5])
    normalisation = Normalisation.fit(still + 0.01 * torch.randn(20, 16, 10), 0.3)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, PolicyConfig(network.config, [], normalisation), network.state_dict())
    return path


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", ["hierarchical", "classical"])
def test_an_episode_does_not_know_of_the_one_before(policy, request, monkeypatch):
    options = {}
    if policy == "hierarchical":
        options = {"weights": str(request.getfixturevalue("weights")), "compiled": False}
    spec = EpisodeSpec(
        0, "place", "basic", 33, policy, 1.5, 1, plan="true", controller_options=options
    )
    other = replace(spec, family="push", seed=34, correct=True)

    def told(spec):
        row = asdict(run_episode(spec))
        del row["latencies"]
        return row

    monkeypatch.setattr(episode, "SETTLE", 0.0)
    episode._backend.cache_clear()
    fresh = told(spec)
    between = told(other)
    again = told(spec)
    assert episode._backend.cache_info().hits == 2
    # Jerk is that of every single setpoint.
    assert fresh["jerk"]["inside"] > 0
    assert between["jerk"] != fresh["jerk"]
    assert again == fresh
