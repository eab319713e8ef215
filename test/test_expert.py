"""The expert: every family, and whatever happens on the way."""

from __future__ import annotations

import numpy as np
import pytest
from bare import Bare

from hardware.cell.tasks import FAMILIES
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.controller.diffusion.features import HORIZON, PERIOD
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.learning.legs import TRAVEL, Leg, look_ahead
from hierarchy_nodes.types import Gripper, LanguageMotion


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_done_and_known_to_be_done(family):
    episode = Bare(family, 11, "novel_object" if family == "stack" else "basic")
    verdict = episode.finish()
    assert verdict.success, verdict.reason
    assert episode.step.state == "done"
    assert episode.expert.done
    assert episode.rejected == []
    # It ends well above the table, with open fingers.
    assert episode.cell.tool_position()[2] > 0.3
    assert episode.cell.arm_state().gripper > 0.8


def test_a_thing_that_is_moved_on_the_way_is_followed():
    episode = Bare("place", 3)
    name = episode.task.target
    episode.run(10, lambda: "descend" in episode.phases)
    x, y, z = episode.cell.data.body(name).xpos
    episode.cell.move_object(name, (float(x), float(y) + 0.06 * (1 if y < 0 else -1), float(z)), 0)
    assert episode.finish().success


def test_a_dropped_thing_is_taken_up_again():
    episode = Bare("stack", 4)
    assert episode.run(20, lambda: episode.step is not None and episode.step.phase == "carry")
    episode.run(0.6)
    lifted = float(episode.cell.data.body(episode.task.target).xpos[2])
    act = episode.expert.act
    episode.expert.act = lambda o: _opened(act(o))
    episode.run(0.7)
    episode.expert.act = act
    assert lifted > 0.03
    assert not episode.expert.world.between_fingers((episode.task.target,))
    assert episode.finish().success
    assert episode.phases.count("grasp") >= 2


def _opened(step):
    step.chunk.gripper[:] = 1.0
    return step


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_correction_goes_before_the_task(axis):
    episode = Bare("place", 5)
    episode.run(20, lambda: episode.step is not None and episode.step.phase == "approach")
    episode.run(0.5)
    way = np.zeros(3)
    # Against where the tool is going, so that the task alone would not do it.
    aside = float(episode.cell.data.body(episode.task.target).xpos[1])
    way[axis] = (-1.0, -np.sign(aside), 1.0)[axis]
    now = episode.cell.time
    before = episode.cell.tool_position()
    episode.motion = LanguageMotion(
        now, "that way", way, 0.05, valid_until=now + 1.0, source="correction", correction_id="c"
    )
    farthest = 0.0
    for _ in range(10):
        episode.run(0.1)
        farthest = max(farthest, float((episode.cell.tool_position() - before) @ way))
    assert 0.042 < farthest < 0.075
    assert "correction" in episode.phases
    assert episode.finish().success


def test_a_correction_of_the_gripper_lets_go():
    episode = Bare("place", 3)
    assert episode.run(20, lambda: episode.step is not None and episode.step.phase == "carry")
    now = episode.cell.time
    episode.motion = LanguageMotion(
        now, "open", gripper=Gripper.OPEN, valid_until=now + 1, source="correction"
    )
    episode.run(0.6)
    assert episode.cell.arm_state().gripper > 0.9


def test_chunks_start_one_period_ahead_and_keep_the_limits():
    legs = [
        Leg(top_down((0.5, 0.2, 0.2)), 1.0),
        Leg(top_down((0.5, 0.2, 0.05), 0.5), 1.0, slow=0.04, stop=True, wait=0.2),
        Leg(top_down((0.5, 0.2, 0.05), 0.5), 0.0, stop=True, wait=0.4),
        Leg(top_down((0.5, 0.2, 0.3), 0.5), 0.0),
    ]
    pose, velocity = top_down((0.5, 0.12, 0.2)), np.zeros(3)
    rows = look_ahead(pose, velocity, legs)
    assert rows.shape == (HORIZON, 8)
    steps = np.diff(np.vstack([pose.position, rows[:, :3]]), axis=0)
    speeds = np.linalg.norm(steps, axis=1) / PERIOD
    assert 0 < speeds[0] <= TRAVEL + 1e-9
    assert speeds.max() <= TRAVEL + 1e-6 < ArmConfig().max_speed
    assert np.allclose(np.linalg.norm(rows[:, 3:7], axis=1), 1)
    # Never below where it is to stop.
    assert rows[:, 2].min() > 0.05 - 0.003


def test_the_gripper_closes_only_once_the_tool_has_arrived():
    grasp = top_down((0.5, 0.0, 0.02))
    legs = [
        Leg(grasp, 1.0, slow=0.04, stop=True),
        Leg(grasp, 0.0, stop=True, wait=0.5),
        Leg(top_down((0.5, 0.0, 0.2)), 0.0),
    ]
    rows = look_ahead(top_down((0.5, 0.0, 0.06)), np.zeros(3), legs)
    closing = int(np.argmax(rows[:, 7] < 0.5))
    assert closing > 0
    assert np.abs(rows[closing, 2] - 0.02) < 0.004
    lifted = np.flatnonzero(rows[:, 2] > 0.03)
    lifted = lifted[lifted > closing]
    assert len(lifted) == 0 or (lifted[0] - closing) * PERIOD >= 0.4


def test_the_answer_depends_on_the_state_alone_not_on_who_brought_it_about():
    """Asked about a state that another expert reached, a fresh one goes the same way."""
    episode = Bare("push", 6)
    episode.run(20, lambda: episode.step is not None and episode.step.phase == "stroke")
    from hierarchy_nodes.learning.expert import Expert

    fresh = Expert(episode.cell, episode.task)
    # Pushed things are judged by where they started, which is known only at the start.
    fresh.world.start = episode.expert.world.start
    observation = episode.observation()
    mine, theirs = episode.expert.act(observation), fresh.act(observation)
    assert np.allclose(mine.chunk.positions, theirs.chunk.positions, atol=2e-3)
