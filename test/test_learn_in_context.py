"""Planners with a vision-language model are told what was corrected in earlier tasks."""

from __future__ import annotations

from dataclasses import replace

from vlm_server import Server, says
from vlm_task import TASK, planner, request, structured

from hierarchy_nodes.planner.vlm.asking import corrected, task_of
from hierarchy_nodes.types import Correction, CorrectionKind, Scope

GREEN = Correction(
    100.0, "c1", "no, the green one", CorrectionKind.RETARGET, role="target", phrase="green one"
)
ALWAYS = replace(GREEN, correction_id="c2", role="goal", phrase="other plate", scope=Scope.ALWAYS)
EARLIER = f'{TASK}. Then the person corrected the thing: "green one"'


def asked(*requests, dialect="structured", **more):
    """The texts that the model is asked, one after the other."""
    with Server(says(structured())) as server:
        backend = planner(server, dialect, **more)
        for each in requests:
            backend.plan(each)
        return [body["messages"][0]["content"][1]["text"] for body in server.asked]


def test_what_was_corrected_is_told_with_later_tasks():
    first, again, other = asked(
        request(corrections=(GREEN,)), request(), request("put the red block on the plate again")
    )
    assert "Earlier tasks" not in first
    for text in (again, other):
        assert "keep in mind" in text
        assert EARLIER in text


def test_what_is_taken_back_in_the_same_task_is_forgotten():
    with Server(says(structured())) as server:
        backend = planner(server)
        plan = backend.plan(request(corrections=(GREEN,)))
        backend.plan(request(previous=plan))
        backend.plan(request(previous=plan))
        texts = [body["messages"][0]["content"][1]["text"] for body in server.asked]
    assert "green one" not in texts[2]


def test_only_the_latest_are_remembered_and_none_if_not_wanted():
    tasks = [
        request(f"put the red block on the blue plate {n}", corrections=(GREEN,))
        for n in ("once", "twice", "thrice")
    ]
    last = asked(*tasks, request("do it"), remembered=2)[-1]
    assert "once" not in last
    assert last.index("twice") < last.index("thrice")
    assert "Earlier" not in asked(*tasks, remembered=0)[-1]


def test_what_counts_always_comes_with_every_task_and_is_no_memory():
    first, second = asked(request(corrections=(ALWAYS,)), request("do it", corrections=(ALWAYS,)))
    for text in (first, second):
        assert 'corrected the goal: "other plate"' in text
        assert "Earlier" not in text


def test_a_task_in_words():
    told = (("target", "green one"), ("goal", "bowl"))
    task = task_of(TASK + ".", told, holding=True, attempt=3)
    assert (task.target, task.goal) == ("the green block", "the bowl")
    assert task.instruction.endswith('corrected the goal: "bowl"')
    assert "holds something" in task.situation
    assert "attempt 3" in task.situation
    assert corrected("tidy up, will you", told) is None
