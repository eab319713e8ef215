"""What a conversation remembers."""

import pytest

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.session import Session
from hierarchy_nodes.types import CorrectionKind, Gripper

NOW = 1000.0


def session(**values) -> Session:
    return Session(CorrectionConfig(**values))


def say(talk: Session, text: str, now: float = NOW, **kwargs):
    return talk.hear(text, now, now, "id", **kwargs)


def test_single_motion_is_due_at_once_and_valid_from_then():
    talk = session()
    talk.hear("two centimetres left", NOW - 0.7, NOW, "id")
    (motion,) = talk.due(NOW + 0.01)
    assert motion.distance == pytest.approx(0.02)
    assert motion.stamp == NOW - 0.7
    # The time between speaking and hearing is not taken from the motion.
    assert motion.valid_until == pytest.approx(NOW + 0.01 + 0.02 / 0.05 + 0.5)
    assert talk.due(NOW + 5) == []


def test_motions_of_one_utterance_follow_one_another():
    talk = session()
    say(talk, "left five centimetres, then up one centimetre")
    assert [m.text for m in talk.due(NOW)] == ["move 5 cm to the left"]
    assert talk.due(NOW + 0.9) == []
    assert [m.text for m in talk.due(NOW + 1.01)] == ["move 1 cm up"]


def test_new_words_let_what_waits_go_first():
    talk = session()
    say(talk, "left five centimetres, then up one centimetre")
    talk.due(NOW)
    say(talk, "forward a bit", NOW + 0.1)
    texts = [m.text for m in talk.due(NOW + 0.1)]
    assert texts == ["move 1 cm up", "move 1.5 cm forward"]


def test_stop_drops_what_waits_and_holds_what_comes():
    talk = session()
    say(talk, "left five centimetres, then up one centimetre")
    found = say(talk, "stop — no, the other cup, and a bit higher", NOW + 0.1)
    assert [c.kind for c in found] == ["stop", "retarget", "motion"]
    assert "once I may move" in found[2].answer
    assert talk.due(NOW + 1.0) == []
    talk.set_stop(False)
    assert [m.text for m in talk.due(NOW + 2.0)] == ["move 1.5 cm up"]


@pytest.mark.parametrize(
    "text", ["put the red block in the bowl", "no, the blue one", "left five centimetres"]
)
def test_what_waits_for_a_stop_says_how_that_is_lifted(text):
    (moving,) = say(session(), text)
    assert "may move" not in moving.answer
    talk = session()
    say(talk, "stop")
    (waiting,) = say(talk, text)
    assert waiting.answer == f'{moving.answer}, once I may move again: say "continue"'
    talk.stopped_by_another()
    assert say(talk, text)[0].answer.endswith(": call reset_stop")
    talk = session(resume_resets_stop=False)
    say(talk, "stop")
    assert say(talk, text)[0].answer.endswith(": call reset_stop")


def test_motion_spoken_long_before_the_arm_may_move_is_forgotten():
    talk = session(max_hold=3.0)
    say(talk, "stop, and a bit higher")
    talk.set_stop(False)
    assert talk.due(NOW + 3.5) == []
    assert talk.waiting == 0


def test_resume_lifts_only_a_stop_of_its_own():
    talk = session()
    say(talk, "stop")
    (resume,) = say(talk, "continue")
    assert talk.resets_stop(resume)
    talk.set_stop(False)
    talk.set_stop(True)
    (resume,) = say(talk, "continue")
    assert not talk.resets_stop(resume)
    assert not resume.accepted
    assert "reset_stop" in resume.answer


def test_words_do_not_lift_a_stop_that_was_there_before_them():
    talk = session()
    talk.set_stop(True)
    say(talk, "stop")
    assert not talk.resets_stop(say(talk, "continue")[0])


def test_a_stop_by_another_after_the_spoken_one_stays():
    talk = session()
    say(talk, "stop")
    talk.stopped_by_another()
    assert not talk.resets_stop(say(talk, "continue")[0])


def test_resume_can_be_kept_from_lifting_stops():
    talk = session(resume_resets_stop=False)
    say(talk, "stop")
    assert not talk.resets_stop(say(talk, "continue")[0])


def test_doubtful_words_do_nothing_but_stop():
    talk = session()
    (doubted,) = say(talk, "left a bit", confidence=0.1)
    assert not doubted.accepted
    assert doubted.motion is None
    assert talk.due(NOW + 1) == []
    assert say(talk, "stop", confidence=0.1)[0].kind == CorrectionKind.STOP
    assert talk.stopped


def test_speed_is_remembered_for_half_speed():
    talk = session()
    say(talk, "half speed")
    assert talk.speed == pytest.approx(0.5)
    (again,) = say(talk, "half speed")
    assert again.speed_factor == pytest.approx(1.0)


def test_a_bit_more_after_a_gripper_command():
    talk = session()
    say(talk, "two centimetres down")
    say(talk, "close the gripper")
    say(talk, "a bit more")
    motions = talk.due(NOW + 1)
    assert [m.gripper for m in motions] == [Gripper.KEEP, Gripper.CLOSE, Gripper.KEEP]
    assert motions[2].text == "move 1.5 cm down"


def test_what_was_said_last_is_taken_back_first():
    talk = session()
    say(talk, "two centimetres left")
    (there,) = talk.due(NOW)
    say(talk, "half speed", NOW + 2)
    undo, speed = say(talk, "undo that", NOW + 3)
    assert (undo.kind, undo.undoes, undo.accepted) == ("undo", "id.0", True)
    assert 'taking back "half speed"' in undo.answer
    assert (speed.kind, speed.speed_factor) == ("speed", pytest.approx(2.0))
    assert talk.speed == pytest.approx(1.0)
    undo, _ = say(talk, "and take that back", NOW + 4)
    (back,) = talk.due(NOW + 4)
    assert back.direction == pytest.approx(-there.direction)
    assert (back.distance, back.source) == (there.distance, "correction")
    assert back.valid_until > NOW + 4
    (nothing,) = say(talk, "undo", NOW + 6)
    assert not nothing.accepted
    assert "nothing" in nothing.answer


def test_a_motion_that_was_not_begun_is_taken_back_without_moving():
    talk = session()
    say(talk, "left five centimetres, then up one centimetre")
    assert len(talk.due(NOW)) == 1
    (undo,) = say(talk, "never mind", NOW + 0.1)
    assert undo.kind == CorrectionKind.UNDO
    assert talk.due(NOW + 3.0) == []


def test_pauses_grips_and_targets_are_taken_back():
    talk = session()
    say(talk, "pause")
    assert [c.kind for c in say(talk, "undo")] == ["undo", "resume"]
    say(talk, "open the gripper")
    say(talk, "undo")
    assert [m.gripper for m in talk.due(NOW)] == []
    talk.hear("open the gripper", NOW, NOW, "other")
    talk.due(NOW)
    say(talk, "undo")
    assert [m.gripper for m in talk.due(NOW)] == [Gripper.CLOSE]
    talk.hear("no, the blue one", NOW, NOW, "third")
    (undo,) = say(talk, "undo that")
    assert undo.undoes == "third.0"


def test_how_long_it_is_to_count():
    talk = session()
    for text, scope in (
        ("slower", "now"),
        ("slower with this one", "object"),
        ("from now on slower", "always"),
        ("always use the blue plate", "always"),
        ("a bit higher, every time", "always"),
    ):
        (found,) = say(talk, text)
        assert (found.accepted, found.scope) == (True, scope), text


def test_the_speed_that_was_meant_for_one_thing_ends_with_it():
    talk = session()
    assert talk.begin_step("put the red block in the bowl", NOW, "a") == []
    talk.hear("half speed for this one", NOW, NOW, "one")
    talk.hear("a bit faster", NOW, NOW, "two")
    assert talk.speed == pytest.approx(0.6)
    assert talk.begin_step("put the red block in the bowl", NOW + 1, "b") == []
    undo, speed = talk.begin_step("put the blue block in the bowl", NOW + 2, "c")
    assert (undo.kind, undo.undoes) == ("undo", "one.0")
    assert speed.speed_factor == pytest.approx(2.0)
    assert talk.speed == pytest.approx(1.2)
    assert len({undo.correction_id, speed.correction_id}) == 2


def test_to_take_back_a_pause_does_not_lift_a_stop():
    talk = session()
    say(talk, "pause")
    say(talk, "stop")
    assert [c.kind for c in say(talk, "undo that")] == ["undo"]
    assert talk.stopped
