"""Images for the compact planner: the same for the same seed, true, and apart from evaluation."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from hardware.cell.phrases import TEMPLATES
from hardware.cell.scene import COLORS, NOVEL_COLORS
from hardware.cell.tasks import AXES, FAMILIES, WAYS, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.planner import images, naming, sayings
from hierarchy_nodes.learning.planner.kinds import HELD_OUT_SHAPES, KINDS, allowed, palette
from hierarchy_nodes.learning.planner.naming import Unclear, Words, meant
from hierarchy_nodes.learning.planner.settings import Drafter
from hierarchy_nodes.learning.planner.stage import Item, Stage
from hierarchy_nodes.learning.planner.texture import HELD_OUT_PATTERNS, TRAINING_PATTERNS
from hierarchy_nodes.learning.planner.wishes import Wisher
from hierarchy_nodes.planner.compact.inputs import PATH_POINTS
from hierarchy_nodes.planner.compact.text import split
from hierarchy_nodes.types import Gripper

SEEDS = range(500_000, 500_008)
UNSEEN = {*NOVEL_COLORS, *HELD_OUT_SHAPES}


@pytest.fixture(scope="module")
def rows():
    return [images.row(seed) for seed in SEEDS]


def decoded(row):
    shown = np.frombuffer(row["things"]["bytes"], np.uint8)
    return cv2.imdecode(shown, cv2.IMREAD_GRAYSCALE)


def item(name, color="red", kind="block", at=(0.5, 0.0), **more):
    return Item(name, kind, color, palette()[color], KINDS[kind].size, (*at, 0.02), **more)


def test_the_same_seed_gives_the_same_image_and_instructions(rows):
    again = images.row(SEEDS[3])
    assert again == rows[3]
    assert len({row["image"]["bytes"] for row in rows}) == len(rows)


def test_sentences_kept_for_evaluation_are_recognised_and_never_said():
    for kind, templates in TEMPLATES.items():
        for template in templates[1:]:
            said = template.format(t="dark red block", g="blue plate", way=next(iter(WAYS)))
            assert sayings.held_out(said), said
            assert sayings.held_out(f"Robot, {said.capitalize()} now!"), said
        assert not sayings.held_out(templates[0].format(t="red block", g="blue plate", way="back"))
        rng = np.random.default_rng(1)
        texts = {
            sayings.say(kind, "the red block", "the left bowl", way, rng)
            for way in WAYS
            for _ in range(400)
        }
        assert len(texts) > 60
        assert not any(sayings.held_out(text) for text in texts)


def test_colors_shapes_and_textures_kept_for_evaluation_do_not_occur(rows):
    assert not UNSEEN & set(palette())
    assert not any(allowed(COLORS[name]) for name in NOVEL_COLORS)
    assert all(allowed(rgb) for rgb in palette().values())
    nouns = {noun for kind in KINDS.values() for noun in kind.nouns}
    assert not UNSEEN & (nouns | set(KINDS))
    assert not UNSEEN & {kind.base for kind in KINDS.values() if not kind.strange}
    assert not set(HELD_OUT_PATTERNS) & set(TRAINING_PATTERNS)
    texts = [
        text
        for row in rows
        for task in row["tasks"]
        for text in (task["text"], *(c["phrase"] for c in task["corrections"]))
    ]
    assert not any(sayings.held_out(text) for text in texts)
    said = {word for text in texts for word in split(text)}
    assert len(said) > 40
    assert not UNSEEN & said


def test_drawn_settings_keep_clear_of_evaluation():
    drafter = Drafter(Kinematics())
    rng = np.random.default_rng(0)
    patterns, bases, strange = set(), set(), []
    for _ in range(150):
        setting = drafter.draw(rng)
        assert all(allowed(thing.rgb) for thing in setting.items)
        bases |= {thing.what.base for thing in setting.items if not thing.what.strange}
        strange += [thing for thing in setting.items if thing.what.strange]
        patterns |= {setting.texture.pattern} if setting.texture else set()
    assert patterns == set(TRAINING_PATTERNS)
    assert bases == {kind.base for kind in KINDS.values() if not kind.strange}
    assert not bases & set(HELD_OUT_SHAPES)
    # Made of what would be a cross, but none has both of its bars in the middle.
    assert len(strange) > 20
    for thing in strange:
        if thing.what.base == "bowl":
            assert abs(thing.size[0] - thing.size[1]) > 0.02
            continue
        (_, _, first), (_, _, second) = thing.looks
        assert np.linalg.norm(np.subtract(first, second)) > 0.002


def test_what_lies_beside_its_goal_is_not_done():
    stage, drafter, rng = Stage(), Drafter(Kinematics()), np.random.default_rng(2)
    asked = 0
    while asked < 5:
        setting = drafter.draw(rng)
        things = {thing.name: thing for thing in setting.items}
        missed = [t for t in setting.items if t.beside and t.name != setting.held]
        if not missed:
            continue
        thing, goal = missed[0], things[missed[0].beside]
        assert not thing.on
        away = np.hypot(*np.subtract(thing.position[:2], goal.position[:2]))
        reach = (max(thing.size[:2]) + max(goal.size[:2])) / 2
        assert reach <= away < reach + 0.016
        assert thing.position[2] < 0.06
        wishes = Wisher(stage, setting, stage.show(setting), rng).draw(30)
        number, there = setting.items.index(thing), setting.items.index(goal)
        for wish in wishes:
            if wish.targets == (number,) and wish.goal == there:
                assert wish.status == "plan"
                asked += 1
    stage.close()


def test_strange_things_look_as_they_were_drawn():
    """What is unlike all else has the parts that its item says, within its box."""
    stage, drafter, rng = Stage(), Drafter(Kinematics()), np.random.default_rng(1)
    seen = 0
    while seen < 8:
        setting = drafter.draw(rng)
        stage.show(setting, pictures=False)
        model, data = stage.cell.model, stage.cell.data
        for thing in setting.items:
            if not thing.what.strange or thing.name == setting.held:
                continue
            body = model.body(thing.name)
            turn = data.xmat[body.id].reshape(3, 3)
            for geom, (form, _, middle) in enumerate(thing.looks, int(body.geomadr[0])):
                assert model.geom_type[geom] == form
                at = turn.T @ (data.geom_xpos[geom] - data.xpos[body.id])
                np.testing.assert_allclose(at, middle, atol=1e-6)
                assert (np.abs(middle)[:2] <= np.array(thing.size)[:2] / 2 + 1e-6).all()
            seen += 1
    stage.close()


def test_an_unknown_word_means_the_strange_thing_or_says_nothing():
    rng = np.random.default_rng(0)
    words = {naming.unheard(rng) for _ in range(50)}
    assert len(words) == 50
    assert not words & {noun for kind in KINDS.values() for noun in kind.nouns}
    assert naming.noun_of("strange", rng) not in words
    block = Item("a", "block", "red", COLORS["red"], (0.04,) * 3, (0.5, 0.0, 0.02))
    strange = replace(block, name="b", kind="strange")
    here = [block, strange]
    assert naming.meant(Words("red", "strange", "wug"), here, lambda t: True) == [strange]
    assert naming.meant(Words("red", "", "wug"), [block], lambda t: True) == [block]


def test_shapes_kept_for_evaluation_are_those_of_its_axes_alone():
    def shapes(axes):
        drawn = (sample(family, seed, axis) for family in FAMILIES for seed in range(25)
                 for axis in axes)  # fmt: skip
        return {thing.shape for scene, _ in drawn for thing in scene.objects}

    new = ("object_goal", "novel_object")
    old = shapes([axis for axis in AXES if axis not in new])
    assert shapes(new) - old == set(HELD_OUT_SHAPES)


def test_answers_point_at_what_is_seen(rows):
    plans = 0
    for row in rows:
        things = decoded(row)
        for task in row["tasks"]:
            for number in task["targets"]:
                assert (things == number + 1).any()
            if task["status"] != "plan":
                assert not task["path"]
                continue
            plans += 1
            assert 3 <= len(task["path"]) <= PATH_POINTS
            path = np.array(task["path"])
            assert (path[:, :2] >= 0).all()
            assert (path[:, :2] <= 1).all()
            if task["interaction"] == "place" and path[0, 3] != Gripper.KEEP:
                grasp = path[path[:, 3] == Gripper.CLOSE][0]
                near = np.argwhere(things == task["targets"][0] + 1)
                away = np.abs(near[:, ::-1] / (320, 240) - grasp[:2]).sum(1).min()
                assert away < 0.03
    assert plans > 5


def test_words_mean_what_they_say():
    things = [item("a"), item("b", at=(0.5, 0.2)), item("c", "blue", at=(0.4, -0.1))]

    def anything(_):
        return True

    assert meant(Words("red", "block"), things, anything) == things[:2]
    assert meant(Words("red", "block", place="left"), things, anything) == [things[1]]
    assert meant(Words("", "block", place="nearest"), things, anything) == [things[2]]
    assert meant(Words("green", "block"), things, anything) == []
    assert meant(Words("red", other=True), things, anything, things[0]) == [things[1]]
    first = Words("red", "block", "block")
    assert meant(first.changed_by(Words("blue")), things, anything) == [things[2]]
    assert meant(first.changed_by(Words(other=True)), things, anything, things[1]) == [things[0]]
    level = [item("a"), item("b", at=(0.55, 0.01))]
    with pytest.raises(Unclear):
        meant(Words("", "block", place="left"), level, anything)


def test_a_color_between_two_names_is_not_asked_for():
    lab = naming.lab(COLORS["red"])
    for shade in np.linspace(0, 1, 30):
        rgb = tuple((1 - shade) * np.array(COLORS["red"]) + shade * np.array(COLORS["orange"]))
        thing = Item("a", "block", "orange", rgb, (0.04,) * 3, (0.5, 0.0, 0.02))
        away = float(np.linalg.norm(naming.lab(rgb) - lab))
        if 27 < away < 37:
            # Orange and red are plain names for two colours, salmon is hard to tell from both.
            assert not naming.is_color(thing, Words("red"))
            with pytest.raises(Unclear):
                naming.is_color(replace(thing, color="salmon"), Words("red"))
            return
    pytest.fail("no such colour found")


def test_collecting_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "SHARD", 2)
    first = images.collect_images(3, 500_000, tmp_path, progress=False)
    assert (first["images"], first["made_now"]) == (3, 3)
    assert first["tasks"] == sum(first["status"].values())
    with pytest.raises(ConfigError, match="--resume"):
        images.collect_images(4, 500_000, tmp_path, progress=False)
    before = (tmp_path / "data" / "train-00000.parquet").stat().st_mtime_ns
    more = images.collect_images(4, 500_000, tmp_path, resume=True, progress=False)
    assert (more["images"], more["made_now"]) == (4, 2)
    assert (tmp_path / "data" / "train-00000.parquet").stat().st_mtime_ns == before
    seeds = [s for f in images.files_of(tmp_path) for s in pq.read_table(f)["seed"].to_pylist()]
    assert seeds == [500_000, 500_001, 500_002, 500_003]
    about = json.loads((tmp_path / images.META).read_text())
    assert about["held_out"]["colors"] == list(NOVEL_COLORS)


@pytest.mark.parametrize("seed", [1000, 499_999, 899_990])
def test_seeds_of_others_are_refused(seed, tmp_path):
    with pytest.raises(ConfigError, match="500000 to 899999"):
        images.collect_images(100, seed, tmp_path, progress=False)
