"""Collecting: which episodes, what is drawn for them, and one that is really made."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import AXES, FAMILIES, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion.features import TIMES
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.geometry import IDENTITY, top_down
from hierarchy_nodes.learning import demonstrations, layout
from hierarchy_nodes.learning.demonstrations import (
    DemonstrationOptions,
    DemonstrationResult,
    specs,
)
from hierarchy_nodes.learning.disturbance import Disturbed
from hierarchy_nodes.learning.motions import name_motion
from hierarchy_nodes.learning.parts import read_parts
from hierarchy_nodes.learning.variation import (
    Variation,
    VariationOptions,
    draw,
    movable,
    random_motion,
)
from hierarchy_nodes.types import (
    ActionChunk,
    Interaction,
    Observation,
    PathPoint,
    Plan,
    RobotState,
)

KINEMATICS = Kinematics()


def test_episodes_take_families_in_turn_and_axes_for_each(tmp_path):
    todo = specs(49, 100_000, tmp_path)
    assert {(s.family, s.axis) for s in todo} == {(f, a) for f in FAMILIES for a in AXES}
    assert [s.seed for s in todo[:3]] == [100_000, 100_001, 100_002]


@pytest.mark.parametrize(("seed", "count"), [(99_999, 1), (899_999, 2), (5, 1)])
def test_seeds_of_evaluation_are_refused(seed, count, tmp_path):
    with pytest.raises(ConfigError, match="100000 to 899999"):
        specs(count, seed, tmp_path)


def test_unknown_families_are_named(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'stack'"):
        specs(1, 100_000, tmp_path, families=("stak",))


def test_variations_are_drawn_from_the_seed_alone():
    options = VariationOptions()
    first, again, other = (draw(np.random.default_rng(s), options, KINEMATICS) for s in (7, 7, 8))
    assert str(first) == str(again)
    assert str(first) != str(other)


def test_drawn_starts_are_where_they_should_be():
    rng = np.random.default_rng(0)
    everything = VariationOptions(start=1.0, camera=1.0, corrections=1.0)
    for _ in range(5):
        variation = draw(rng, everything, KINEMATICS)
        assert variation.start is not None
        pose = KINEMATICS.forward(variation.start[0])
        assert 0.19 < pose.position[2] < 0.47
        assert 1 <= len(variation.corrections) <= 3


def test_corrections_are_bounded_and_mostly_along_an_axis():
    rng = np.random.default_rng(0)
    motions = [random_motion(rng, (0.01, 0.12)) for _ in range(300)]
    moves = [m for m in motions if np.any(m.direction)]
    assert len(moves) < len(motions)
    assert all(0.01 <= m.distance <= 0.12 for m in moves if m.distance)
    assert any(m.distance == 0 for m in moves)
    straight = sum(np.count_nonzero(m.direction) == 1 for m in moves)
    assert 0.6 < straight / len(moves) < 0.9
    assert all(np.linalg.norm(m.direction) == pytest.approx(1) for m in moves)
    assert all(m.source == "correction" for m in motions)


def test_motions_are_named_largest_first_and_small_ones_dropped():
    tool = np.array([0.5, 0.0, 0.2, *top_down((0, 0, 0)).quaternion])

    def chunk(way, yaw=0.0, gripper=1.0):
        end = top_down(tool[:3] + way, yaw)
        return np.tile([*end.position, *end.quaternion, gripper], (16, 1))

    assert name_motion(tool, 1.0, chunk((0.1, 0.05, 0.0))) == "move arm forward and left"
    assert name_motion(tool, 1.0, chunk((0.0, -0.1, 0.02))) == "move arm right"
    assert name_motion(tool, 1.0, chunk((0.0, 0.0, 0.0))) == "hold arm"
    assert name_motion(tool, 1.0, chunk((0.0, 0.0, 0.0), gripper=0.0)) == "close gripper"
    assert name_motion(tool, 0.1, chunk((0.0, 0.0, 0.1), gripper=1.0)).split(", ") == [
        "move arm up",
        "open gripper",
    ]
    assert name_motion(tool, 1.0, chunk((0.03, 0.0, 0.0), yaw=0.8)).startswith(
        "rotate gripper left"
    )
    # Squeezing what is held is no motion.
    assert name_motion(tool, 0.5, chunk((0.1, 0.0, 0.0), gripper=0.0)) == "move arm forward"


class _Still(ControllerBackend):
    def reset(self):
        pass

    def act(self, o):
        rows = len(TIMES)
        tool = o.robot.tool
        chunk = ActionChunk(
            o.now,
            o.now,
            "p",
            TIMES,
            np.tile(tool.position, (rows, 1)),
            np.tile(tool.quaternion, (rows, 1)),
            np.zeros(rows),
        )
        return Step(chunk, "still", "busy")


def _observe(now, z=0.3, gripper=0.5):
    robot = RobotState(now, np.zeros(7), np.zeros(7), gripper, top_down((0.5, 0.0, z)))
    plan = Plan("p", 0, "", IDENTITY, "", Interaction.PLACE, (PathPoint(0.5, 0.5),), (), 1e9, "t")
    return Observation(now, robot, plan)


def _disturbed(variation, spoken=None):
    scene, task = sample("place", 3)
    cell = Cell(scene)
    rng = np.random.default_rng(0)
    speak = (spoken if spoken is not None else []).append
    return Disturbed(_Still(None), cell, task, variation, rng, speak), cell, task


def test_noise_and_shoves_change_what_is_executed_and_calm_does_not():
    calm, _, _ = _disturbed(Variation())
    assert np.array_equal(calm.act(_observe(0.0)).chunk.positions[0], [0.5, 0.0, 0.3])
    noisy, _, _ = _disturbed(Variation(noise=0.004))
    places = np.array([noisy.act(_observe(k / 20)).chunk.positions[0] for k in range(100)])
    spread = np.abs(places - (0.5, 0.0, 0.3)).max()
    assert 0.001 < spread < 0.03
    shoved, _, _ = _disturbed(Variation(shove=(1.0, np.array([0.0, 0.03, 0.0]))))
    aside = [shoved.act(_observe(k / 20)).chunk.positions[0][1] for k in range(40)]
    assert max(aside[:20]) == 0
    assert max(aside) > 0.02
    assert aside[-1] == 0


def test_a_grasp_slips_and_a_correction_is_spoken_on_time():
    spoken: list = []
    motion = random_motion(np.random.default_rng(1), (0.02, 0.05))
    disturbed, _, _ = _disturbed(Variation(drop=0.5, corrections=((1.0, motion),)), spoken)
    grips = [disturbed.act(_observe(k / 20)).chunk.gripper[0] for k in range(60)]
    assert grips[0] == 0
    assert 0.3 < sum(grips) / 20 < 0.7
    assert len(spoken) == 1
    assert spoken[0].stamp == pytest.approx(1.0, abs=0.06)
    assert spoken[0].valid_until == pytest.approx(spoken[0].stamp + motion.valid_until)


def test_a_moved_thing_stays_clear_of_the_others():
    scene, task = sample("place", 3)
    cell = Cell(scene)
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        found = movable(cell, task, rng)
        if found is None:
            continue
        seen += 1
        name, spot = found
        assert name in (task.target, task.goal)
        for thing in scene.objects:
            if thing.name != name:
                gap = np.linalg.norm(spot[:2] - cell.data.body(thing.name).xpos[:2])
                assert gap > max(thing.size[:2]) / 2 + max(scene.object(name).size[:2]) / 2
    assert seen > 0


def test_ray_is_named_where_it_is_missing(tmp_path):
    pytest.importorskip("pyarrow")
    try:
        import ray  # noqa: F401

        pytest.skip("Ray is installed")
    except ImportError:
        pass
    with pytest.raises(ConfigError, match="pip install"):
        demonstrations.collect(specs(1, 100_000, tmp_path), tmp_path, ray_address="auto")


def test_a_crash_is_told_and_does_not_end_the_run(tmp_path, monkeypatch):
    def broken(spec):
        raise KeyError("cup")

    monkeypatch.setattr(demonstrations, "demonstrate", broken)
    found = demonstrations.guarded(specs(1, 100_000, tmp_path)[0])
    assert not found.kept
    assert "KeyError: 'cup'" in found.reason


@pytest.mark.timeout(120)
def test_one_episode_is_collected_and_resumed(tmp_path, capsys):
    quiet = VariationOptions(start=0, noise=[0.0], shove=0, move=0, drop=0, pause=0, camera=0)
    todo = specs(
        2,
        100_003,
        tmp_path,
        families=("press",),
        options=DemonstrationOptions(quiet),
    )
    figures = demonstrations.collect(todo[:1], tmp_path, progress=False)
    assert (figures["kept"], figures["tried"]) == (1, 1), figures["failures"]
    assert 10 < figures["records"] < 100
    assert figures["bytes_per_record"] < 6000
    with pytest.raises(ConfigError, match="--resume"):
        demonstrations.collect(todo, tmp_path, progress=False)
    assert demonstrations.finished(tmp_path) == {0}

    made: list[int] = []

    def failing(spec):
        made.append(spec.number)
        return DemonstrationResult(spec.number, spec.family, spec.axis, spec.seed, False, "no")

    original = demonstrations.guarded
    demonstrations.guarded = failing
    try:
        figures = demonstrations.collect(todo, tmp_path, resume=True, progress=False)
    finally:
        demonstrations.guarded = original
    assert made == [1]
    assert figures["episodes"] == 1
    assert demonstrations.finished(tmp_path) == {0, 1}
    told = json.loads((tmp_path / layout.COLLECTION).read_text())
    assert [run["kept"] for run in told["runs"]] == [1, 0]
    assert told["options"]["variation"]["shove"] == 0


class Still(ControllerBackend):
    """A policy that has learned to do nothing."""

    def __init__(self) -> None:
        super().__init__(None)

    def reset(self) -> None:
        pass

    def act(self, observation: Observation) -> Step:
        robot, count = observation.robot, len(TIMES)
        chunk = ActionChunk(
            robot.stamp,
            robot.stamp,
            observation.plan.plan_id,
            TIMES,
            np.tile(robot.tool.position, (count, 1)),
            np.tile(robot.tool.quaternion, (count, 1)),
            np.full(count, robot.gripper),
        )
        return Step(chunk, "rest", "failed")


def test_a_policy_acts_in_turns_and_is_told_what_it_should_have_done(tmp_path, monkeypatch):
    quiet = VariationOptions(start=0, noise=[0.0], shove=0, move=0, drop=0, pause=0, camera=0)
    (plain,) = specs(1, 100_003, tmp_path, families=("press",))
    plain = replace(plain, options=DemonstrationOptions(quiet))
    monkeypatch.setattr(demonstrations, "_actor", lambda weights, channels: Still())
    alone, taught = (
        demonstrations.demonstrate(replace(plain, number=i, actor=actor))
        for i, actor in enumerate(("", "weights"))
    )
    assert (alone.reason, taught.reason) == ("", "")
    # It wasted its turns, in which the expert went on saying where to go.
    assert taught.records > alone.records + 5
    part = next(p for p in read_parts(tmp_path / layout.PARTS) if p.number == 1)
    assert part.about["actor"] == "weights"
    rows = pq.read_table(part.data, columns=["action.chunk"]).column(0).combine_chunks()
    chunks = rows.flatten().to_numpy().reshape(len(rows), len(TIMES), 8)
    moves = np.linalg.norm(np.diff(chunks[:, :, :3], axis=1), axis=-1)
    assert (moves.sum(axis=1) > 0.05).mean() > 0.3
