"""Training: it learns, goes on where it stopped, and what it learned behaves as it should."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy import CALM, SPEED, TINY, demonstrations, expert, features, place

from hierarchy_nodes.cli.arguments import key_values
from hierarchy_nodes.controller.diffusion import actions
from hierarchy_nodes.controller.diffusion.features import CHANNELS, PERIOD
from hierarchy_nodes.controller.diffusion.inputs import prepare
from hierarchy_nodes.controller.diffusion.policy import Policy
from hierarchy_nodes.controller.diffusion.weights import load_config
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.augmentation import augment, cut_rays, draw_channels, turned
from hierarchy_nodes.learning.controller_data import ControllerData
from hierarchy_nodes.learning.trainer import CHECKPOINT, METRICS, PLOT
from hierarchy_nodes.learning.training import Trainer, TrainingOptions, train
from hierarchy_nodes.parameters import with_values

QUICK = TrainingOptions(
    steps=12, batch=16, warmup=4, rate=1e-3, evaluate_every=6, evaluate_records=16, save_every=6,
    network=TINY, augmentation=CALM,
)  # fmt: skip


@pytest.fixture(scope="module")
def arrays():
    return demonstrations(160)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Policy:
    """A policy that has had time to learn the toy task."""
    options = replace(QUICK, steps=400, batch=64, warmup=30, rate=8e-3, evaluate_every=400)
    torch.set_num_threads(1)
    path = train(demonstrations(3000), tmp_path_factory.mktemp("t"), options, progress=False)
    return Policy.load(path)


def batch_of(arrays, count=8):
    data = ControllerData(arrays)
    data.encode_words(["block"], 4)
    return data.batch(torch.arange(count), torch.ones(count))


def test_without_masks_the_cloud_is_not_drawn_from_them():
    drawn = demonstrations(8)
    drawn["plain_points"] = drawn["points"] + 1
    data = ControllerData(drawn)
    data.encode_words(["block"], 4)
    masks = torch.tensor([1.0, 0.0] * 4)
    batch = data.batch(torch.arange(8), masks)
    expected = np.where(masks[:, None, None] > 0, drawn["points"], drawn["plain_points"])
    assert np.array_equal(batch["points"], expected)


# What was learned


def trials(count=40, seed=77, **more):
    """(features, tool, target, expert's chunk) not seen in training."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        tool, target = place(rng), place(rng)
        yield features(tool, target, rng, **more), tool, target, expert(tool, target, **more)


def error(policy, steps=10) -> float:
    """Mean distance from the expert's chunk, metres; 0.17 for one that does not move."""
    found = []
    for seed, (seen, _, _, truth) in enumerate(trials()):
        chunk = policy.act(policy.see(seen), steps=steps, seed=seed).chunk
        found.append(np.linalg.norm(chunk[:, :3] - truth[:, :3], axis=1).mean())
    return float(np.mean(found))


def test_it_goes_to_the_target(learned):
    assert error(learned) < 0.07


def test_followed_again_and_again_it_arrives(learned):
    rng = np.random.default_rng(5)
    away = []
    for _ in range(12):
        tool, target = place(rng), place(rng)
        for seed in range(12):
            view = learned.see(features(tool, target, rng))
            tool = learned.act(view, steps=5, temperature=0.2, seed=seed).chunk[3, :3]
        away.append(np.linalg.norm(tool - target))
    assert np.median(away) < 0.015


def test_few_steps_from_the_last_chunk_are_as_good(learned):
    warm = []
    for seed, (seen, tool, target, _) in enumerate(trials()):
        last = learned.act(learned.see(seen), steps=10, seed=seed).chunk
        after = tool + (target - tool) / np.linalg.norm(target - tool) * SPEED * PERIOD
        rng = np.random.default_rng(0)
        view = learned.see(features(after, target, rng))
        chunk = learned.act(view, steps=2, guess=learned.shifted(last, PERIOD), start=20, seed=seed)
        truth = expert(after, target)
        warm.append(np.linalg.norm(chunk.chunk[:, :3] - truth[:, :3], axis=1).mean())
    assert np.mean(warm) < 1.1 * error(learned)


def test_a_correction_goes_before_the_task(learned):
    aligned = []
    for direction in np.vstack([np.eye(3), -np.eye(3)]):
        for seen, tool, _, _ in trials(count=4, motion=0.06 * direction):
            chunk = learned.act(learned.see(seen), steps=10).chunk
            aligned.append(float((chunk[8, :3] - tool) @ direction))
    assert np.mean(aligned) > 0.04
    assert np.mean(np.array(aligned) > 0.03) > 0.8


def test_guidance_makes_it_count_for_more(learned):
    calm, loud = [], []
    for seen, tool, _, _ in trials(count=20, motion=np.array([0.0, 0.0, 0.06])):
        for guidance, found in ((1.0, calm), (2.5, loud)):
            chunk = learned.act(learned.see(seen, guidance), steps=10).chunk
            found.append(float(chunk[8, 2] - tool[2]))
    assert np.mean(loud) > np.mean(calm)


@pytest.mark.parametrize("channel", [("path", "motion"), ("masks", "motion")])
def test_one_of_path_and_masks_is_enough(learned, channel):
    partial = Policy(learned.network, learned.config, channel, compiled=False)
    assert error(partial) < 0.1


def test_the_words_decide_where_they_must(learned):
    closes = []
    for grasp in (False, True):
        rng = np.random.default_rng(3)
        for _ in range(10):
            target = place(rng)
            tool = target + rng.normal(0, 0.01, 3)
            chunk = learned.act(learned.see(features(tool, target, rng, grasp)), steps=10).chunk
            closes.append((grasp, chunk[-1, 7] < 0.5))
    assert np.mean([closed == grasp for grasp, closed in closes]) > 0.85


def test_the_prefix_stays_and_the_rest_joins_it(learned):
    for seen, *_ in trials(count=5):
        view = learned.see(seen)
        before = learned.act(view, steps=10, seed=1).chunk
        moved = before + np.array([0.0, 0.01, 0.0, 0, 0, 0, 0, 0])
        weights = np.zeros(16)
        weights[:3] = 1.0
        chunk = learned.act(view, steps=10, prefix=moved, weights=weights, seed=2).chunk
        np.testing.assert_allclose(chunk[:3, :3], moved[:3, :3], atol=1e-5)


def test_it_knows_when_it_is_done(learned):
    rng = np.random.default_rng(9)
    there, not_yet = [], []
    for _ in range(20):
        target = place(rng)
        there.append(learned.see(features(target.copy(), target, rng)).done)
        not_yet.append(learned.see(features(place(rng), target, rng)).done)
    assert np.mean(np.array(there) > 0.5) > 0.8
    assert np.mean(np.array(not_yet) > 0.5) < 0.2


# How it is learned


def test_files(arrays, tmp_path):
    path = train(arrays, tmp_path, QUICK, progress=False, facts={"folder": "toy"})
    assert path.stat().st_size < 20e6
    notes = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    looks = [n["held_out"] for n in notes if "held_out" in n]
    assert len(looks) == 2
    assert len(looks[0]["all"]["position_mm"]) == 16
    assert set(looks[0]) == {"all", "path only", "masks only", "text only"}
    assert all(np.isfinite(n["loss"]) for n in notes if "loss" in n)
    assert (tmp_path / PLOT).read_bytes().startswith(b"\x89PNG")
    training = load_config(path.with_suffix(".json")).training
    assert (training["steps"], training["records"], training["episodes"]) == (12, 160, 20)
    assert training["data"] == {"folder": "toy"}
    assert training["options"]["batch"] == 16


def test_the_same_seed_gives_the_same_weights_also_when_resumed(arrays, tmp_path):
    whole = load_file(train(arrays, tmp_path / "a", QUICK, progress=False))
    stopped = Trainer(arrays, tmp_path / "b", QUICK, torch.device("cpu"))
    stopped.out.mkdir()
    for _ in range(8):
        stopped._advance(stopped.objective)
        stopped.step += 1
        if stopped.step == 6:
            stopped.save()
    resumed = load_file(train(arrays, tmp_path / "b", QUICK, resume=True, progress=False))
    other = load_file(train(arrays, tmp_path / "c", replace(QUICK, seed=1), progress=False))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not all(torch.equal(whole[name], other[name]) for name in whole)


def test_a_checkpoint_is_not_overwritten_by_mistake(arrays, tmp_path):
    train(arrays, tmp_path, QUICK, progress=False)
    with pytest.raises(ConfigError, match="--resume"):
        train(arrays, tmp_path, QUICK, progress=False)
    wider = replace(QUICK, network=replace(TINY, width=32))
    with pytest.raises(ConfigError, match="another network"):
        train(arrays, tmp_path, wider, resume=True, progress=False)
    assert (tmp_path / CHECKPOINT).exists()


def test_the_flat_policy_sees_neither_path_nor_masks(arrays, tmp_path):
    flat = Policy.load(train(arrays, tmp_path, replace(QUICK, policy="flat"), progress=False))
    assert flat.config.channels == ("text",)
    rng = np.random.default_rng(0)
    seen = features(np.array([0.4, 0.0, 0.3]), np.array([0.5, 0.1, 0.02]), rng)
    blank = replace(
        seen,
        path_there=0 * seen.path_there,
        things_there=0 * seen.things_there,
        point_roles=0 * seen.point_roles,
        interaction=0 * seen.interaction,
        closest=0 * seen.closest,
    )
    one, two = (flat.act(flat.see(f), steps=5).chunk for f in (seen, blank))
    np.testing.assert_array_equal(one, two)


def test_held_out_episodes_are_whole_and_apart(arrays):
    data = ControllerData(arrays)
    split = data.split(0.2, 0)
    episode = torch.from_numpy(arrays["episode_index"])
    learned_from, kept = set(episode[split.train].tolist()), set(episode[split.held_out].tolist())
    assert not learned_from & kept
    assert len(kept) == 4
    assert len(split.train) + len(split.held_out) == 160


def test_what_comes_after_the_end_may_be_left_out(arrays, tmp_path):
    def learned_from(**options) -> torch.Tensor:
        chosen = replace(QUICK, **options)
        trainer = Trainer(arrays, tmp_path / str(chosen.ended), chosen, torch.device("cpu"))
        return trainer.split.train

    every, running = learned_from(), learned_from(ended=False)
    ended = torch.from_numpy(arrays["done"])[every] > 0.5
    assert 0 < int(ended.sum()) < len(every)
    assert torch.equal(running, every[~ended])


def test_demonstrations_are_checked(arrays):
    with pytest.raises(ConfigError, match="'joints' is missing"):
        ControllerData({k: v for k, v in arrays.items() if k != "joints"})
    with pytest.raises(ConfigError, match="'tool' contains NaN"):
        ControllerData(arrays | {"tool": arrays["tool"] * np.nan})
    with pytest.raises(ConfigError, match="expected \\(N, 16, 8\\)"):
        ControllerData(arrays | {"action.chunk": arrays["action.chunk"][:, :4]})
    with pytest.raises(ConfigError, match="'done' has 3 records"):
        ControllerData(arrays | {"done": arrays["done"][:3]})


def test_a_late_image_is_of_the_same_episode(arrays):
    data = ControllerData(arrays)
    data.encode_words([], 4)
    index = torch.tensor([0, 1, 8, 9, 15])
    batch = data.batch(index, torch.ones(5), torch.tensor([2, 2, 1, 1, 2]))
    for row, (image, state) in enumerate(zip([0, 0, 8, 8, 13], index.tolist(), strict=True)):
        np.testing.assert_array_equal(batch["points"][row], arrays["points"][image])
        np.testing.assert_array_equal(batch["things"][row], arrays["things"][image])
        np.testing.assert_array_equal(batch["tool"][row], arrays["tool"][state])


# Augmentation


def test_a_turned_scene_is_the_same_scene(arrays):
    batch = batch_of(arrays)
    angle = torch.linspace(-1.0, 1.0, 8)
    result = turned(batch, angle)
    np.testing.assert_allclose(result["path"], cut_rays(result["path_pixels"], result["camera"])
                               * result["path_there"][..., None], atol=1e-4)  # fmt: skip
    cos, sin = angle.cos(), angle.sin()
    for name in ("tool", "camera"):
        x, y = batch[name][:, 0], batch[name][:, 1]
        np.testing.assert_allclose(result[name][:, 0], cos * x - sin * y, atol=1e-6)
        np.testing.assert_allclose(result[name][:, 1], sin * x + cos * y, atol=1e-6)
    np.testing.assert_allclose(result["joints"][:, 0], batch["joints"][:, 0] + angle, atol=1e-6)
    # What the drawn path looks like from the points does not change.
    beside = slice(12 + 3 + 3 + 4, 12 + 3 + 3 + 4 + 2)
    one, two = (prepare(b, torch.ones(8, 4)).points[..., beside] for b in (batch, result))
    np.testing.assert_allclose(one, two, atol=1e-3)
    # Nor where the chunk leads, seen from the tool.
    one, two = (actions.relative(b["action.chunk"], b["tool"]) for b in (batch, result))
    np.testing.assert_allclose(one[..., 2], two[..., 2], atol=1e-6)
    np.testing.assert_allclose(one[..., :2].norm(dim=-1), two[..., :2].norm(dim=-1), atol=1e-6)
    np.testing.assert_array_equal(batch["tool"], batch_of(arrays)["tool"])


def test_augmentation_is_seeded_and_keeps_what_must_stay(arrays):
    batch = batch_of(arrays)
    options = replace(CALM, turn=0.0, mask_loss=0.3)
    seeded = (torch.Generator().manual_seed(s) for s in (1, 1, 2))
    one, two, other = (augment(batch, options, 64, random) for random in seeded)
    for name in one:
        assert torch.equal(one[name], two[name])
    assert not torch.equal(one["points"], other["points"])
    assert one["points"].shape[1] == 64
    np.testing.assert_allclose(one["action.chunk"], batch["action.chunk"], atol=1e-6)
    np.testing.assert_allclose(one["tool"], batch["tool"], atol=1e-6)
    np.testing.assert_allclose(
        one["path"], cut_rays(one["path_pixels"], one["camera"]) * one["path_there"][..., None],
        atol=1e-5,
    )  # fmt: skip
    lost = batch["things_there"] > one["things_there"]
    assert lost.any()
    for sample in lost[:, 0].nonzero()[:, 0]:
        assert not (one["point_roles"][sample] == 1).any()


def test_channels_are_dropped_as_often_as_asked():
    random = torch.Generator().manual_seed(0)
    drawn = draw_channels(20_000, CHANNELS, CALM, random)
    asked = [CALM.drop_path, CALM.drop_masks, CALM.drop_motion, CALM.drop_text]
    np.testing.assert_allclose(1 - drawn.mean(0), asked, atol=0.015)
    flat = draw_channels(100, ("text",), CALM, random)
    np.testing.assert_array_equal(flat.mean(0), [0, 0, 0, 1])


# The command


def test_options_from_the_command_line():
    # Neither goes with the default of the other.
    given = ["network.width=90", "network.heads=5", "augmentation.turn=0.2", "draws=4"]
    options = with_values(TrainingOptions(), key_values("--set", given))
    assert (options.network.width, options.augmentation.turn, options.draws) == (90, 0.2, 4)
    changed = {"width": 90, "heads": 5}
    assert asdict(options.network) == asdict(TrainingOptions().network) | changed
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        key_values("--set", ["draws"])
    for key, told in (("draw", "'draws'"), ("net.width", "'network'"), ("steps", "outside")):
        with pytest.raises(ConfigError, match=told):
            with_values(options, {key: 0})
