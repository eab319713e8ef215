"""A simulated person: what is seen, when it is said, how it is put."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.scene import ObjectSpec, SceneSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.errors import UnknownNameError
from hierarchy_nodes.learning.person import wording
from hierarchy_nodes.learning.person.person import Person, PersonOptions
from hierarchy_nodes.learning.person.voice import Speech
from hierarchy_nodes.learning.person.watching import Fault, Mistake, Onlooker
from hierarchy_nodes.learning.person.wording import MEASURED, PARTS, TUNED, Wording
from hierarchy_nodes.learning.talk import Talk
from hierarchy_nodes.types import CorrectionKind

STILL, DOWN = np.zeros(3), np.array([0.0, 0.0, -0.1])
TASK = TaskSpec("place", "put the red block on the blue plate", "red_block", "blue_plate", "on")
SCENE = SceneSpec(
    (
        ObjectSpec.make("red", "block", (0.45, 0.15)),
        ObjectSpec.make("orange", "block", (0.45, -0.15)),
        ObjectSpec.make("blue", "plate", (0.60, 0.0)),
        ObjectSpec.make("green", "plate", (0.36, 0.0)),
    )
)


@pytest.fixture(scope="module")
def cell():
    found = Cell(SCENE)
    yield found
    found.close()


@pytest.fixture
def scripted(cell):
    """An onlooker, and what it is to see: tool, velocity, and the name of what is held."""
    onlooker = Onlooker(cell, TASK)
    world, seen = onlooker.world, SimpleNamespace(tool=None, velocity=STILL, held="")
    position = world.position
    world.position = lambda name: seen.tool if name == "tool0" else position(name)
    world.tool_velocity = lambda: seen.velocity
    world.between_fingers = lambda names: seen.held in names
    # What is held is where the tool is.
    world.position = lambda name, own=world.position: (
        seen.tool if seen.held and name == seen.held else own(name)
    )

    def look(tool, velocity, held="", now=1.0):
        seen.tool, seen.velocity, seen.held = np.array(tool, float), np.array(velocity), held
        return onlooker.look(now)

    return look


def test_coming_down_beside_the_target_is_seen_with_the_way_to_it(scripted):
    found = scripted((0.45, 0.12, 0.10), DOWN)
    assert (found.fault, found.meant) == (Fault.BESIDE_TARGET, "red_block")
    assert found.offset == pytest.approx([0.0, 0.03], abs=0.002)
    assert scripted((0.45, 0.145, 0.10), DOWN) is None  # near enough
    assert scripted((0.45, 0.12, 0.30), DOWN) is None  # too early to tell
    assert scripted((0.45, 0.12, 0.10), -DOWN) is None  # it leaves


def test_going_for_another_thing_is_a_mistake_unless_the_way_leads_on_to_the_target(scripted):
    to_the_right = (0.0, -0.2, 0.0)
    found = scripted((0.45, -0.04, 0.25), to_the_right)
    assert (found.fault, found.wrong) == (Fault.WRONG_TARGET, "orange_block")
    assert scripted((0.45, -0.27, 0.25), (0.0, 0.2, 0.0)) is None
    assert scripted((0.45, -0.15, 0.10), DOWN).wrong == "orange_block"
    assert scripted((0.45, 0.04, 0.25), (0.0, 0.2, 0.0)) is None


def test_the_wrong_thing_in_the_hand_is_a_mistake_once_it_is_lifted(scripted):
    found = scripted((0.45, -0.15, 0.12), (0.0, 0.0, 0.1), "orange_block")
    assert (found.fault, found.wrong) == (Fault.WRONG_TARGET, "orange_block")
    assert scripted((0.45, -0.15, 0.02), (0.0, 0.0, 0.1), "orange_block") is None


def test_the_goal_may_be_missed_or_mistaken(scripted):
    found = scripted((0.36, 0.01, 0.10), DOWN, "red_block")
    assert (found.fault, found.meant, found.wrong) == (
        Fault.WRONG_GOAL,
        "blue_plate",
        "green_plate",
    )
    found = scripted((0.60, 0.075, 0.08), DOWN, "red_block")
    assert found.fault == Fault.BESIDE_GOAL
    assert found.offset == pytest.approx([0.0, -0.075], abs=0.002)
    assert scripted((0.60, 0.03, 0.08), DOWN, "red_block") is None  # well within the rim


def test_a_hand_that_is_about_to_hit_something_is_seen(scripted):
    found = scripted((0.45, -0.06, 0.02), (0.0, -0.2, 0.0))
    assert (found.fault, found.wrong) == (Fault.COLLISION, "orange_block")
    assert scripted((0.45, -0.06, 0.10), (0.0, -0.2, 0.0)).fault == Fault.WRONG_TARGET


def test_an_arm_that_stands_still_is_a_mistake_until_the_task_is_done(cell):
    onlooker = Onlooker(cell, TASK)
    assert onlooker.look(0.0) is None
    assert onlooker.look(1.9) is None
    assert onlooker.look(2.1).fault == Fault.IDLE
    assert not onlooker.content()
    own = Cell(SCENE)
    own.move_object("red_block", (0.60, 0.0, 0.035), 0.0)
    own.step(0.5)
    done = Onlooker(own, TASK)
    assert done.look(0.0) is None
    assert done.look(2.1) is None
    assert done.content()
    own.close()


class Script:
    """An onlooker that sees what it is told."""

    def __init__(self):
        self.mistake = None

    def look(self, now):
        return self.mistake


class Words:
    """A wording that numbers its sentences."""

    def __init__(self, text="sentence"):
        self.text, self.count = text, 0

    def of(self, mistake):
        self.count += 1
        return f"{self.text} {self.count}".removesuffix(" 1")

    def go_on(self):
        return "go on"


def person(words=None, **options):
    script = Script()
    voice = SimpleNamespace(speak=lambda text: Speech(np.zeros(16000, np.float32), 1.0))
    rng = np.random.default_rng(0)
    return script, Person(script, words or Words(), voice, rng, PersonOptions(**options))


def pass_time(somebody, begin, end, stopped=False):
    times = np.arange(begin, end, 0.008)
    return [said for now in times if (said := somebody.step(now, stopped)) is not None]


OFF = Mistake(Fault.BESIDE_TARGET, "red_block", offset=np.array([0.0, 0.03]))


def test_it_takes_a_person_a_moment_to_react():
    script, somebody = person(spread=0.0)
    assert pass_time(somebody, 0.0, 1.0) == []
    script.mistake = OFF
    (said,) = pass_time(somebody, 1.0, 2.0)
    assert said.seen == pytest.approx(1.0, abs=0.06)
    assert said.begun - said.seen == pytest.approx(0.6, abs=0.06)
    assert said.ended == pytest.approx(said.begun + 1.0)
    assert said.fault == "beside target"


def test_reaction_times_vary():
    delays = []
    for seed in range(40):
        script, somebody = person()
        somebody._rng = np.random.default_rng(seed)
        script.mistake = OFF
        (said,) = pass_time(somebody, 0.0, 2.5)
        delays.append(said.begun)
    assert 0.5 < np.median(delays) < 0.8
    assert np.ptp(delays) > 0.3


def test_what_is_over_before_the_first_word_is_not_remarked_on():
    script, somebody = person(spread=0.0)
    script.mistake = OFF
    assert pass_time(somebody, 0.0, 0.4) == []
    script.mistake = None
    assert pass_time(somebody, 0.4, 3.0) == []
    assert not somebody.noticed


def test_a_person_says_one_thing_at_a_time_repeats_it_later_and_gives_up():
    script, somebody = person(spread=0.0, most=3)
    script.mistake = OFF
    said = pass_time(somebody, 0.0, 30.0)
    assert len(said) == 3
    assert somebody.gave_up
    for before, after in pairwise(said):
        assert after.begun > before.ended + somebody.options.repeat


def test_another_mistake_is_remarked_on_sooner_than_the_same_one():
    script, somebody = person(spread=0.0)
    script.mistake = OFF
    (first,) = pass_time(somebody, 0.0, 1.0)
    script.mistake = Mistake(Fault.WRONG_GOAL, "blue_plate", "green_plate")
    (second,) = pass_time(somebody, 1.0, first.ended + 2.5)
    assert second.begun < first.ended + somebody.options.repeat


def test_an_arm_that_shows_that_it_is_stopped_is_told_to_go_on():
    """Whoever stopped it, and as often as it takes."""
    script, somebody = person(spread=0.0)
    script.mistake = Mistake(Fault.IDLE, "red_block")
    first, second = pass_time(somebody, 0.0, 6.5, stopped=True)
    (third,) = pass_time(somebody, 6.5, 12.0)
    assert [first.text, second.text] == ["go on", "go on"]
    assert (first.fault, second.fault, third.fault) == ("", "", "idle")


def test_a_stop_is_seen_at_the_stack_itself():
    script, somebody = person(spread=0.0)
    script.mistake = Mistake(Fault.IDLE, "red_block")
    arm, executive = SimpleNamespace(stop_reason=None), SimpleNamespace(task=None)
    stack = SimpleNamespace(time=0.0, executor=arm, executive=executive, after=lambda *_: None)
    talk = Talk(somebody)
    for now, arm.stop_reason in ((0.0, None), (0.7, None), (9.0, "stack"), (9.7, "stack")):
        stack.time = now
        talk(stack)
    assert [exchange.said.fault for exchange in talk.exchanges] == ["idle", ""]


def test_what_goes_wrong_is_said_to_a_stopped_arm_too():
    script, somebody = person(spread=0.0)
    script.mistake = OFF
    (said,) = pass_time(somebody, 0.0, 1.0, stopped=True)
    assert said.fault == "beside target"


def said(cell, mistake, part=TUNED, frame="robot", task=TASK, count=60):
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        found.append(Wording(cell, task, rng, part, frame).of(mistake))
    return found


def test_phrases_are_either_for_trying_or_for_measuring():
    for parts in [*wording.PHRASES.values(), wording.GO_ON]:
        assert set(parts) == set(PARTS)
        assert not set(parts[TUNED]) & set(parts[MEASURED])


def test_unknown_parts_and_frames_are_named(cell):
    with pytest.raises(UnknownNameError, match="measured"):
        Wording(cell, TASK, np.random.default_rng(0), "mesured")
    with pytest.raises(UnknownNameError, match="viewer"):
        Wording(cell, TASK, np.random.default_rng(0), frame="camera")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("frame", ["robot", "viewer"])
@pytest.mark.parametrize("offset", [(0.0, 0.04), (0.0, -0.02), (0.03, 0.0), (-0.02, 0.0)])
def test_the_way_that_is_said_is_the_way_that_is_meant(cell, part, frame, offset):
    """Whoever is taken at their word is taken to the thing, whichever side they stand on."""
    config = CorrectionConfig(frame=frame)
    mistake = Mistake(Fault.BESIDE_TARGET, "red_block", offset=np.array(offset))
    ways = [
        correction.motion.direction
        for text in said(cell, mistake, part, frame)
        for correction in parse(text, 0.0, config)
        if correction.kind == CorrectionKind.MOTION and correction.accepted
    ]
    assert len(ways) > 20
    assert all(float(way[:2] @ offset) > 0 for way in ways)


def test_distances_are_guessed_and_large_ones_are_not_called_a_bit(cell):
    far = said(cell, Mistake(Fault.BESIDE_TARGET, "red_block", offset=np.array([0.0, 0.05])))
    assert not any("a bit" in text for text in far)
    assert {"four", "five", "six"} <= {word for text in far for word in text.split()}
    near = said(cell, Mistake(Fault.BESIDE_TARGET, "red_block", offset=np.array([0.0, 0.02])))
    assert any("a bit to the left" in text for text in near)


def test_things_are_told_apart_by_colour_by_place_or_as_the_other_one(cell):
    found = said(cell, Mistake(Fault.WRONG_TARGET, "red_block", "orange_block"), count=200)
    text = "\n".join(found)
    for words in ("red one", "left block", "other one", "block on the left"):
        assert words in text
    # Seen from the front, it is on the right.
    mirrored = "\n".join(
        said(cell, Mistake(Fault.WRONG_TARGET, "red_block", "orange_block"), frame="viewer")
    )
    assert "block on the right" in mirrored
    assert "red block on the left" not in mirrored


def test_an_idle_arm_is_told_the_task_in_plain_words(cell):
    nicknamed = TaskSpec("place", "put the zorp on the blue plate", "red_block", "blue_plate", "on")
    found = said(cell, Mistake(Fault.IDLE, "red_block"), task=nicknamed)
    assert all(text.startswith("put the ") and "zorp" not in text for text in found)
    assert "put the red block on the blue plate" in found
