"""Recordings of the in-process stack: what the ledger and the lessons find in them."""

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import sample
from hierarchy_nodes.correction import ledger
from hierarchy_nodes.learning.lessons import tape as tapes
from hierarchy_nodes.learning.recording import EpisodeRecorder
from hierarchy_nodes.learning.stack import InProcessStack, StackOptions
from hierarchy_nodes.recorder import metadata


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Somebody corrects the arm while it does a task, and stops it for a moment."""
    folder = tmp_path_factory.mktemp("recordings") / "one"
    folder.mkdir()
    (folder / "left.mcap").write_text("by a run that was interrupted")
    scene, task = sample("place", 3)
    cell = Cell(scene)
    try:
        stack = InProcessStack(cell, StackOptions())
        recorder = EpisodeRecorder(folder, stack)
        stack.run(0.5)
        stack.after(2.0, lambda: stack.say("two centimetres up"))
        stack.after(4.0, lambda: stack.say("stop"))
        stack.after(4.5, lambda: stack.say("go on"))
        stack.execute(task.instruction, 90.0, 3)
        stack.run(0.1)
        recorder.close()
    finally:
        cell.close()
    return folder, stack


def test_the_ledger_finds_what_was_said_and_what_came_of_it(recorded):
    folder, stack = recorded
    assert stack.outcomes[0].success, stack.outcomes[0].message
    found = ledger.read(folder)
    assert [e.text for e in found] == ["two centimetres up", "stop", "go on"]
    assert {e.outcome for e in found} == {"done"}
    assert found[0].changed.startswith("moved ")
    assert found[1].changed.startswith("stopped after ")


def test_the_image_of_each_plan_is_there(recorded):
    folder, _ = recorded
    tape = tapes.read(folder)
    assert tape.plans
    views = {plan.stamp: plan.camera_pose for _, plan in tape.plans}
    frames = tapes.frames(tape, views)
    assert set(frames) == set(views)
    for _, plan in tape.plans:
        masks = tape.segments[plan.plan_id]
        assert masks.stamp == pytest.approx(plan.stamp)
        assert masks.mask.shape == frames[plan.stamp].depth.shape
    assert np.ptp(tape.way(0.0, 100.0), axis=0).max() > 0.1


def test_it_is_a_recording_like_any_other_and_nothing_else_is_left(recorded):
    folder, _ = recorded
    assert sorted(p.name for p in folder.iterdir()) == [metadata.FILE, "one_0.mcap"]
