"""The compact planner's network: words, answers, weights and training."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scenes import RED, cube, picture, plate, robot_at

from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import ConfigError, PlanningError, PlanRejected
from hierarchy_nodes.learning.planner import images
from hierarchy_nodes.learning.planner.data import PlannerData
from hierarchy_nodes.learning.planner.objective import PlannerObjective, fit_calibration, judge
from hierarchy_nodes.learning.planner.training import PlannerTrainingOptions, train_planner
from hierarchy_nodes.learning.statistics import calibration_error
from hierarchy_nodes.planner.base import PlanRequest, TaskDone
from hierarchy_nodes.planner.compact import lexicon
from hierarchy_nodes.planner.compact.answer import read_answer
from hierarchy_nodes.planner.compact.backend import CompactPlanner
from hierarchy_nodes.planner.compact.inputs import INTERACTIONS, PATH_POINTS, STATUSES
from hierarchy_nodes.planner.compact.network import CompactNetwork, NetworkConfig
from hierarchy_nodes.planner.compact.options import CompactOptions
from hierarchy_nodes.planner.compact.text import FIRST, NOTHING, UNKNOWN, Reader, vocabulary_of
from hierarchy_nodes.planner.compact.things import (
    CHANNELS,
    CROP,
    GEOMETRY,
    POINT,
    colors_of,
    padded,
    see,
)
from hierarchy_nodes.planner.compact.weights import Calibration, PlannerWeights, load_weights
from hierarchy_nodes.types import Gripper, Interaction
from hierarchy_nodes.weights import save_weights

TINY = NetworkConfig(
    channels=8, width=32, heads=2, layers=1, text_layers=1, path_layers=1, words=24
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A handful of images on disk."""
    found = tmp_path_factory.mktemp("images")
    images.collect_images(5, 500_100, found, progress=False)
    return found


# -- words ------------------------------------------------------------------------------------


def test_colors_are_known_without_training():
    assert lexicon.describe("teal")[0] == 1.0
    assert lexicon.describe("scarlet") == lexicon.describe("red")
    assert lexicon.describe("block") == (0.0, 0.0, 0.0, 0.0)
    red, crimson, blue = (np.array(lexicon.describe(w)) for w in ("#ff0000", "crimson", "blue"))
    assert np.linalg.norm(red - crimson) < np.linalg.norm(red - blue)
    assert lexicon.color_of("#12xyz9") is None


def test_words_become_numbers_and_corrections_survive_a_long_text():
    read = Reader(["put", "the", "block"], 12)
    text = read("Put the giraffe", [("goal", "the block")])
    assert text.ids[:5].tolist() == [FIRST, FIRST + 1, UNKNOWN, FIRST + 1, FIRST + 2]
    assert text.segments[:5].tolist() == [0, 0, 0, 2, 2]
    assert text.ids[5:].tolist() == [NOTHING] * 7
    assert read("#00ff00 thing").colors[0, 0] == 1.0
    long = read("word " * 50, [("target", "the teal block")])
    assert long.segments[-3:].tolist() == [1, 1, 1]
    assert len(read("").ids) == 12


def test_a_vocabulary_has_what_is_said_often():
    texts = ["the red block", "the Block #ff0000 #ff0000"]
    assert vocabulary_of(texts, least=2) == ["block", "the"]
    assert vocabulary_of([*texts, *texts]) == ["block", "the"]


# -- network and weights ----------------------------------------------------------------------


def forward(network, count=2):
    c = network.config
    there = torch.arange(4).expand(count, 4) < 3
    seen = network.see(
        torch.rand(count, 4, CHANNELS, CROP, CROP), torch.rand(count, 4, GEOMETRY),
        torch.rand(count, 4, 3), there,
    )  # fmt: skip
    ids = torch.randint(0, c.vocabulary + FIRST, (count, c.words))
    return network(
        seen, ids, torch.rand(count, c.words, lexicon.SIZE), torch.zeros_like(ids),
        torch.rand(count, 16), torch.rand(count, 6),
    )  # fmt: skip


def test_answers_have_their_shapes_and_can_be_read():
    torch.manual_seed(0)
    found = forward(CompactNetwork(replace(TINY, vocabulary=5)).eval(), 1)
    assert found["roles"].shape == (1, 3, 4)
    # The fourth is none.
    assert (found["roles"].softmax(2)[..., 3] < 1e-9).all()
    answer = read_answer({n: value.detach() for n, value in found.items()}, torch.rand(4, 2))
    assert answer.status in STATUSES
    assert answer.interaction in INTERACTIONS
    assert 0 <= answer.raw <= 1
    assert len(answer.path) <= PATH_POINTS
    assert sum(answer.statuses.values()) == pytest.approx(1.0, abs=1e-5)


def test_whatever_may_be_meant_is_told_best_first():
    roles = torch.tensor([[2.0, -9.0, 2.6, 0.0]]).expand(1, 3, 4)
    points = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]])
    found = {
        "roles": roles, "status": torch.tensor([[0.0, 0.0, 9.0, 0.0]]),
        "interaction": torch.zeros(1, 6), "flags": torch.tensor([[-9.0, -9.0, -9.0]]),
        "there": torch.full((1, 8), -1.0), "points": torch.zeros(1, 8, 2),
        "heights": torch.zeros(1, 8), "events": torch.zeros(1, 8, 3),
    }  # fmt: skip
    answer = read_answer(found, points)
    assert answer.status == "ambiguous"
    np.testing.assert_allclose([(s.x, s.y) for s in answer.targets], [(0.5, 0.6), (0.1, 0.2)])
    assert answer.goal is None
    sure = read_answer(found | {"status": torch.tensor([[9.0, 0, 0, 0]])}, points)
    assert [(s.x, s.y) for s in sure.targets] == [(pytest.approx(0.5), pytest.approx(0.6))]


def test_what_comes_after_the_last_thing_and_word_makes_no_difference():
    torch.manual_seed(1)
    network = CompactNetwork(replace(TINY, vocabulary=5)).eval()
    crops, geometry = torch.rand(1, 3, CHANNELS, CROP, CROP), torch.rand(1, 3, GEOMETRY)
    there, ids = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[2, 3, 4]])

    def ask(more):
        pad = torch.nn.functional.pad
        words = pad(ids, (0, more), value=NOTHING)
        seen = network.see(
            pad(crops, (0,) * 7 + (more,)), pad(geometry, (0, 0, 0, more)),
            torch.zeros(1, 3 + more, 3), pad(there, (0, more)),
        )  # fmt: skip
        colors = torch.zeros(1, 3 + more, lexicon.SIZE)
        rest = torch.zeros(1, 16), torch.zeros(1, 6)
        return network(seen, words, colors, torch.zeros_like(words), *rest)

    short, long = ask(0), ask(5)
    torch.testing.assert_close(long["roles"][..., :3], short["roles"])
    for name in ("status", "points", "events"):
        torch.testing.assert_close(long[name], short[name])


# -- things -----------------------------------------------------------------------------------


def test_things_are_seen_with_their_colour_place_and_outline():
    frame, _ = picture([cube(0.5, 0.1, RED), plate(0.5, -0.1)])
    things = see(frame, robot_at(0.0))
    assert things.crops.shape == (2, CHANNELS, CROP, CROP)
    # The plate is the larger one.
    places = things.geometry[:, :3] * (0.2, 0.2, 0.1) + (0.45, 0.0, 0.05)
    np.testing.assert_allclose(places[:, :2], [(0.5, -0.1), (0.5, 0.1)], atol=0.02)
    red = np.array(lexicon.describe("red")[1:])
    away = np.linalg.norm(colors_of(things.crops) - red, axis=1)
    assert away[1] < away[0] - 0.5
    for crop, point in zip(things.crops, things.geometry[:, POINT], strict=True):
        outline = crop[3] > 127
        assert 0.2 < outline.mean() < 0.9
        row, column = int(point[1] * 240), int(point[0] * 320)
        middle = crop[:3, CROP // 2, CROP // 2].astype(int)
        assert np.abs(middle - frame.color[row, column].astype(int)).max() < 60


def test_an_empty_table_can_be_asked_about():
    frame, _ = picture([])
    things = see(frame, robot_at(0.0))
    assert len(things.crops) == 0
    crops, geometry, colors, there = padded(things, 1)
    assert crops.shape == (1, CHANNELS, CROP, CROP)
    assert geometry.shape == (1, GEOMETRY)
    assert colors.shape == (1, 3)
    assert not there.any()


def test_weights_come_back_and_broken_ones_are_told(tmp_path):
    network = CompactNetwork(replace(TINY, vocabulary=2)).eval()
    config = PlannerWeights(network.config, ["red", "block"], Calibration(0.7, -0.1))
    path = tmp_path / "planner.safetensors"
    state = network.state_dict()
    save_weights(path, config, state)
    again, found = load_weights(path)
    assert found.vocabulary == ["red", "block"]
    assert found.calibration == Calibration(0.7, -0.1)
    assert all(torch.equal(again.state_dict()[name], state[name]) for name in state)

    def broken(match, **values):
        data = config.to_json() | values
        path.with_suffix(".json").write_text(json.dumps(data))
        with pytest.raises(ConfigError, match=match):
            load_weights(path)

    broken("2 words|built for 2", vocabulary=["red"])
    broken("'depth'.*Did you mean 'width'|'depth'", network={"depth": 3})
    broken("format 7", format=7)
    broken("layout", layout={})
    broken("shape", network=vars(replace(network.config, channels=16)))
    broken("not finite", calibration={"slope": float("inf"), "offset": 0.0})
    save_weights(path, config, state | {"path.bias": state["path.bias"] * torch.nan})
    with pytest.raises(ConfigError, match=r"'path.bias' contains NaN"):
        load_weights(path)
    save_weights(path, config, {k: v for k, v in state.items() if k != "path.bias"})
    with pytest.raises(ConfigError, match=r"'path\.bias' is missing"):
        load_weights(path)
    with pytest.raises(ConfigError, match="hierarchy train planner"):
        load_weights(tmp_path / "nothing.safetensors")


# -- training ---------------------------------------------------------------------------------


def test_a_tiny_network_learns_a_handful_of_images_by_heart(folder):
    torch.manual_seed(0)
    data = PlannerData(folder)
    vocabulary = vocabulary_of(data.texts(), least=1)
    data.encode_words(vocabulary, TINY.words)
    network = CompactNetwork(replace(TINY, vocabulary=len(vocabulary)))
    objective = PlannerObjective(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=8e-3)
    batch = data.batch(np.arange(2), 3, np.random.default_rng(0))
    first = None
    for _ in range(40):
        loss, _ = objective(batch)
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    found = judge(network.eval(), batch)
    assert loss.item() < 0.35 * first
    assert found["status"].float().mean() >= 0.85
    assert found["target"].float().mean() >= 0.6


def test_training_writes_weights_that_the_backend_uses_and_resumes(folder, tmp_path):
    options = PlannerTrainingOptions(
        steps=4, batch=2, each=2, warmup=1, held_out=0.4, evaluate_every=2, save_every=2,
        network=TINY,
    )  # fmt: skip
    whole = train_planner(folder, tmp_path / "a", options, progress=False)
    half = replace(options, steps=4)
    train_planner(folder, tmp_path / "b", half, progress=False)
    a, b = (load_weights(tmp_path / n / whole.name)[0].state_dict() for n in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    with pytest.raises(ConfigError, match="--resume"):
        train_planner(folder, tmp_path / "a", options, progress=False)
    longer = train_planner(
        folder, tmp_path / "a", replace(options, steps=6), resume=True, progress=False
    )
    notes = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    looks = [n["held_out"] for n in notes if "held_out" in n]
    assert notes[-1]["step"] == 6
    assert {"target", "goal", "absent_precision", "calibration_error"} <= set(looks[-1])
    planner = CompactPlanner(CompactOptions(weights=str(longer), min_confidence=0.0))
    frame, _ = picture([cube(0.5, 0.1, RED), plate(0.5, -0.1)])
    request = PlanRequest("put the red block on the blue plate", frame, robot_at(0.0))
    try:
        plan = planner.plan(request)
    except (PlanningError, PlanRejected, TaskDone):
        return  # Hardly trained: any answer will do that is one of the contract's.
    validate_plan(plan, frame.stamp, frame)


def test_things_are_told_from_the_depth_image_and_found_again_in_the_answers(folder):
    data = PlannerData(folder)
    data.encode_words(vocabulary_of(data.texts()), TINY.words)
    plain = data.batch(np.arange(5), 9, np.random.default_rng(0))
    wanted = plain["wanted"][:, 0]
    meant = plain["roles"][:, 0]
    assert (meant.sum(1)[wanted] == 1.0).float().mean() > 0.9
    # Where the path takes something, it is taken near to what is meant.
    points = plain["geometry"][plain["image_of"]][..., POINT]
    close = (plain["path"][..., 3] == Gripper.CLOSE) & (plain["path_there"] > 0)
    close[plain["interaction"] != INTERACTIONS.index(Interaction.PLACE)] = False
    checked = 0
    for k in torch.nonzero(close.any(1) & (meant.sum(1) == 1.0))[:, 0].tolist():
        at = plain["path"][k, int(close[k].int().argmax()), :2]
        assert (meant[k] @ points[k] - at).norm() < 0.05
        checked += 1
    assert checked >= 3
    vary = PlannerTrainingOptions().variation
    varied = data.batch(np.arange(5), 9, np.random.default_rng(3), vary)
    assert (varied["crops"][:, :, 3] == plain["crops"][:, :, 3]).all()
    assert (varied["crops"][:, :, :3] != plain["crops"][:, :, :3]).any()
    torch.testing.assert_close(varied["geometry"], plain["geometry"], atol=0.3, rtol=0)


def test_images_of_another_version_are_refused(folder, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "planner_images.json").write_text("{}")
    table = pq.read_table(images.files_of(folder)[0]).drop_columns(["regions"])
    pq.write_table(table, tmp_path / "data/train-00000.parquet")
    with pytest.raises(ConfigError, match=r"another version.*regions"):
        PlannerData(tmp_path)


def test_calibration_makes_confidence_a_probability():
    rng = torch.Generator().manual_seed(0)
    raw = torch.rand(4000, generator=rng).clamp(0.02, 0.98)
    true = torch.sigmoid(0.5 * torch.logit(raw) - 0.4)  # the network is too sure
    right = torch.rand(4000, generator=rng) < true
    slope, offset = fit_calibration(raw, right)
    assert (slope, offset) == (pytest.approx(0.5, abs=0.08), pytest.approx(-0.4, abs=0.08))
    sure = np.array([Calibration(slope, offset)(float(r)) for r in raw])
    hits = right.double().numpy()
    assert calibration_error(sure, hits) < 0.03 < calibration_error(raw.numpy(), hits)
