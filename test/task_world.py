"""The rest of the stack around an executive, on a clock of its own."""

import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import IDENTITY, top_down
from hierarchy_nodes.planner.base import PlannerBackend
from hierarchy_nodes.planner.config import PlannerConfig
from hierarchy_nodes.planner.executive import Executive
from hierarchy_nodes.planner.lifelines import NEEDED
from hierarchy_nodes.planner.task import PlanJob, VerifyJob
from hierarchy_nodes.types import (
    CameraIntrinsics,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Prompt,
    RgbdFrame,
    RobotState,
    Role,
)

CAMERA = CameraIntrinsics(4, 3, 4.0, 4.0, 2.0, 1.5)


class Backend(PlannerBackend):
    """Splits at " then "; refuses ""; repeats what begins with "all".

    Attributes:
        clears: Identities of plans that only clear the hand.
    """

    def __init__(self):
        super().__init__(None)
        self.clears = set()

    def subtasks(self, instruction):
        if not instruction.strip():
            raise PlanningError(ErrorCode.INSTRUCTION_EMPTY, "Say something.")
        return tuple(instruction.split(" then "))

    def repeats(self, subtask):
        return subtask.startswith("all")

    def prepares(self, plan):
        return plan.plan_id in self.clears

    def plan(self, request):
        raise NotImplementedError

    def verify(self, plan, frame, robot):
        raise NotImplementedError


class World:
    """Plays the rest of the stack, and lets time pass."""

    def __init__(self, **config):
        self.now = 100.0
        self.plans, self.jobs, self.outcomes = [], [], []
        self.alive = set(NEEDED)
        self.images = self.joints = True
        self.speed, self.gripper = 0.0, 1.0
        self.backend = Backend()
        self.core = Executive(self.backend, PlannerConfig(**config), self)

    def publish(self, plan):
        self.plans.append(plan)

    def ask(self, job):
        self.jobs.append(job)

    def start(self, text="do it", **limits):
        self.core.start(text, self.now, self.outcomes.append, **limits)

    def run(self, seconds=1.0):
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            for name in self.alive:
                if name != "controller" or not self.core.task or not self.core.task.plan:
                    self.core.hear(name, self.now, "idle")
                else:
                    self.core.hear(name, self.now, "busy", self.core.task.plan.plan_id)
            if self.joints:
                self.core.feel(self.robot())
            if self.images:
                self.core.see(self.frame(), self.now)
            self.core.tick(self.now)

    def robot(self):
        speeds = np.full(7, self.speed)
        return RobotState(self.now, np.zeros(7), speeds, self.gripper, top_down([0.4, 0, 0.4]))

    def frame(self):
        color, depth = np.zeros((3, 4, 3), np.uint8), np.ones((3, 4), np.float32)
        return RgbdFrame(self.now, "camera", color, depth, CAMERA, IDENTITY)

    def plan(self, grasp=True, prompted=False):
        """Answer the newest job with a plan, and return it."""
        job = self.jobs[-1]
        assert isinstance(job, PlanJob)
        path = (
            PathPoint(0.5, 0.5, 1.0, Gripper.OPEN),
            PathPoint(0.5, 0.6, 1.0, Gripper.CLOSE if grasp else Gripper.KEEP),
        )
        plan = Plan(
            f"plan{job.ticket}",
            job.request.frame.stamp,
            "camera",
            IDENTITY,
            job.request.instruction,
            Interaction.PLACE,
            path,
            (Prompt(Role.TARGET, "red block", 0.5, 0.6),) if prompted else (),
            self.now + 60.0,
            "test",
        )
        self.core.planned(job.ticket, plan, self.now)
        return plan

    def control(self, state, message=""):
        plan_id = self.core.task.plan.plan_id
        self.core.hear("controller", self.now, state, plan_id, message)

    def verify(self, done):
        job = self.jobs[-1]
        assert isinstance(job, VerifyJob)
        self.core.verified(job.ticket, done, self.now)

    def do(self, done=True):
        """One step from the waiting for an image to the verdict."""
        self.run(1)
        self.plan()
        self.run(1)
        self.control("done")
        self.run(1)
        self.verify(done)

    @property
    def phase(self):
        return self.core.task.phase

    @property
    def outcome(self):
        (only,) = self.outcomes
        return only
