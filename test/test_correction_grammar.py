"""The correction grammar against tables of phrases, and against anything at all."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import Context, parse
from hierarchy_nodes.correction.motion import VECTORS
from hierarchy_nodes.types import Correction, CorrectionKind, Gripper

DATA = Path(__file__).parent / "data"
CONFIG = CorrectionConfig()


def table(name: str) -> dict[str, str]:
    return yaml.safe_load((DATA / name).read_text(encoding="utf-8"))


def as_expected(correction: Correction, expected: str) -> bool:
    """Whether one correction is what the table says."""
    accepted = not expected.startswith("refused ")
    kind, _, rest = expected.removeprefix("refused ").partition(" ")
    if kind != str(correction.kind):
        return False
    if kind == "unknown":
        return not correction.accepted
    if correction.accepted != accepted:
        return False
    motion = correction.motion
    if not accepted:
        return bool(correction.answer) and motion is None
    if kind == "speed":
        return math.isclose(correction.speed_factor, float(rest), rel_tol=0.01)
    if kind == "gripper":
        return motion is not None and motion.gripper == Gripper[rest.upper()]
    if kind == "retarget":
        return f"{correction.role} {correction.phrase}" == rest
    if kind == "task":
        return correction.phrase == rest
    if kind != "motion":
        return rest == ""
    assert motion is not None
    way, amount = rest.split()
    if amount.endswith("deg"):
        turn = math.degrees(motion.rotation) * (1 if way == "cw" else -1)
        return math.isclose(turn, float(amount[:-3]), abs_tol=0.1) and motion.distance == 0
    centimetres = float(re.sub("cm$", "", amount))
    vectors = [np.array(VECTORS[name], dtype=float) for name in way.split("+")]
    if not math.isclose(motion.distance * 100, centimetres, abs_tol=0.01):
        return False
    # Every named direction has its share, and nothing else has.
    shares = [float(motion.direction @ v) > 0.3 for v in vectors]
    rest_of_it = motion.direction - sum((motion.direction @ v) * v for v in vectors)
    return all(shares) and float(np.linalg.norm(rest_of_it)) < 1e-6


def wrong(name: str) -> list[str]:
    failures = []
    for phrase, expected in table(name).items():
        found = parse(phrase, 100.0)
        wanted = [part.strip() for part in expected.split(";")]
        if len(found) != len(wanted) or not all(map(as_expected, found, wanted)):
            got = [(str(c.kind), c.answer, c.phrase) for c in found]
            failures.append(f"{phrase!r}: wanted {expected}, got {got}")
    return failures


def test_phrases():
    failures = wrong("corrections.yaml")
    total = len(table("corrections.yaml"))
    assert total >= 120
    assert len(failures) <= 0.02 * total, "\n".join(failures)


def test_held_out_phrases():
    failures = wrong("corrections_held_out.yaml")
    assert len(failures) <= 0.05 * len(table("corrections_held_out.yaml")), "\n".join(failures)


def check_sound(text: str, found: list[Correction]) -> None:
    assert found
    for correction in found:
        assert correction.text == text
        assert correction.answer
        assert 0.0 <= correction.confidence <= 1.0
        assert 0.1 <= correction.speed_factor <= 2.0
        if correction.kind == CorrectionKind.UNKNOWN:
            assert not correction.accepted
        motion = correction.motion
        if motion is not None:
            assert np.isfinite(motion.direction).all()
            assert np.linalg.norm(motion.direction) == pytest.approx(1.0) or not np.any(
                motion.direction
            )
            assert 0.0 <= motion.distance <= CONFIG.max_distance + 1e-9
            assert abs(motion.rotation) <= math.radians(CONFIG.max_angle) + 1e-9
            assert 0.5 <= motion.valid_until - motion.stamp <= 5.0
            assert 1.0 <= motion.weight <= 3.0
    assert len({c.correction_id for c in found}) == len(found)


WORDS = sorted({word for phrase in table("corrections.yaml") for word in phrase.split()})


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text):
    check_sound(text, parse(text, 1e9))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, ",", "and", "then", "-", "1e9", "0", "99"]), max_size=25))
def test_any_words(words):
    text = " ".join(words)
    check_sound(text, parse(text, 1e9))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8), st.lists(st.sampled_from(WORDS), max_size=8))
def test_stop_is_heard_among_anything(before, after):
    text = " ".join([*before, ",", "stop!", *after])
    assert parse(text, 0.0)[0].kind == CorrectionKind.STOP or "waiting" in after[:1]


@pytest.mark.parametrize("text", ["stop, right there", "stop it. right here!"])
def test_a_place_to_stop_at_is_no_motion(text):
    assert [c.kind for c in parse(text, 0.0)] == ["stop"]


@pytest.mark.parametrize("text", ["don't stop", "never stop", "do not stop please"])
def test_denied_stop_is_none(text):
    assert [c.kind for c in parse(text, 0.0)] == [CorrectionKind.RESUME]


def only(text: str, **kwargs) -> Correction:
    (correction,) = parse(text, 100.0, **kwargs)
    return correction


def test_viewers_frame_mirrors_the_horizontal():
    viewer = CorrectionConfig(frame="viewer")
    for word, sign in (("left", -1), ("right", -1), ("forward", -1), ("back", -1), ("up", 1)):
        robots, viewers = only(word).motion, only(word, config=viewer).motion
        np.testing.assert_allclose(viewers.direction, sign * robots.direction)
        assert word in only(word, config=viewer).answer or sign < 0
    # Words that name a frame are the same in both.
    for text in ("to your left", "to my left", "closer to me", "too far from me"):
        first, second = parse(text, 0.0), parse(text, 0.0, viewer)
        if first[0].motion is not None:
            np.testing.assert_allclose(first[0].motion.direction, second[0].motion.direction)


def test_refusal_says_why():
    far = only("move left 30 cm")
    assert not far.accepted
    assert "30 cm" in far.answer
    assert "15 cm" in far.answer


def test_answer_tells_what_is_done():
    assert only("two centimetres to the left").answer == "moving 2 cm to the left"


def test_unknown_names_the_nearest():
    assert 'Did you mean "open the gripper"?' in only("opne teh griper").answer


def test_a_comma_makes_no_two_motions_of_one():
    plain, comma, then = (
        parse(f"up two centimetres{joint} forward one centimetre", 0.0)
        for joint in (" and", ", and", ", then")
    )
    assert (
        [c.answer for c in comma] == [c.answer for c in plain] == ["moving 2.24 cm up and forward"]
    )
    assert [c.answer for c in then] == ["moving 2 cm up", "moving 1 cm forward"]
    assert len(parse("left two centimetres, and slower", 0.0)) == 2


def test_a_measure_without_its_number_is_no_task():
    assert parse("turn the gripper degrees clockwise", 0.0)[0].kind == CorrectionKind.UNKNOWN
    assert parse("move the block inches", 0.0)[0].kind == CorrectionKind.UNKNOWN
    text = "put the block two centimetres left of the plate"
    assert parse(text, 0.0)[0].kind == CorrectionKind.TASK


def test_shouting_weighs_more():
    calm, loud = only("left a bit").motion, only("LEFT!!").motion
    assert calm.weight == 1.0
    assert loud.weight > calm.weight


def test_a_bit_more_repeats_the_last_motion():
    assert not only("a bit more").accepted
    last = only("two centimetres up").motion
    more = only("a bit more", context=Context(last=last)).motion
    assert more.distance == pytest.approx(CONFIG.distance_bit)
    np.testing.assert_allclose(more.direction, [0, 0, 1])
    assert only("again", context=Context(last=last)).motion.distance == pytest.approx(0.02)


def test_half_speed_is_of_full_speed():
    assert only("half speed", context=Context(speed=0.5)).speed_factor == pytest.approx(1.0)
    assert only("full speed", context=Context(speed=0.5)).speed_factor == pytest.approx(2.0)
    assert only("slower", context=Context(speed=0.5)).speed_factor == pytest.approx(0.7)


def test_longer_motion_holds_longer():
    short, long = only("1 cm left").motion, only("12 cm left").motion
    assert long.valid_until > short.valid_until > 100.0
