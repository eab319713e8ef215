"""Cell, arm executor and a controller alone: no camera, no planner, many times faster."""

from __future__ import annotations

from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.tasks import sample
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.executor import ChunkExecutor
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.errors import ChunkRejected
from hierarchy_nodes.geometry import IDENTITY
from hierarchy_nodes.learning.expert import Expert
from hierarchy_nodes.types import Interaction, Observation, PathPoint, Plan

PERIOD = 1 / 125
KINEMATICS = Kinematics()


class Bare:
    """One task with the expert."""

    def __init__(self, family: str, seed: int, axis: str = "basic", **start) -> None:
        scene, self.task = sample(family, seed, axis)
        self.cell = Cell(scene, **start)
        self.referee = Referee(self.cell, self.task)
        self.expert = Expert(self.cell, self.task)
        self.executor = ChunkExecutor(ArmConfig(), KINEMATICS, self.cell.capabilities)
        self.step = None
        self.motion = None
        self.rejected: list[str] = []
        self.phases: list[str] = []

    def observation(self) -> Observation:
        robot = KINEMATICS.robot_state(self.cell.arm_state())
        path = (PathPoint(0.5, 0.5),)
        plan = Plan("p", 0, "", IDENTITY, "", Interaction.NONE, path, (), 1e9, "test")
        now = self.cell.time
        motion = self.motion if self.motion and now <= self.motion.valid_until else None
        return Observation(now, robot, plan, motion=motion)

    def run(self, seconds: float, until=lambda: False) -> bool:
        """Control at 20 Hz for `seconds` or until a condition holds; whether it did."""
        for k in range(round(seconds / PERIOD)):
            if k % 6 == 0:
                if until():
                    return True
                self.step = self.expert.act(self.observation())
                if not self.phases or self.phases[-1] != self.step.phase:
                    self.phases.append(self.step.phase)
                if self.step.chunk is not None:
                    try:
                        self.executor.submit(self.step.chunk, self.cell.time)
                    except ChunkRejected as error:
                        self.rejected.append(str(error))
            self.cell.command(self.executor.step(self.cell.time, self.cell.arm_state()))
            self.cell.step(PERIOD)
        return until()

    def finish(self, seconds: float = 40.0):
        """Until the expert says that it is done, and a second longer; the referee's verdict."""
        self.run(seconds, lambda: self.step is not None and self.step.state == "done")
        self.run(1.0)
        return self.referee.verdict()
