"""Replies of vision-language models: every dialect, and every known defect."""

from __future__ import annotations

import math

import pytest

from hierarchy_nodes.planner.vlm import fuzz
from hierarchy_nodes.planner.vlm.dialects import DIALECTS
from hierarchy_nodes.planner.vlm.prompts import Task
from hierarchy_nodes.planner.vlm.reply import ReplyError, Status
from hierarchy_nodes.types import Gripper, Interaction, PathPoint, Prompt, Role

KEEP, OPEN, CLOSE = Gripper.KEEP, Gripper.OPEN, Gripper.CLOSE
SIZE = (320, 240)
OWN = fuzz.all_dialects()


def read(name, text, **more):
    return OWN[name].read(text, SIZE, **more)


def xy(reply):
    return [(round(p.x, 4), round(p.y, 4)) for p in reply.path]


def events(reply):
    return [p.gripper for p in reply.path]


def hamster(text, **more):
    return read("hamster", text, **more)


# -- HAMSTER ----------------------------------------------------------------------------------


def test_hamster_tags_belong_to_the_point_before_them():
    reply = hamster(
        "<ans>[(0.25, 0.32), <action>Open Gripper</action>, (0.32, 0.17), "
        "<action>Close Gripper</action>, (0.74, 0.21), <action>Open Gripper</action>]</ans>"
    )
    assert xy(reply) == [(0.25, 0.32), (0.32, 0.17), (0.74, 0.21)]
    assert events(reply) == [OPEN, CLOSE, OPEN]
    assert not reply.truncated
    assert reply.notes == ()


def test_hamster_leading_tag():
    reply = hamster("<ans>[<action>Open Gripper</action>, (0.1, 0.2), (0.3, 0.4)]</ans>")
    assert events(reply) == [OPEN, KEEP]


def test_hamster_before_any_tag_the_gripper_is_left_as_it_is():
    assert events(hamster("<ans>[(0.1, 0.2), (0.3, 0.4)]</ans>")) == [KEEP, KEEP]


def test_hamster_a_state_said_again_is_no_event():
    tag = "<action>Close Gripper</action>"
    reply = hamster(f"<ans>[(0.1, 0.2), {tag}, (0.3, 0.4), {tag}, (0.5, 0.4)]</ans>")
    assert events(reply) == [CLOSE, KEEP, KEEP]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("<ans>[(0.1, 0.2), (0.3, 0.4), (0.5", 2),
        ("<ans>[(0.1, 0.2), (0.3, 0.4), (0.5, 0.6", 2),
        ("<ans>[(0.1, 0.2), (0.3, 0.4), ", 2),
        ("<ans>[(0.1, 0.2), <action>Close Grip", 1),
        ("<ans>[(0.1, 0.2), <action>Close Gripper</act", 1),
        ("[(0.1, 0.2), (0.3, 0.4), (0.", 2),
    ],
)
def test_hamster_a_truncated_answer_keeps_its_whole_points(text, count):
    reply = hamster(text)
    assert len(reply.path) == count
    assert reply.truncated
    assert reply.notes


def test_hamster_a_missing_end_tag_alone_is_no_truncation():
    assert not hamster("<ans>[(0.1, 0.2), (0.3, 0.4)]").truncated


def test_hamster_repeated_points_are_joined_with_their_events():
    reply = hamster(
        "<ans>[(0.1, 0.2), (0.1, 0.2), <action>Close Gripper</action>, "
        "(0.1, 0.2), (0.3, 0.4)]</ans>"
    )
    assert xy(reply) == [(0.1, 0.2), (0.3, 0.4)]
    assert events(reply) == [CLOSE, KEEP]
    assert "joined" in reply.notes[0]


def test_hamster_never_evaluates(tmp_path):
    victim = tmp_path / "made"
    for text in (
        f"<ans>[(__import__('pathlib').Path('{victim}').touch(), 0.1)]</ans>",
        "<ans>[(1/0, 0.5)]</ans>",
        "<ans>[(0.1+0.1, 0.5)]</ans>",
        "<ans>[(9**9**9, 0.5)]</ans>",
    ):
        with pytest.raises(ReplyError):
            hamster(text)
    assert not victim.exists()


def test_hamster_text_around_thoughts_and_the_format_repeated_first():
    reply = hamster(
        "<think><ans>[(0.9, 0.9)]</ans></think>I answer as <ans>[(x, y), ...]</ans>. Here it is:\n"
        "```\n<ANS>\n[(0.1, 0.2), [0.3, 0.4]]\n</ANS>\n```\nGood luck (100%)!"
    )
    assert xy(reply) == [(0.1, 0.2), (0.3, 0.4)]


def test_hamster_without_answer_tags():
    reply = hamster("The way (as asked) is [(0.1, 0.2), (0.3, 0.4)], see [above].")
    assert xy(reply) == [(0.1, 0.2), (0.3, 0.4)]


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("(nan, 0.5)", "'nan' is not a number"),
        ("(0.5, inf)", "is not a number"),
        ("(1e999, 0.5)", "is too large"),
        ("(" + "9" * 500 + ", 0.5)", "is not a number"),
        ("(0.5, 0.5, 0.5)", "3 coordinates, expected 2"),
        ("(0.5)", "1 coordinates"),
        ("(50%, 20%)", "is not a number"),
        ("(\u0660\u066b\u0665, \u0660\u066b\u0665)", "is not a number"),
        ("(\uff10.5, 0.5)", "is not a number"),
        ("(1_0, 0.5)", "is not a number"),
        ("(x, y)", "is not a number"),
        ("(1.5, 0.5)", "outside the image"),
        ("(160, 120)", "another scale"),
        ("(-0.5, 0.5)", "outside the image"),
        ("", "no point"),
        ("(0.1, 0.2), <action>Wave</action>", "'Wave' is unknown. Valid: Open Gripper"),
        ("(0.1, 0.2), <action>Open and close</action>", "is unknown"),
    ],
)
def test_hamster_says_why_it_refuses(inside, reason):
    with pytest.raises(ReplyError) as caught:
        hamster(f"<ans>[{inside}]</ans>")
    assert reason in str(caught.value)


def test_a_refusal_in_words_is_quoted():
    with pytest.raises(ReplyError, match="I cannot see a red block"):
        hamster("I cannot see a red block.")


def test_slightly_outside_is_moved_to_the_edge():
    reply = hamster("<ans>[(1.01, -0.01), (0.5, 0.5)]</ans>")
    assert xy(reply)[0] == (1.0, 0.0)
    assert "edge" in reply.notes[0]


def test_scale_and_order_can_be_told():
    text = "<ans>[(160, 60), (80, 120)]</ans>"
    assert xy(hamster(text, coordinates="pixel")) == [(0.5, 0.25), (0.25, 0.5)]
    assert xy(hamster(text, coordinates="thousand")) == [(0.16, 0.06), (0.08, 0.12)]
    assert xy(hamster(text, coordinates="thousand", axes="yx")) == [(0.06, 0.16), (0.12, 0.08)]
    assert xy(hamster("<ans>[(50, 25)]</ans>", coordinates="percent")) == [(0.5, 0.25)]


def test_a_path_without_end_is_refused():
    points = ", ".join(f"(0.{i:03d}, 0.5)" for i in range(150))
    with pytest.raises(ReplyError, match="150 points, at most 100"):
        hamster(f"<ans>[{points}]</ans>")


# -- PEEK -------------------------------------------------------------------------------------


def test_peek():
    reply = read(
        "peek",
        "TRAJECTORY: <ans>[(0.25, 0.32), (0.32, 0.17)]</ans> "
        "MASK: <ans>[(0.2, 0.3), (0.7, 0.6)]</ans>",
    )
    assert xy(reply) == [(0.25, 0.32), (0.32, 0.17)]
    assert reply.areas == ((0.2, 0.3), (0.7, 0.6))


def test_peek_in_the_other_order_or_with_a_broken_mask():
    text = "MASK: <ans>[(0.2, 0.3)]</ans> TRAJECTORY: <ans>[(0.25, 0.32)]</ans>"
    assert xy(read("peek", text)) == [(0.25, 0.32)]
    reply = read("peek", "TRAJECTORY: <ans>[(0.1, 0.2)]</ans> MASK: <ans>[(0.2, ")
    assert xy(reply) == [(0.1, 0.2)]
    assert reply.areas == ()
    assert reply.truncated
    assert "MASK was left out" in " ".join(reply.notes)
    with pytest.raises(ReplyError, match="no TRAJECTORY"):
        read("peek", "MASK: <ans>[(0.2, 0.3)]</ans>")


# -- Gemini -----------------------------------------------------------------------------------


def test_gemini_has_y_first_and_numbers_in_any_order():
    reply = read(
        "gemini",
        '```json\n[{"point": [389, 252], "label": "target: red block"},\n'
        '{"point": [700, 100], "label": "2: open gripper"}, {"point": [10, 20], "label": "0"},\n'
        '{"point": [400, 260], "label": "path 1 - close gripper"},'
        '{"point": [5, 6], "label": "cup"},]\n```',
    )
    assert reply.prompts == (Prompt(Role.TARGET, "red block", 0.252, 0.389),)
    assert xy(reply) == [(0.02, 0.01), (0.26, 0.4), (0.1, 0.7)]
    assert events(reply) == [KEEP, CLOSE, OPEN]
    assert reply.areas == ((0.006, 0.005),)


def test_gemini_an_empty_list_says_not_there():
    assert read("gemini", "[]").status == Status.NOT_FOUND


def test_gemini_truncated():
    reply = read("gemini", '[{"point": [1, 2], "label": "0"}, {"point": [3, 4], "la')
    assert xy(reply) == [(0.002, 0.001)]
    assert reply.truncated
    with pytest.raises(ReplyError, match="no whole point"):
        read("gemini", '[{"point": [1, 2')


def test_gemini_refuses_what_is_no_point():
    for text, reason in (
        ('[{"point": [1, 2, 3], "label": "0"}]', "3 items, expected 2 numbers"),
        ('[{"point": [1, null], "label": "0"}]', "expected a number"),
        ('[{"point": [NaN, 1], "label": "0"}]', "expected a number"),
        ('[{"point": [5000, 1], "label": "0"}]', "ends at 1000"),
        ('[{"point": [1, 1], "label": "1 open and close"}]', "at once"),
        ("nothing here", "No usable JSON"),
    ):
        with pytest.raises(ReplyError) as caught:
            read("gemini", text)
        assert reason in str(caught.value), text


# -- Molmo ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '<point x="61.5" y="40.6" alt="the block">the block</point>',
        "Here: <point  y='40.6' x=' 61.5 ' alt='the block'>the block</point> fine",
        '<points x1="61.5" y1="40.6" alt="the block">the block</points>',
        '<points coords="1 1 615 406" alt="the block">the block</points>',
    ],
)
def test_molmo_points_at_one_thing(text):
    reply = read("molmo", text, key="target")
    (prompt,) = reply.prompts
    assert (prompt.role, prompt.label) == (Role.TARGET, "the block")
    assert (prompt.x, prompt.y) == pytest.approx((0.615, 0.406))
    assert read("molmo", text, key="goal").prompts[0].role == Role.GOAL


def test_molmo_points_at_several_or_none():
    text = '<points x1="9.1" y1="11.7" x2="17.2" y2="41.3" alt="cups">cups</points>'
    reply = read("molmo", text, key="target")
    assert reply.status == Status.AMBIGUOUS
    assert "2 that may be the target" in reply.question
    assert len(reply.areas) == 2
    many = '<points coords="1 1 308 305 2 752 377 3 75">ramp</points>'
    assert len(read("molmo", many, key="target").areas) == 2
    assert read("molmo", many, key="target").truncated
    assert read("molmo", "There are none.", key="goal").status == Status.NOT_FOUND
    with pytest.raises(ReplyError, match="no point"):
        read("molmo", "Lovely weather.", key="goal")
    with pytest.raises(ReplyError, match="outside the image"):
        read("molmo", '<point x="615" y="40">', key="goal")


def test_molmo_is_asked_for_target_and_goal():
    molmo = DIALECTS.get("molmo")()
    asked = molmo.questions(Task("put the cup on the plate", "the cup", "the plate"))
    assert [(q.key, q.text.strip()) for q in asked] == [
        ("target", "Point to the cup"),
        ("goal", "Point to the plate"),
    ]
    assert len(molmo.questions(Task("press the button", "the button"))) == 1


# -- 3D waypoints -----------------------------------------------------------------------------


def test_waypoints_have_depths():
    reply = read(
        "waypoints",
        '[{"point_3d": [250, 320, 0.71], "gripper": "none"}, {"point_3d": [300, 420, 0.8],'
        ' "label": "grasp", "gripper": "close"}, {"point_3d": [700, 420, 0], "gripper": "open"},'
        ' {"point_2d": [100, 200]}]',
    )
    assert reply.path[0] == PathPoint(0.25, 0.32, 0.71)
    assert reply.path[1] == PathPoint(0.3, 0.42, 0.8, CLOSE)
    assert math.isnan(reply.path[2].depth)
    assert math.isnan(reply.path[3].depth)
    assert "depth of waypoint 2 is 0" in reply.notes[0]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ('{"point_3d": [1, 2, -1]}', "expected 0 to 10"),
        ('{"point_3d": [1, 2, 700]}', "700 m"),
        ('{"point_3d": [1, 2, NaN]}', "expected a number"),
        ('{"point_3d": "here"}', "expected [u, v, depth]"),
        ('{"point_3d": [1, 2, 1], "gripper": "wave"}', "Valid: close, open, none"),
    ],
)
def test_waypoints_say_why_they_refuse(item, reason):
    with pytest.raises(ReplyError) as caught:
        read("waypoints", f"[{item}]")
    assert reason in str(caught.value)


# -- our own ----------------------------------------------------------------------------------


WHOLE = (
    '{"status": "plan", "question": "", "subtask": "pick up the red block", "more": true,'
    ' "interaction": "place", "prompts": [{"role": "target", "label": "red block", "point": '
    '[410, 520]}, {"role": "avoid", "label": "cup", "point": [2000, 1]}], "motion": '
    '"move arm down", "path": [{"point": [500, 300], "gripper": "keep"}, {"point": [410, 520], '
    '"gripper": "close"}], "confidence": 0.9}'
)


def test_structured_has_everything():
    reply = read("structured", f"Certainly [1]! {{ok}}\n```json\n{WHOLE}\n```")
    assert reply.prompts == (Prompt(Role.TARGET, "red block", 0.41, 0.52),)
    assert xy(reply) == [(0.5, 0.3), (0.41, 0.52)]
    assert events(reply) == [KEEP, CLOSE]
    assert reply.interaction == Interaction.PLACE
    assert (reply.motion, reply.subtask) == ("move arm down", "pick up the red block")
    assert reply.more
    assert reply.confidence == 0.9
    assert "left out" in reply.notes[0]


def test_structured_may_ask_or_be_done():
    reply = read("structured", '{"status": "ambiguous", "question": "Left or right?"}')
    assert (reply.status, reply.question) == (Status.AMBIGUOUS, "Left or right?")
    assert read("structured", "{'status': 'done', 'more': False}").status == Status.DONE


def test_structured_truncated_anywhere_never_invents():
    whole = read("structured", WHOLE)
    for end in range(len(WHOLE)):
        try:
            reply = read("structured", WHOLE[:end])
        except ReplyError:
            continue
        assert reply.truncated, WHOLE[:end]
        assert whole.path[: len(reply.path)] == reply.path
        assert whole.prompts[: len(reply.prompts)] == reply.prompts


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (('"place"', '"dance"'), "'interaction' is 'dance'. Valid: none, place, push"),
        (('"plan"', '"perhaps"'), "'status' is 'perhaps'. Valid: plan, not_found"),
        (("0.9}", "7000}"), "'confidence' is 7000"),
        (("[410, 520]}, ", "[410, 5200]}, "), "outside the image"),
        (('"avoid"', '"target"'), "outside the image"),
        (
            ('"avoid", "label": "cup", "point": [2000, 1]', '"target", "point": [2, 1]'),
            "two prompts",
        ),
        (('"path": [', '"path": [' + "[1], "), "a list of objects"),
        (('"gripper": "close"', '"gripper": "shut it"'), "Valid: keep, open, close"),
    ],
)
def test_structured_says_why_it_refuses(changes, reason):
    with pytest.raises(ReplyError) as caught:
        read("structured", WHOLE.replace(*changes))
    assert reason in str(caught.value)


def test_structured_takes_wrappings_and_the_last_answer():
    assert read("structured", f'{{"answer": {WHOLE}}}').interaction == Interaction.PLACE
    again = WHOLE.replace('"place"', '"push"')
    assert read("structured", f"{WHOLE} No, rather: {again}").interaction == Interaction.PUSH
    assert read("structured", f"{again} or {WHOLE[:150]}").interaction == Interaction.PUSH
