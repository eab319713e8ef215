"""A controller that knows the truth: it makes demonstrations and labels what others do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hardware.cell.cell import Cell
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion.features import TIMES
from hierarchy_nodes.controller.diffusion.remaining import CorrectionAccount, Remaining
from hierarchy_nodes.learning.legs import Leg, look_ahead
from hierarchy_nodes.learning.skill import FLOOR, Decision
from hierarchy_nodes.learning.skills import SKILLS
from hierarchy_nodes.learning.world import World
from hierarchy_nodes.parameters import param
from hierarchy_nodes.types import ActionChunk, Gripper, Observation, Pose

# Where a correction may send the tool, metres.
_LOW, _HIGH = np.array([0.22, -0.42, FLOOR]), np.array([0.75, 0.42, 0.62])


@dataclass(frozen=True)
class ExpertOptions:
    """How corrections are obeyed."""

    correction_speed: float = param(0.3, "Speed of corrections", unit="m/s", low=0.02, high=0.4)


class Expert(ControllerBackend):
    """Does the task of one cell from the simulator's truth, with contact alone.

    The chunk answers the very state it is asked in, however the arm came there; a correction goes
    before the task, which is then taken up again from where the tool is.

    Args:
        cell: Whose truth is used; made before the arm moves.
        task: What is to be done.

    Attributes:
        done: Whether the task was done at the last call.
    """

    Options = ExpertOptions
    options: ExpertOptions

    def __init__(self, cell: Cell, task: TaskSpec, options: ExpertOptions | None = None) -> None:
        super().__init__(options or ExpertOptions())
        self.world = World(cell, task)
        self.skill = SKILLS[task.family](self.world)
        self.account = CorrectionAccount()
        self.done = False
        self._grip: float | None = None

    def reset(self) -> None:
        self.skill.reset()
        self.account.clear()
        self._grip = None

    def act(self, observation: Observation) -> Step:
        o = observation
        left = self.account.update(o.motion, o.robot.tool, o.now)
        if not o.plan.path and left is None:
            return Step(None, "", "holding", message="no plan")
        decision = self.decide(o, left)
        self.done = decision.done
        rows = look_ahead(o.robot.tool, self.world.tool_velocity(), decision.legs)
        image = o.segments or o.frame
        chunk = ActionChunk(
            stamp=o.robot.stamp,
            image_stamp=image.stamp if image is not None else 0.0,
            plan_id=o.plan.plan_id if o.plan.path else "",
            times=TIMES,
            positions=rows[:, :3],
            quaternions=rows[:, 3:7],
            gripper=rows[:, 7],
            source="expert",
        )
        return Step(chunk, decision.phase, "done" if decision.done else "busy")

    def decide(self, o: Observation, left: Remaining | None) -> Decision:
        """The task's next legs, or the correction's."""
        tool, grip = o.robot.tool, o.robot.gripper
        decision = self.skill.decide(tool, grip)
        if left is None:
            self._grip = decision.legs[0].grip
            return decision
        if left.gripper != Gripper.KEEP:
            self._grip = 1.0 if left.gripper == Gripper.OPEN else 0.0
        opening = self._grip if self._grip is not None else decision.legs[0].grip
        goal = Pose(
            np.clip(tool.position + left.distance * left.direction, _LOW, _HIGH),
            quaternions.qmult(tool.quaternion, euler2quat(0.0, 0.0, left.rotation)),
        )
        goal.position[2] = max(goal.position[2], min(tool.position[2], FLOOR))
        stay = Leg(goal, opening, self.options.correction_speed, stop=True)
        return Decision([stay], "correction")
