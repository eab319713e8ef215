"""What holds for every dialect: any text is answered, and prompts are filled."""

from __future__ import annotations

import random
import time

import pytest

from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.planner.vlm import fuzz
from hierarchy_nodes.planner.vlm.dialects import DIALECTS
from hierarchy_nodes.planner.vlm.prompts import Task
from hierarchy_nodes.planner.vlm.reply import ReplyError

SIZE = (320, 240)
NAMES = ("structured", "hamster", "peek", "gemini", "molmo", "waypoints")
OWN = fuzz.all_dialects()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "[" * 100_000,
        '{"a":' * 100_000,
        "(" * 100_000,
        "<" * 100_000,
        "<ans>" * 50_000,
        "<point x=" * 50_000,
        '"' * 100_001,
        "[\\" * 100_000,
        '["' + "\\" * 100_001,
        "<ans>[" + "(0.1, " * 100_000,
        "1" * 1_000_000,
        "<action>" * 50_000,
        "</think>" * 100_000,
        "[{" * 30_000 + "'" * 30_000,
        " " * 1_000_000 + "(",
        "null",
        "\ud800",
    ],
    ids=lambda text: repr(text[:8]),
)
def test_any_text_is_answered_soon(name, text):
    start = time.process_time()
    with pytest.raises(ReplyError) as caught:
        OWN[name].read(text, SIZE)
    # Far from a limit on speed: what is quadratic takes minutes.
    assert time.process_time() - start < 5.0
    assert 10 < len(str(caught.value)) < 500
    str(caught.value).encode()


def test_damaged_replies():
    """The same as a million of `python -m hierarchy_nodes.planner.vlm.fuzz`, fewer of them."""
    rng = random.Random(7)
    seen = {fuzz.one(OWN, rng) for _ in range(6000)}
    assert seen == {(name, how) for name in NAMES for how in ("reply", "refused")}


@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_filled(name):
    task = Task("stack $100 {of} cups", target="the cups", situation="It holds a cup.")
    for question in DIALECTS.get(name)().questions(task):
        assert ("stack $100 {of} cups" in question.text) != (name == "molmo")
        assert "$instruction" not in question.text
        assert "$situation" not in question.text


def test_prompts_of_ones_own():
    hamster_class = DIALECTS.get("hamster")
    assert hamster_class("Do $instruction for $$5.").prompt.fill(Task("x")) == "Do x for $5."
    for wrong in ("Do it.", "Do $instruction and $nothing", "$instruction costs 5 $"):
        with pytest.raises(ConfigError, match="must contain"):
            hamster_class(wrong)


def test_an_unknown_dialect_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'hamster'"):
        DIALECTS.get("hamsters")
