"""Planners with a vision-language model: what is asked of the model, over a real server."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from scenes import robot_at
from vlm_server import Server, fails, hangs, says
from vlm_task import TASK, frame, planner, request, structured

from hierarchy_nodes.errors import ConfigError, PlanningError
from hierarchy_nodes.planner.vlm.dialects import DIALECTS
from hierarchy_nodes.planner.vlm.model import ModelCancelled, ModelError
from hierarchy_nodes.planner.vlm.narration import direction
from hierarchy_nodes.planner.vlm.verdict import read_verdict
from hierarchy_nodes.types import Correction, CorrectionKind, Observation

# -- questions --------------------------------------------------------------------------------


def test_the_prompt_has_instruction_corrections_and_situation():
    corrected = Correction(100.0, "c1", "no, the other one", CorrectionKind.RETARGET)
    asked = request(
        attempt=2, corrections=(replace(corrected, role="target", phrase="the green block"),)
    )
    with Server(says(structured())) as server:
        planner(server).plan(asked)
        body = server.asked[0]
    text = body["messages"][0]["content"][1]["text"]
    for words in (TASK, "corrected", "the green block", "attempt 2"):
        assert words in text
    assert body["response_format"]["json_schema"]["schema"]["required"][0] == "status"


def test_molmo_is_asked_for_the_corrected_thing():
    corrected = Correction(
        100.0, "c1", "the green one", CorrectionKind.RETARGET, role="target", phrase="the green one"
    )
    with Server(says("There are none.")) as server:
        with pytest.raises(PlanningError):
            planner(server, "molmo").plan(request(corrections=(corrected,)))
        assert "green block" in server.asked[0]["messages"][0]["content"][1]["text"]


def test_a_prompt_file(tmp_path):
    (tmp_path / "mine.txt").write_text("My own words: $instruction!")
    with Server(says(structured())) as server:
        planner(server, prompt_file=str(tmp_path / "mine.txt")).plan(request())
        text = server.asked[0]["messages"][0]["content"][1]["text"]
        assert text == f"My own words: {TASK}!"
        with pytest.raises(ConfigError, match="cannot be read"):
            planner(server, prompt_file=str(tmp_path / "none.txt"))


def test_every_prompt_is_installed_beside_its_dialect():
    for name in ("structured", "hamster", "peek", "gemini", "molmo", "waypoints"):
        assert DIALECTS.get(name)().prompt


def test_steps():
    with Server(says(structured(more=True))) as server:
        backend = planner(server)
        assert backend.subtasks("tidy up, will you") == ("tidy up, will you",)
        assert backend.subtasks(TASK) == (TASK,)
        two = backend.subtasks("put the red block on the plate and then press the button")
        assert len(two) == 2
        with pytest.raises(PlanningError):
            backend.subtasks("  ")
        assert not backend.repeats(TASK)
        backend.plan(request())
        assert backend.repeats(TASK)
        assert backend.repeats("put all red blocks in the bowl")
        assert not planner(server, "hamster").repeats("put all red blocks in the bowl")


# -- verdicts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"done": "yes"}', True),
        ('```json\n{"done": "no"}\n```', False),
        ('{"done": true}', True),
        ('{"done": "unsure"}', None),
        ('{"done": "maybe"}', None),
        ('{"done": 1}', None),
        ('{"done": "yes"', None),
        ('{"done": "y', None),
        ("Yes.", True),
        ("No, the block is beside the plate.", False),
        ("No idea. " + "I really cannot tell from this image what happened. " * 3, None),
        ("It is done.", None),
        ("", None),
        ("[" * 5000, None),
        ('<think>{"done": "yes"}</think>{"done": "no"}', False),
    ],
)
def test_verdicts(text, verdict):
    assert read_verdict(text) is verdict


def test_the_model_verifies_or_abstains():
    with Server(says(structured()), says('{"done": "no"}'), fails(500)) as server:
        backend = planner(server)
        plan = backend.plan(request())
        assert backend.verify(plan, frame(), robot_at(101.0)) is False
        body = server.asked[1]
        assert plan.subtask in body["messages"][0]["content"][1]["text"]
        assert backend.verify(plan, frame(), robot_at(101.0)) is None
        count = len(server.asked)
        assert planner(server, "hamster").verify(plan, frame(), robot_at(101.0)) is None
        assert planner(server, verify=False).verify(plan, frame(), robot_at(101.0)) is None
        assert len(server.asked) == count
    with Server(says('{"done": "yes"}', "length")) as server:
        assert planner(server).verify(plan, frame(), robot_at(101.0)) is None


# -- motions ----------------------------------------------------------------------------------


def test_the_motion_is_the_stated_one_first_then_that_of_the_path():
    with Server(says(structured(motion="Move arm left and down"))) as server:
        backend = planner(server)
        plan = backend.plan(request())
    start = robot_at(100.0)
    first = backend.motion(Observation(100.5, start, plan, frame()))
    assert first.text == "move arm left and down"
    assert first.direction == pytest.approx([0, 0.7071, -0.7071], abs=1e-3)
    later = backend.motion(Observation(102.0, robot_at(102.0, (0.45, 0.12, 0.2)), plan, frame()))
    assert "down" in later.text
    assert backend.motion(Observation(100.5, start, replace(plan, plan_id="x"), frame())) is None


def test_a_stated_motion_against_the_path_is_ignored():
    with Server(says(structured(motion="move arm right and up"))) as server:
        backend = planner(server)
        plan = backend.plan(request())
    told = backend.motion(Observation(100.5, robot_at(100.0), plan, frame()))
    assert "right" not in told.text
    assert "up" not in told.text.split()


def test_directions_in_words():
    assert direction("move arm forward") == pytest.approx([1, 0, 0])
    assert direction("go backwards") == pytest.approx([-1, 0, 0])
    assert not direction("close gripper").any()
    assert not direction("left right").any()


# -- trouble ----------------------------------------------------------------------------------


def test_a_dead_server_is_named():
    with Server(says("x")) as server:
        url = server.url
        backend = planner(server, backoff=0.01)
    with pytest.raises(ModelError, match=url):
        backend.plan(request())


def test_planning_can_be_given_up():
    with Server(hangs) as server:
        backend = planner(server, timeout=20.0)
        caught = []

        def plan():
            try:
                backend.plan(request())
            except ModelError as error:
                caught.append(error)

        thread = threading.Thread(target=plan)
        thread.start()
        while not server.seen:
            time.sleep(0.01)
        backend.cancel()
        thread.join(5.0)
        assert isinstance(caught[0], ModelCancelled)


def test_a_recorded_run_is_replayed_without_a_server(tmp_path):
    with Server(says(structured()), says('{"done": "yes"}')) as server:
        backend = planner(server, record=str(tmp_path))
        plan = backend.plan(request())
        done = backend.verify(plan, frame(), robot_at(101.0))
        again = planner(server, replay=str(tmp_path))
    replayed = again.plan(request())
    assert replayed.path == plan.path
    assert replayed.prompts == plan.prompts
    assert again.verify(replayed, frame(), robot_at(101.0)) is done is True
    with pytest.raises(ModelError, match="no recorded reply"):
        again.plan(request("press the button"))
