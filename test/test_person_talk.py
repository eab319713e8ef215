"""What makes episodes hard, a person in them, and the figures that come of it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import sample
from hierarchy_nodes.bench import spoken
from hierarchy_nodes.bench.probe import ROW, STOP, Log
from hierarchy_nodes.cli.main import main
from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.correction.meaning import meanings
from hierarchy_nodes.demo.speech import parse_line
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.learning import exchanges
from hierarchy_nodes.learning.episode import run_episode
from hierarchy_nodes.learning.evaluation import EpisodeSpec, episodes, summarise
from hierarchy_nodes.learning.exchanges import Exchange
from hierarchy_nodes.learning.hardness import FAMILIES, HARDNESSES, NICKNAMES, harden
from hierarchy_nodes.learning.hearing import Words
from hierarchy_nodes.learning.person.person import Utterance
from hierarchy_nodes.learning.person.voice import Speech
from hierarchy_nodes.learning.person.wording import MEASURED, TUNED
from hierarchy_nodes.learning.talk import Talk, part_of
from hierarchy_nodes.types import SPOTTER


def hard(kind, family="place", seed=300):
    return harden(kind, *sample(family, seed), np.random.default_rng(seed))


def test_all_hardnesses_can_be_drawn_again_for_all_families():
    for family in FAMILIES:
        for kind in HARDNESSES:
            first, second = hard(kind, family), hard(kind, family)
            assert (first.scene, first.task, first.paints) == (
                second.scene,
                second.task,
                second.paints,
            )
    with pytest.raises(UnknownNameError, match="twins"):
        hard("twin")


def test_a_twin_has_the_targets_kind_and_nearly_its_colour():
    found = hard("twins")
    target, twin = found.scene.object(found.task.target), found.scene.objects[-1]
    assert twin.shape == target.shape
    assert twin.color != target.color
    cell = Cell(found.scene)
    found.prepare(cell)
    painted = {
        cell.model.body(int(cell.model.geom_bodyid[g])).name: cell.model.geom_rgba[g, :3]
        for g in range(cell.model.ngeom)
    }
    cell.close()
    difference = np.abs(painted[target.name] - painted[twin.name]).max()
    assert 0.01 < difference < 0.2
    assert found.task == sample("place", 300)[1]


def test_a_miscalibrated_camera_is_off_by_centimetres_and_sees_the_same():
    found = hard("calibration")
    assert 0.025 <= float(np.linalg.norm(found.camera_off[:2])) <= 0.04
    cell = Cell(found.scene)
    frame = cell.capture()
    seen = found.misplace(frame)
    cell.close()
    moved = seen.camera_pose.position - frame.camera_pose.position
    assert moved == pytest.approx(found.camera_off)
    assert seen.color is frame.color


def test_a_nickname_always_means_the_same_and_the_task_is_the_same():
    names = list(NICKNAMES.values())
    assert len(set(names)) == len(names)
    scene, task = sample("place", 300)
    found = hard("nickname")
    target = scene.object(task.target)
    assert NICKNAMES[target.color, target.shape] in found.task.instruction
    assert replace(found.task, instruction=task.instruction) == task
    others = found.scene.objects[len(scene.objects) :]
    assert found.scene.objects[: len(scene.objects)] == scene.objects
    assert others
    kinds = [(thing.color, thing.shape) for thing in others]
    assert len(set(kinds)) == len(kinds)
    assert not set(kinds) & {(thing.color, thing.shape) for thing in scene.objects}
    with pytest.raises(ConfigError, match="nickname"):
        hard("nickname", "open_drawer")


def test_the_suite_takes_hardnesses_and_families_in_turn_whoever_stands_by():
    specs = episodes("spoken", 18, 300, person=exchanges.TYPED)
    assert [s.hardness for s in specs[:4]] == [*HARDNESSES, HARDNESSES[0]]
    assert {(s.hardness, s.family) for s in specs} == {(h, f) for h in HARDNESSES for f in FAMILIES}
    alone = episodes("spoken", 18, 300)
    assert [replace(s, person=exchanges.NONE) for s in specs] == alone
    with pytest.raises(ConfigError, match="--suite spoken"):
        episodes("place", 1, 300, person=exchanges.SPOKEN)


def test_hardnesses_can_be_chosen(capsys):
    specs = episodes("spoken", 12, 300, hardnesses=("twins", "nickname"))
    assert [s.hardness for s in specs[:3]] == ["twins", "nickname", "twins"]
    assert len({(s.hardness, s.family) for s in specs}) == 2 * len(FAMILIES)
    with pytest.raises(UnknownNameError, match="Unknown hardness 'fog'"):
        episodes("spoken", 1, 300, hardnesses=("fog",))
    assert main(["evaluate", "--suite", "place", "--hardness", "twins"]) == 2
    assert "--suite place has no hardness" in capsys.readouterr().err


def test_wordings_and_voices_to_measure_with_are_kept_for_the_seeds_of_evaluations():
    assert [part_of(seed) for seed in (300, 999, 100_000, 899_999)] == [TUNED] * 4
    assert [part_of(seed) for seed in (1000, 99_999, 900_000)] == [MEASURED] * 3


def test_the_same_person_says_the_same_whether_it_is_heard_or_read():
    found = hard("calibration")
    cell = Cell(found.scene)
    people = [
        Talk.draw(kind, cell, found.task, 300) for kind in (exchanges.SPOKEN, exchanges.TYPED)
    ]
    voices = [p.person.voice for p in people]
    assert voices[0].speaker == voices[1].speaker
    assert voices[0].place == voices[1].place
    assert people[0].hearing is not None
    assert people[1].hearing is None
    assert Talk.draw(exchanges.NONE, cell, found.task, 300) is None
    with pytest.raises(UnknownNameError, match="typed"):
        Talk.draw("deaf", cell, found.task, 300)
    cell.close()


def uttered(text, begun=1.0):
    return Utterance("beside target", text, Speech(np.zeros(16000, np.float32), 1.0), 0.5, begun)


def words(text, at=2.6, engine="commands", start=1.0, end=2.4):
    return Words(text, start, end, at, engine, tuple(parse(text, start)))


def stack(time=2.6, stamp=0.0, plan_id="a"):
    chunk = SimpleNamespace(stamp=stamp, plan_id=plan_id)
    return SimpleNamespace(time=time, chunk=chunk, plan=object())


def test_understood_is_what_means_the_same():
    for said, heard, right in (
        ("two centimetres to the left", "two centimeters left", True),
        ("two centimetres to the left", "three centimetres to the left", False),
        ("no, the blue one", "the blue one", True),
        ("left", "lift", False),
    ):
        exchange = Exchange(uttered(said))
        assert not exchange.understood
        exchange.tell(words(heard), stack())
        assert exchange.understood == right, heard


def test_a_stop_that_was_spotted_counts_once():
    exchange = Exchange(uttered("stop"))
    exchange.tell(words("stop", 1.9, SPOTTER), stack())
    exchange.tell(words("stop"), stack())
    assert exchange.understood
    assert exchange.report()["told"] == 1.9
    exchange.watch(stack(2.7))
    assert exchange.acted == 2.7


def test_acted_on_is_what_changes_the_chunks():
    motion = Exchange(uttered("left a bit"))
    motion.tell(words("left a bit"), stack())
    motion.watch(stack(2.65, stamp=2.55))
    assert motion.acted is None  # from before it was told
    motion.watch(stack(2.7, stamp=2.65))
    assert motion.acted == 2.7
    other = Exchange(uttered("no, the blue one"))
    other.tell(words("no, the blue one"), stack(plan_id="a"))
    other.watch(stack(3.0, stamp=2.9, plan_id="a"))
    other.watch(stack(3.1, stamp=3.0, plan_id=""))
    assert other.acted is None
    other.watch(stack(4.0, stamp=3.9, plan_id="b"))
    assert other.acted == 4.0


def test_meanings_leave_out_what_makes_no_difference():
    assert meanings(parse("use the other plate", 0.0)) == meanings(parse("use other plate", 1.0))
    assert meanings(parse("left", 0.0)) != meanings(parse("right", 0.0))


def test_an_unknown_name_is_cleared_up_by_whoever_stands_by():
    """The whole way from a nickname to the thing on the plate; alone, the stack gives up."""
    spec = episodes("spoken", 3, 300, person=exchanges.TYPED)[2]
    assert spec.hardness == "nickname"
    found = run_episode(replace(spec, time_limit=40.0))
    assert found.success, found.reason
    (said, *_) = found.person["utterances"]
    assert said["about"] == "idle"
    assert said["understood"]
    assert said["seen"] < said["begun"] < said["ended"] <= said["told"] < said["acted"]
    alone = run_episode(replace(spec, person=exchanges.NONE, time_limit=40.0))
    assert not alone.success
    assert alone.person == {}
    summary = summarise([found, alone])
    assert summary["per_hardness"]["nickname"]["successes"] == 1
    assert summary["spoken"]["utterances"] == len(found.person["utterances"])
    assert summary["spoken"]["delay_ms"]["mistake to first word"]["n"] == 1
    json.dumps(summary)


def test_the_command_takes_a_person_in_the_suite_spoken_only(capsys):
    assert main(["evaluate", "--suite", "place", "--person", "spoken", "--episodes", "1"]) != 0
    assert "--suite spoken" in capsys.readouterr().err
    assert EpisodeSpec(0, "place", "basic", 0).person == exchanges.NONE


def test_lines_to_be_spoken_are_read_as_typed_ones_are():
    assert parse_line("stop@4", "--speak").at == 4
    with pytest.raises(ConfigError, match="--speak 'stop'"):
        parse_line("stop", "--speak")


def test_spoken_stops_are_measured_from_the_end_of_the_word():
    stamps = [10.5, 20.9]
    log = np.zeros(len(stamps), ROW)
    log["stamp"], log["kind"] = stamps, STOP
    trials = [
        spoken.Trial(10.0, 10.4, 10.49),
        spoken.Trial(20.0, 20.4, 20.88),
        spoken.Trial(30.0, 30.4, None),
    ]
    message, driver = spoken.figures("spotter", trials, Log(log))
    assert (message.n, driver.n) == (2, 2)
    assert message.max == pytest.approx(480.0)
    assert driver.max == pytest.approx(500.0)
    assert "1 of 3 not heard" in message.note
    assert message.met is False
