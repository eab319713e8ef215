"""Recordings become lessons: what was right in the end, on which image, to which words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lesson_tape import GIRAFFE, START, THINGS, TOOL, Tape, corrected, follow, pixel, put

from hierarchy_nodes.cli.main import main
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.learning.lessons import chat, store
from hierarchy_nodes.learning.lessons.lesson import lessons_of
from hierarchy_nodes.learning.lessons.meaning import determined
from hierarchy_nodes.learning.planner.data import PlannerData
from hierarchy_nodes.planner.compact.inputs import STATUSES
from hierarchy_nodes.planner.vlm.dialects.structured import SCHEMA, Structured
from hierarchy_nodes.planner.vlm.reply import Status
from hierarchy_nodes.types import Correction, CorrectionKind, Gripper, Interaction, Role, Scope


def wishes(lessons):
    return [(wish.text, wish.corrections) for lesson in lessons for wish in lesson.wishes]


def whys(verdicts):
    return [v.why for v in verdicts]


# -- retargets --------------------------------------------------------------------------------


def test_the_plan_that_was_let_pass_is_the_answer(tmp_path):
    lessons, verdicts = lessons_of(corrected(tmp_path / "a"))
    assert whys(verdicts) == [""]
    told = (("target", "yellow one"),)
    # At the right plan's image with the correction and without, at the wrong plan's without.
    assert wishes(lessons) == [(GIRAFFE, told), (GIRAFFE, ()), (GIRAFFE, ())]
    right, wrong = lessons
    assert (right.frame.stamp, wrong.frame.stamp) == (START + 2.1, START + 0.1)
    first = right.wishes[0]
    assert first.interaction == Interaction.PLACE
    for number, name in ((first.targets[0], "yellow"), (first.goal, "plate")):
        rows, columns = np.nonzero(right.things == number + 1)
        x, y, _ = pixel(THINGS[name])
        assert (columns.mean() / 320, rows.mean() / 240) == pytest.approx((x, y), abs=0.02)
    # "Other than before" is other than the red one.
    assert right.labels[first.before[0]] == "red thing"
    assert first.before[1] == first.goal
    assert right.wishes[1].before == (-1, -1)


def test_only_the_words_of_the_correction_teach_what_the_instruction_leaves_open(tmp_path):
    lessons, _ = lessons_of(corrected(tmp_path / "a", instruction="put the block on the plate"))
    told = (("target", "yellow one"),)
    assert wishes(lessons) == [("put the block on the plate", told)]


def test_the_wrong_plans_image_is_none_where_the_thing_was_elsewhere(tmp_path):
    lessons, _ = lessons_of(corrected(tmp_path / "a", moved=0.06))
    assert [lesson.frame.stamp for lesson in lessons] == [START + 2.1]


@pytest.mark.parametrize(
    ("instruction", "phrase", "more", "alone"),
    [
        ("put the red block in the bowl", "red one", {}, True),
        ("put the red block in the bowl", "blue one", {}, False),
        ("put the block in the bowl", "blue one", {}, False),
        ("put the red block in the bowl", "other one", {}, False),
        ("put the giraffe in the bowl", "yellow one", {}, True),
        ("put the giraffe in the bowl", "elephant", {}, False),
        ("put it on the plate", "blue plate", {"role": "goal", "scope": Scope.ALWAYS}, False),
        ("put a block on the plate", "blue plate", {"role": "goal", "scope": Scope.ALWAYS}, True),
        ("put a block on the red plate", "blue plate", {"role": "goal", "scope": Scope.ALWAYS},
         False),
        ("push the block to the left", "plate", {"role": "goal"}, False),
        ("quux the block", "red block", {}, False),
    ],
)  # fmt: skip
def test_when_the_instruction_alone_is_enough(instruction, phrase, more, alone):
    values = {"role": "target"} | more
    said = Correction(0.0, "c", phrase, CorrectionKind.RETARGET, phrase=phrase, **values)
    assert determined(instruction, said) is alone


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"state": "failed", "why": "I lost it."}, "the task failed: I lost it."),
        ({"then": "undo that"}, "it was taken back"),
        ({"masks": False}, "no masks of the plan were recorded"),
    ],
)
def test_what_is_left_out_is_told(tmp_path, more, why):
    lessons, verdicts = lessons_of(corrected(tmp_path / "a", **more))
    assert not lessons
    assert verdicts[0].why == why


def test_words_that_tell_no_place_and_idle_talk_are_left_out(tmp_path):
    tape = Tape(tmp_path / "a")
    tape.say("no, the yellow one", 0.1)
    tape.arm(0.5)
    tape.plan(put("p", 1.0, "yellow"))
    for i, words in enumerate(("slower", "banana", "two centimetres up", "push the button")):
        tape.say(words, 2.0 + i / 10)
    tape.end(3.0)
    _, verdicts = lessons_of(tape.close())
    idle, slower, banana, up, task = whys(verdicts)
    assert idle == "nothing was being done"
    assert slower == up == "it says nothing about where"
    assert banana.startswith("it was not acted on: ")
    assert task == "it began another task"


def test_a_step_is_done_when_the_next_one_begins(tmp_path):
    tape = Tape(tmp_path / "a")
    tape.arm(0.0)
    tape.plan(put("wrong", 0.1, "red"))
    tape.say("no, the yellow one", 1.0)
    tape.plan(put("right", 1.5, "yellow"))
    tape.plan(put("next", 3.0, "red", "put the red block on the plate"))
    tape.end(5.0, "failed", "It fell.")
    lessons, verdicts = lessons_of(tape.close())
    assert whys(verdicts) == [""]
    assert {lesson.wishes[0].text for lesson in lessons} == {GIRAFFE}


# -- questions --------------------------------------------------------------------------------

WHICH = "I see two blocks. Which one?"
ANSWER = "put the yellow block on the blue plate"


def answered_with(folder, asked, words, at=(2.0,), state="done", later=()):
    """The stack asks back about `asked`, and then does what is said instead."""
    tape = Tape(folder)
    tape.arm(0.0)
    tape.ask(asked[0], WHICH, 0.5)
    for number, (text, when) in enumerate(zip(words, at, strict=True), start=1):
        tape.say(text, when)
        if number < len(asked):
            tape.ask(asked[number], WHICH, when + 0.5)
    plan = put("right", at[-1] + 1.0, "yellow", words[-1])
    tape.plan(plan)
    follow(tape, plan, at[-1] + 2.0)
    for text in later:
        tape.say(text, at[-1] + 2.5)
    tape.end(at[-1] + 8.0, state, "Done." if state == "done" else "It fell.")
    return tape.close()


def test_what_was_asked_back_about_means_what_was_said_instead(tmp_path):
    lessons, verdicts = lessons_of(answered_with(tmp_path / "a", [GIRAFFE], [ANSWER]))
    assert whys(verdicts) == [""]
    (lesson,) = lessons
    assert lesson.corrections == (1,)
    assert {wish.text for wish in lesson.wishes} == {GIRAFFE, ANSWER}
    assert {wish.targets for wish in lesson.wishes} == {(0,)}
    assert lesson.labels[0] == "yellow thing"


def test_several_questions_have_one_answer(tmp_path):
    first = "put the giraffe onto the blue plate"
    recording = answered_with(tmp_path / "a", [first, GIRAFFE], [GIRAFFE, ANSWER], (2.0, 5.0))
    lessons, verdicts = lessons_of(recording)
    assert whys(verdicts) == ["", ""]
    assert {w.text for lesson in lessons for w in lesson.wishes} == {first, GIRAFFE, ANSWER}


@pytest.mark.parametrize(
    ("asked", "words", "more", "why"),
    [
        ("put the block on the blue plate", ANSWER, {}, "it tells more than what was asked about"),
        ("put the red block on the blue plate", ANSWER, {},
         "it tells more than what was asked about"),
        ("push the giraffe to the left", ANSWER, {}, "it tells more than what was asked about"),
        (GIRAFFE, ANSWER, {"state": "failed"}, "the task failed: It fell."),
        (GIRAFFE, ANSWER, {"later": ["no, the red one"]}, "it was corrected itself"),
        (GIRAFFE, ANSWER, {"at": (90.0,)}, "nothing was being done"),
        (GIRAFFE, "slower", {}, "nothing was being done"),
    ],
)  # fmt: skip
def test_answers_that_teach_nothing(tmp_path, asked, words, more, why):
    _, verdicts = lessons_of(answered_with(tmp_path / "a", [asked], [words], **more))
    assert whys(verdicts)[0] == why


@pytest.mark.parametrize("asked", [GIRAFFE, "put the block on the blue plate"])
def test_a_task_that_failed_is_tried_again_with_what_is_said(tmp_path, asked):
    tape = Tape(tmp_path / "a")
    tape.arm(0.0)
    tape.ask(asked, WHICH, 0.5)
    tape.say("the yellow one", 2.0)
    tape.arm(2.0)
    plan = put("right", 2.5, "yellow")
    tape.plan(plan)
    follow(tape, plan, 3.0)
    tape.end(8.0)
    lessons, (verdict,) = lessons_of(tape.close())
    if asked != GIRAFFE:
        assert (lessons, verdict.why) == ([], "nothing was being done")
        return
    assert not verdict.why
    (lesson,) = lessons
    told, alone = lesson.wishes
    assert (told.text, told.corrections) == (GIRAFFE, (("target", "yellow one"),))
    assert (alone.text, alone.corrections) == (GIRAFFE, ())
    assert lesson.labels[alone.targets[0]] == "yellow thing"


def test_nobody_answers_in_the_end(tmp_path):
    tape = Tape(tmp_path / "a")
    tape.arm(0.0)
    tape.ask(GIRAFFE, WHICH, 0.5)
    tape.say(ANSWER, 2.0)
    _, verdicts = lessons_of(tape.close())
    assert whys(verdicts) == ["nothing was being done"]


def test_what_was_let_pass_teaches_new_words_only(tmp_path):
    for name, words in (("a", GIRAFFE), ("b", ANSWER)):
        tape = Tape(tmp_path / name)
        tape.arm(0.0)
        plan = put("p", 0.1, "yellow", words)
        tape.plan(plan)
        follow(tape, plan, 1.0)
        tape.end(8.0)
        tape.close()
    known = [*ANSWER.split(), "block"]
    recordings = [tmp_path / "a", tmp_path / "b"]
    (lesson,) = store.gather(recordings, known=known).lessons
    assert lesson.corrections == ()
    assert wishes([lesson]) == [(GIRAFFE, ())]
    with pytest.raises(ConfigError, match="0 corrections in 2 recordings are no lesson"):
        store.gather(recordings)


# -- motions ----------------------------------------------------------------------------------


def carried(folder, words, at, depth=True):
    tape = Tape(folder)
    tape.arm(0.0)
    plan = put("p", 0.1, "yellow", depth=depth)
    tape.plan(plan)
    follow(tape, plan, 3.0)
    for text, when in zip(words, at, strict=True):
        tape.say(text, when)
    tape.end(8.0)
    return tape.close()


def ends(lesson):
    """Where things are taken and let go of, with heights."""
    path = lesson.wishes[0].path
    return {Gripper(int(event)): (x, y, z) for x, y, z, event in path[1:] if event}


@pytest.mark.parametrize("depth", [True, False])
def test_a_spoken_shift_while_carrying_moves_where_it_is_let_go_of(tmp_path, depth):
    lessons, verdicts = lessons_of(
        carried(tmp_path / "a", ["two centimetres left", "a bit more"], [3.9, 4.0], depth)
    )
    assert whys(verdicts) == ["", ""]
    assert wishes(lessons) == [(GIRAFFE, ())]
    # Without a depth the height is that at which the tool was seen to act.
    grasp, release = (0.02, 0.05) if depth else (0.03, 0.07)
    lens, pose = lessons[0].frame.intrinsics, lessons[0].frame.camera_pose
    drawn = pixel((*THINGS["plate"][:2], 0.05))[:2]
    there = on_plane(*drawn, lens, pose, release) + np.array([0.0, 0.02 + 0.015, 0.0])
    found = ends(lessons[0])
    assert found[Gripper.OPEN] == pytest.approx((*pixel(there)[:2], release), abs=2e-3)
    drawn = pixel((*THINGS["yellow"][:2], 0.02))[:2]
    assert found[Gripper.CLOSE] == pytest.approx((*drawn, grasp), abs=2e-3)
    assert lessons[0].wishes[0].path[0][:2] == pytest.approx(pixel(TOOL)[:2], abs=1e-3)


def test_a_shift_before_the_grasp_moves_the_grasp(tmp_path):
    lessons, _ = lessons_of(carried(tmp_path / "a", ["one centimetre right"], [3.1]))
    found = ends(lessons[0])
    x, y, _ = THINGS["yellow"]
    assert found[Gripper.CLOSE][:2] == pytest.approx(pixel((x, y - 0.01, 0.02))[:2], abs=2e-3)
    assert found[Gripper.OPEN][:2] == pytest.approx(
        pixel((*THINGS["plate"][:2], 0.05))[:2], abs=2e-3
    )


def test_a_shift_after_the_work_changes_nothing_of_it(tmp_path):
    lessons, verdicts = lessons_of(carried(tmp_path / "a", ["two centimetres left"], [4.35]))
    assert not lessons
    assert whys(verdicts) == ["the work was done already"]


def test_several_shifts_in_one_breath_add_up(tmp_path):
    words = ["two centimetres left, then one centimetre forward"]
    lessons, verdicts = lessons_of(carried(tmp_path / "a", words, [3.9]))
    assert whys(verdicts) == ["", ""]
    x, y, _ = THINGS["plate"]
    expected = pixel((x + 0.01, y + 0.02, 0.05))[:2]
    assert ends(lessons[0])[Gripper.OPEN][:2] == pytest.approx(expected, abs=2e-3)


def test_a_shift_that_was_driven_back_is_none(tmp_path):
    tape = carried(tmp_path / "a", ["two centimetres left", "undo that"], [3.9, 4.6])
    lessons, verdicts = lessons_of(tape)
    assert not lessons
    assert set(whys(verdicts)) == {"it was taken back", "it only takes back"}


# -- as data ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Five tasks, each of them corrected once."""
    folder = tmp_path_factory.mktemp("recordings")
    for i in range(5):
        corrected(folder / f"run{i}" / "bag")
    return folder


def test_planner_data_reads_lessons_and_steps_stay_together(recordings, tmp_path):
    found = store.gather(sorted(recordings.glob("*/bag")))
    report = store.store(found, tmp_path, 0.2, seed=0)
    assert report["images"] == {"learned": 8, "held_out": 2}
    assert report["instructions"] == {"learned": 12, "held_out": 3}
    assert json.loads((tmp_path / store.REPORT).read_text())["used"] == 5
    assert store.digest(tmp_path) == store.digest(tmp_path)
    data = PlannerData(tmp_path / "learned")
    data.encode_words(["put", "the", "giraffe"], 24)
    batch = data.batch(np.arange(data.images), 9, np.random.default_rng(0))
    assert set(batch["status"].tolist()) == {STATUSES.index("plan")}
    # Target and goal are each one of the things in view, and not the same.
    meant = batch["roles"][:, :2]
    assert meant.sum(2).tolist() == [[1.0, 1.0]] * 12
    assert not (meant[:, 0] * meant[:, 1]).any()
    assert batch["path_there"].sum(1).tolist() == [8.0] * 12
    # The path ends its work on the goal.
    rows = np.arange(len(batch["work_end"]))
    end = batch["path"][rows, batch["work_end"], :2]
    assert end.numpy() == pytest.approx(
        np.tile(pixel((*THINGS["plate"][:2], 0.05))[:2], (12, 1)), abs=0.01
    )


def test_no_lesson_is_an_error_that_says_why(tmp_path):
    recording = corrected(tmp_path / "a", masks=False)
    with pytest.raises(ConfigError, match=r"1 corrections in 1 .*1 x no masks of the plan"):
        store.gather([recording])


# -- for models elsewhere ---------------------------------------------------------------------


def test_exported_chats_ask_as_the_backend_does_and_can_be_read_back(recordings, tmp_path, capsys):
    path = tmp_path / "chat" / "lessons.jsonl"
    assert main(["learn", "--from", str(recordings), "--export-chat", str(path), "--quiet"]) == 0
    assert "15 conversations from 10 images" in capsys.readouterr().out
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    asked, answered = lines[0]["messages"]
    assert (asked["role"], answered["role"]) == ("user", "assistant")
    image, text = asked["content"]
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert 'Then the person corrected the thing: "yellow one"' in text["text"]
    assert "corrected" not in lines[1]["messages"][0]["content"][1]["text"]
    assert set(json.loads(answered["content"])) == set(SCHEMA["properties"])
    reply = Structured().read(answered["content"], (320, 240))
    assert (reply.status, reply.interaction, reply.notes) == (Status.PLAN, Interaction.PLACE, ())
    assert [p.role for p in reply.prompts] == [Role.TARGET, Role.GOAL]
    assert reply.prompts[0].label == "yellow giraffe"
    x, y, _ = pixel(THINGS["yellow"])
    assert (reply.prompts[0].x, reply.prompts[0].y) == pytest.approx((x, y), abs=0.02)
    assert [p.gripper for p in reply.path if p.gripper][-2:] == [Gripper.CLOSE, Gripper.OPEN]
    assert reply.motion.startswith("move arm ")
    lesson = lessons_of(recordings / "run0" / "bag")[0][0]
    meant = chat.reply(lesson, lesson.wishes[0])
    assert len(reply.path) == len(meant.path)


def test_an_export_needs_recordings(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["learn", "--export-chat", str(tmp_path / "x.jsonl")])
    assert main(["learn", "--from", str(tmp_path), "--export-chat", str(tmp_path / "x")]) == 2
    assert "no recording" in capsys.readouterr().err
