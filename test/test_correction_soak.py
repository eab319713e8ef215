"""Corrections at any moment, one upon the other: none is lost, and the arm stays within its limits.

``SOAK=1000 pytest test/test_correction_soak.py`` says so many of them.
"""

import os

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.tasks import sample
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.learning.stack import CONTROL_PERIOD, InProcessStack, StackOptions

COUNT = int(os.environ.get("SOAK", "150"))
MOTIONS = (
    "left", "right a bit", "two centimetres higher", "down one centimetre", "forward", "back a bit",
    "a bit higher and to the left", "turn clockwise 20 degrees", "left one centimetre, then up",
)  # fmt: skip
SPEEDS = {"half speed please": 0.5, "twice as fast": 2.0, "slower": 0.7, "a bit faster": 1.2}
FLOW = ("pause", "continue", "stop", "keep going")
THINGS = ("no, the other one", "use the other plate", "open the gripper", "close the gripper")
TASKS = ("go back to the old task", "push the block to the left instead")
CLEARING = ("stop", "retarget", "task", "undo")
UNKNOWN = ("banana", "the weather is nice", "left ninety metres")


class Oracle:
    """What must have come of it, from the words alone."""

    def __init__(self):
        self.speed, self.paused, self.stopped = 1.0, False, False
        self.done = []

    def hear(self, text):
        if text in UNKNOWN:
            return
        if text == "undo that":
            if self.done:
                self.undo(self.done.pop())
            return
        if text == "stop":
            self.stopped = True
            return
        self.done += [text] * text.count(",") if text in MOTIONS else []
        self.done.append(text)
        if text in SPEEDS:
            self.change(0.5 / self.speed if text.startswith("half") else SPEEDS[text])
            # "Half speed" is half of full speed, whatever the present one.
            self.done[-1] = (text, self.factor)
        elif text == "pause":
            self.paused = True
        elif text in ("continue", "keep going"):
            self.paused = self.stopped = False

    def change(self, factor):
        self.factor = factor
        self.speed = float(np.clip(self.speed * factor, 0.1, 2.0))

    def undo(self, what):
        if isinstance(what, tuple):
            self.change(1 / what[1])
        elif self.stopped:
            pass
        elif what == "pause":
            self.paused = False
        elif what in ("continue", "keep going"):
            self.paused = True


@pytest.fixture
def stack():
    scene, task = sample("place", 11)
    cell = Cell(scene)
    stack = InProcessStack(cell, StackOptions())
    yield stack, task
    cell.close()


def test_none_is_lost_and_the_limits_hold(stack):
    stack, task = stack
    rng = np.random.default_rng(5)
    oracle, config = Oracle(), ArmConfig()
    limits = stack.cell.capabilities
    said, given, before = [], [], [None]
    motions, dropped, held = set(), set(), set()
    hear, motion = stack._session.hear, stack._core.motion

    def heard(*arguments):
        found = hear(*arguments)
        said.append((arguments[0], found))
        motions.update(c.correction_id for c in found if c.motion is not None and c.accepted)
        if any(c.accepted and c.kind in CLEARING for c in found):
            # What had not been begun makes no sense any more.
            dropped.update(motions - set(given) - {c.correction_id for c in found})
        if stack.executor.stop_reason is not None:
            held.update(c.correction_id for c in found if c.motion is not None)
        return found

    def moved(item):
        given.append(item.correction_id)
        motion(item)

    def watch(stack):
        joints = stack.setpoint.positions
        if before[0] is not None:
            rates = np.abs(joints - before[0]) / CONTROL_PERIOD
            assert (rates <= limits.max_velocity * 1.001).all(), rates
        before[0] = joints.copy()
        assert stack.cell.tool_position()[2] > config.table_height - 0.005

    stack._session.hear, stack._core.motion = heard, moved
    stack.watchers.append(watch)
    stack.executive.start(task.instruction, stack.time, stack.outcomes.append, 1e6, 1000)
    stack.run(1.0)
    kinds = (MOTIONS, tuple(SPEEDS), FLOW, THINGS, TASKS, UNKNOWN, ("undo that",))
    for _ in range(COUNT):
        words = kinds[rng.choice(len(kinds), p=[0.35, 0.15, 0.2, 0.1, 0.05, 0.05, 0.1])]
        text = words[rng.integers(len(words))]
        stack.say(text)
        oracle.hear(text)
        if stack.executive.task is None:
            stack.executive.start(task.instruction, stack.time, stack.outcomes.append, 1e6, 1000)
        # Often at once, now and then after seconds.
        stack.run(float(rng.choice([0.0, rng.exponential(0.3), rng.uniform(1, 3)])))
        assert stack.executor.speed == pytest.approx(oracle.speed), text
        assert stack.executor.paused == oracle.paused, text
        assert (stack.executor.stop_reason is not None) == oracle.stopped, text
    # Every word was answered; what was not acted on says why.
    assert len(said) == COUNT
    assert all(found and all(c.answer for c in found) for _, found in said)
    everything = [c for _, found in said for c in found]
    assert len({c.correction_id for c in everything}) == len(everything)
    # Every motion reached the controller once, but for those that a stop, another thing or an undo
    # came before, those that were said to a stopped arm, and those whose turn is yet to come.
    assert len(given) == len(set(given))
    assert set(given) <= motions
    stack.run(6.0)
    assert motions - set(given) <= dropped | held
    assert len(given) > 0.3 * len(motions)
