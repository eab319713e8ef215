"""The comparison with LeRobot, with a stand-in for LeRobot's network."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from scenes import cube, picture, robot_at
from torch import nn
from toy import DOWN, TINY, demonstrations, expert, features

from benchmarks.lerobot import episodes, report
from benchmarks.lerobot.controller import BaselineController, ChunkPolicy
from benchmarks.lerobot.observation import POINTS, Cloudless, Range, Scaling, vector, without_cloud
from benchmarks.lerobot.timing import without_points
from benchmarks.lerobot.training import (
    POLICY,
    BaselineTrainer,
    TimedTrainer,
    difference,
    finished,
    options_for,
)
from benchmarks.lerobot.variants import VARIANTS
from hierarchy_nodes.arm.checks import check_chunk
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion import inputs
from hierarchy_nodes.controller.diffusion.features import HORIZON, PERIOD, extract
from hierarchy_nodes.controller.diffusion.policy import Policy
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.geometry import project
from hierarchy_nodes.learning.evaluation import EpisodeResult
from hierarchy_nodes.learning.trainer import CHECKPOINT, METRICS
from hierarchy_nodes.learning.training import WEIGHTS
from hierarchy_nodes.types import (
    Interaction,
    Observation,
    PathPoint,
    Plan,
    Prompt,
    Role,
    Segment,
    Segments,
)

TARGET = np.array([0.50, 0.12, 0.02])
LOW = replace(TINY, points=POINTS)


class Guess(nn.Module):
    """In the place of LeRobot's network: says without noise what it thinks."""

    def __init__(self, state: int, environment: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(state + environment, 64), nn.GELU(), nn.Linear(64, HORIZON * 10)
        )
        self.asked = 0

    def sample(self, state, environment):
        self.asked += 1
        return self.layers(torch.cat([state, environment], dim=-1)).unflatten(-1, (HORIZON, 10))

    def forward(self, state, environment, action):
        return (self.sample(state, environment) - action).square().mean()

    def optimizer(self):
        return torch.optim.Adam(self.parameters())


@pytest.fixture(scope="module")
def arrays():
    return demonstrations(400)


def batch_of(arrays, rows=slice(None)):
    names = features(TARGET, TARGET, np.random.default_rng(0)).arrays()
    return {name: torch.from_numpy(np.asarray(arrays[name])[rows]) for name in names}


def scaling_of(arrays) -> Scaling:
    return Scaling.fit(batch_of(arrays), torch.from_numpy(arrays["action.chunk"]), True)


def test_the_vector_is_what_our_network_gets_but_points_and_words(arrays):
    batch = batch_of(arrays, slice(8))
    channels = torch.tensor([[1.0, 1.0, 1.0, 0.0]]).expand(8, -1)
    seen = inputs.prepare(batch, channels)
    state, rest = vector(batch)
    # Processors round the ends of long rows otherwise than their middles.
    torch.testing.assert_close(state, seen.state, atol=1e-6, rtol=0)
    expected = torch.cat([seen.path.flatten(1), seen.things.flatten(1), seen.motion, seen.task], 1)
    torch.testing.assert_close(rest, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["points", "point_colors", "point_roles"])
def test_points_are_not_in_the_vector(arrays, name):
    batch = batch_of(arrays, slice(8))
    other = batch | {name: torch.ones_like(batch[name])}
    for one, two in zip(vector(batch), vector(other), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ["tool", "joints", "gripper", "things", "path", "motion"])
def test_everything_else_is(arrays, name):
    batch = batch_of(arrays, slice(8))
    other = batch | {name: batch[name] + 0.1, "motion_there": torch.ones(8, 1)}
    same = batch | {"motion_there": torch.ones(8, 1)}
    assert not torch.equal(torch.cat(vector(same), 1), torch.cat(vector(other), 1))


def test_numbers_are_scaled_to_one_and_back(arrays):
    scaling = scaling_of(arrays)
    batch, chunk = batch_of(arrays), torch.from_numpy(arrays["action.chunk"])
    for part in scaling.observe(batch):
        assert part.abs().max() <= 1 + 1e-5
        assert part.amax(0).min() > 0.99
    predicted = scaling.to_policy(chunk, batch["tool"])
    assert predicted.abs().max() <= 1 + 1e-5
    back = scaling.to_base(predicted, batch["tool"])
    assert torch.allclose(back[..., :3], chunk[..., :3], atol=1e-5)
    assert torch.allclose(back[..., 7], chunk[..., 7])


def test_what_never_varied_stays_finite():
    constant = Range(torch.tensor([0.5]), torch.tensor([0.5]))
    assert torch.isfinite(constant.apply(torch.tensor([0.7]))).all()
    assert constant.invert(torch.tensor([-1.0])).item() == 0.5


def test_scaling_survives_a_file(arrays, tmp_path):
    scaling = scaling_of(arrays)
    torch.save(scaling.state_dict(), tmp_path / "s.pt")
    again = Scaling.from_state(torch.load(tmp_path / "s.pt", weights_only=True))
    for one, two in zip(
        scaling.observe(batch_of(arrays)), again.observe(batch_of(arrays)), strict=True
    ):
        assert torch.equal(one, two)
    assert again.binary is True


def test_an_empty_depth_image_gives_the_same_features_as_training_without_a_cloud(arrays):
    class Witness(ControllerBackend):
        def reset(self):
            pass

        def act(self, observation):
            self.features = extract(observation)
            return Step(None, "", "busy")

    witness = Witness(None)
    Cloudless(witness).act(observe())
    seen = witness.features.arrays()
    blind = without_cloud(arrays)
    for name in ("points", "point_colors", "point_roles"):
        assert not seen[name].any()
        assert not blind[name].any()
    assert seen["path_there"].any()
    assert seen["things_there"].any()
    whole = extract(observe())
    assert whole.points.any()
    for name, array in without_points(whole).arrays().items():
        assert np.array_equal(array, seen[name])


def test_both_train_for_the_same_time_and_go_on_where_they_stopped(arrays, tmp_path):
    minutes = 0.02
    options = replace(options_for(32, 0, 1e-3, 1.0), network=LOW, warmup=5)
    ours = TimedTrainer(arrays, tmp_path / "ours", options, minutes)
    theirs = BaselineTrainer(arrays, tmp_path / "theirs", options, minutes, Guess)
    for trainer in (ours, theirs):
        assert not finished(trainer.out, minutes)
        trainer.run()
        assert finished(trainer.out, minutes)
        with pytest.raises(ConfigError, match="minutes"):
            finished(trainer.out, 2 * minutes)
        facts = json.loads((trainer.out / "trained.json").read_text())
        assert facts["steps"] == trainer.step > 0
        assert facts["seconds"] >= 60 * minutes - 0.06
        assert (trainer.out / METRICS).exists()
    Policy.load(tmp_path / "ours" / WEIGHTS, ("path", "masks", "motion"))
    found = torch.load(tmp_path / "theirs" / POLICY, weights_only=True)
    assert set(found) == {"network", "scaling"}


def test_an_interrupted_training_goes_on(arrays, tmp_path):
    options = replace(options_for(16, 0, 1e-3, 1.0), network=LOW)
    first = BaselineTrainer(arrays, tmp_path, options, 1.0, Guess)
    first._advance(first.objective)
    first.step, first.seconds = 7, 12.5
    first.save()
    again = BaselineTrainer(arrays, tmp_path, options, 1.0, Guess)
    again.restore()
    assert (again.step, again.seconds) == (7, 12.5)
    for one, two in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, two)
    assert (tmp_path / CHECKPOINT).exists()
    other = BaselineTrainer(
        demonstrations(80), tmp_path, options, 1.0, lambda s, e: Guess(s + 1, e)
    )
    with pytest.raises(ConfigError, match="another network"):
        other.restore()


def test_both_get_the_same_records(arrays, tmp_path):
    options = replace(options_for(16, 0, 1e-3, 1.0), network=LOW)
    ours = TimedTrainer(arrays, tmp_path / "a", options, 1.0)
    theirs = BaselineTrainer(arrays, tmp_path / "b", options, 1.0, Guess)
    drawn = [t._draw(torch.ones(16), t._random()) for t in (ours, theirs)]
    for name in drawn[0]:
        assert torch.equal(drawn[0][name], drawn[1][name])
    assert torch.equal(ours.split.held_out, theirs.split.held_out)
    assert not drawn[0]["points"].any()


def test_difference_is_in_millimetres_and_degrees():
    chunk = torch.from_numpy(expert(np.array([0.4, 0.0, 0.2]), TARGET)).float()[None]
    moved = chunk.clone()
    moved[..., 0] += 0.01
    found = difference(moved, chunk)
    assert found["position_mm"] == pytest.approx([10.0] * HORIZON, abs=0.01)
    assert max(found["rotation_deg"]) < 0.1
    assert found["gripper"] == 1.0


def observe(stamp=0.0, tool=(0.35, 0.0, 0.40)) -> Observation:
    image, which = picture([cube(TARGET[0], TARGET[1], (200, 30, 30))], stamp)
    pixels, _ = project(np.array([tool, TARGET]), image.intrinsics, image.camera_pose)
    path = tuple(PathPoint(float(x), float(y)) for x, y in np.clip(pixels, 0, 1))
    plan = Plan(
        "p", 0.0, image.frame_id, image.camera_pose, "touch it", Interaction.PLACE, path,
        (Prompt(Role.TARGET, "red block", 0.5, 0.5),), 60.0, "test",
    )  # fmt: skip
    segment = Segment(1, Role.TARGET, "red block", 1.0, False, TARGET, np.full(3, 0.04), 0.0)
    mask = (which == 1).astype(np.uint8)
    segments = Segments(stamp, image.frame_id, "p", mask, (segment,))
    return Observation(stamp, robot_at(stamp, tool), plan, image, segments)


@pytest.mark.parametrize(("executed", "asked"), [(8, 3), (0, 40)])
def test_as_many_actions_are_executed_as_it_is_told(arrays, executed, asked):
    scaling = scaling_of(arrays)
    lengths = len(scaling.kept_state), len(scaling.kept_environment)
    network = Guess(*lengths)
    controller = BaselineController(ChunkPolicy(network, scaling), executed)
    network.asked = 0
    chunks = []
    for tick in range(40):
        step = controller.act(observe(stamp=tick * 0.05))
        assert step.state == "busy"
        check_chunk(
            replace(step.chunk, positions=np.tile([0.4, 0.0, 0.3], (len(step.chunk.times), 1)),
                    quaternions=np.tile(DOWN, (len(step.chunk.times), 1))),
            tick * 0.05 + 0.01, ArmConfig(),
        )  # fmt: skip
        chunks.append(step.chunk)
    assert network.asked == asked == len(controller.seconds)
    if executed:
        # Half a period later: the same poses, half a period nearer.
        assert np.allclose(chunks[1].times, chunks[0].times - 0.05)
        assert np.allclose(chunks[2].positions, chunks[0].positions[1:])
        assert chunks[15].times[-1] == pytest.approx(HORIZON * PERIOD - 0.75)


def test_a_resting_arm_ends_the_episode(arrays):
    scaling = scaling_of(arrays)
    network = Guess(len(scaling.kept_state), len(scaling.kept_environment))
    controller = BaselineController(ChunkPolicy(network, scaling), 8)
    states = [controller.act(observe(stamp=tick * 0.05)).state for tick in range(90)]
    assert set(states[:75]) == {"busy"}
    assert states[-1] == "failed"


def result(seed: int, success: bool) -> EpisodeResult:
    return EpisodeResult(seed, seed, "place", "basic", success=success, latencies={"chunk": [0.01]})


def test_pairs_are_of_the_same_seed():
    ours = [result(s, s != 3) for s in range(6)]
    theirs = [result(s, s == 3) for s in range(1, 6)]
    found = report.evaluation(theirs, ours)
    assert (found["successes"], found["episodes"]) == (1, 5)
    beside = found["beside_ours"]
    assert (beside["episodes"], beside["only_ours"], beside["only_this"]) == (5, 4, 1)
    assert beside["p"] == pytest.approx(0.375)


def test_the_table_names_what_was_measured(tmp_path):
    row = report.evaluation([result(1, True), result(2, False)], [])
    found = {
        "evaluation": {"ours": row, "small-ddim": row},
        "timing": {"1": {"ours, warm 2": {"n": 5, "p50": 1.0, "p99": 2.0}}},
    }
    text = report.save(tmp_path, found)
    assert "| ours, warm 2 | 1.0 / 2.0 (5) |" in text
    assert f"| {VARIANTS['small-ddim'].title} | 1 of 2 |" in text
    assert report.load(tmp_path)["evaluation"]["ours"]["successes"] == 1


def test_an_episode_that_broke_down_is_no_failure_of_the_policy(tmp_path, monkeypatch):
    def run_one(out, name, spec):
        found = result(spec.seed, False)
        return replace(found, code="INTERNAL", reason="crashed") if spec.seed == 501 else found

    monkeypatch.setattr(episodes, "run_one", run_one)
    with pytest.raises(ConfigError, match="seed 501: crashed"):
        episodes.run_all(tmp_path, "ours", 3, 500, 1, False)
    assert [r.seed for r in episodes.read(tmp_path / "episodes-ours.jsonl")] == [500, 502]


def test_episodes_that_were_run_are_not_run_again(tmp_path, monkeypatch):
    done = result(500, True)
    text = json.dumps(asdict(done)) + "\n" + '{"index": 1, "se'
    (tmp_path / "episodes-ours.jsonl").write_text(text)
    ran = []

    def run_one(out, name, spec):
        ran.append(spec.seed)
        return result(spec.seed, False)

    monkeypatch.setattr(episodes, "run_one", run_one)
    found = episodes.run_all(tmp_path, "ours", 3, 500, 1, False)
    assert ran == [501, 502]
    assert [r.success for r in found] == [True, False, False]
    again = episodes.run_all(tmp_path, "ours", 3, 500, 1, False)
    assert ran == [501, 502]
    assert [asdict(r) for r in again] == [asdict(r) for r in found]
