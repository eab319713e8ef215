"""The task's state machine, on a clock of its own."""

import numpy as np
import pytest

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import IDENTITY, top_down
from hierarchy_nodes.planner.base import PlannerBackend, TaskDone
from hierarchy_nodes.planner.config import PlannerConfig
from hierarchy_nodes.planner.executive import NEEDED, Executive
from hierarchy_nodes.planner.task import Phase, PlanJob, VerifyJob
from hierarchy_nodes.types import (
    CameraIntrinsics,
    Correction,
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    RgbdFrame,
    RobotState,
)

CAMERA = CameraIntrinsics(4, 3, 4.0, 4.0, 2.0, 1.5)


class Backend(PlannerBackend):
    """Splits at " then "; refuses "nothing"; repeats what begins with "all"."""

    def subtasks(self, instruction):
        if not instruction.strip():
            raise PlanningError(ErrorCode.INSTRUCTION_EMPTY, "Say something.")
        return tuple(instruction.split(" then "))

    def repeats(self, subtask):
        return subtask.startswith("all")

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
        self.core = Executive(Backend(None), PlannerConfig(**config), self)

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

    def plan(self, grasp=True):
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
            (),
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


def test_phases_of_a_good_task():
    world = World()
    world.start()
    assert world.plans[-1].path == ()
    assert world.phase == Phase.WAITING
    world.run(1)
    assert world.phase == Phase.PLANNING
    plan = world.plan()
    assert world.phase == Phase.EXECUTING
    assert world.plans[-1] is plan
    world.run(5)
    world.control("done")
    assert world.phase == Phase.VERIFYING
    world.run(1)
    world.verify(True)
    assert world.outcome.success
    assert world.outcome.attempts == 1
    assert 6.5 < world.outcome.duration < 8.5
    assert world.plans[-1].path == ()
    assert world.core.task is None


def test_image_is_later_than_the_request_and_the_rest_of_the_arm():
    world = World()
    world.run(1)
    world.speed = 0.5
    world.start()
    begun = world.now
    world.run(2)
    assert not world.jobs
    world.speed = 0.0
    world.run(1)
    assert world.jobs[-1].request.frame.stamp >= begun + 2.0


def test_image_for_the_check_is_later_than_the_end():
    world = World()
    world.start()
    world.run(1)
    world.plan()
    world.run(1)
    world.control("done")
    ended = world.now
    world.run(1)
    assert world.jobs[-1].frame.stamp >= ended


def test_steps_follow_each_other():
    world = World()
    world.start("first then second")
    world.do()
    assert world.core.task.subtask == "second"
    world.do()
    assert world.outcome.success
    assert [j.request.instruction for j in world.jobs if isinstance(j, PlanJob)] == [
        "first",
        "second",
    ]


def test_repeats_until_nothing_is_left():
    world = World(max_attempts=2)
    world.start("all of them")
    for _ in range(4):
        world.do()
    world.run(1)
    world.core.plan_failed(world.jobs[-1].ticket, TaskDone("nothing left"), world.now)
    assert world.outcome.success
    assert world.outcome.attempts == 4


def test_failed_check_is_tried_again_and_then_given_up():
    world = World(max_attempts=3)
    world.start()
    for attempt in range(3):
        world.do(done=False)
        assert world.plans[-1].path == (), attempt
    assert world.outcome.code == ErrorCode.NOT_VERIFIED
    assert world.outcome.attempts == 3
    assert "3 attempts" in world.outcome.message


def test_second_attempt_can_succeed():
    world = World()
    world.start()
    world.do(done=False)
    world.do()
    assert world.outcome.success
    assert world.outcome.attempts == 2


def test_max_attempts_of_the_goal():
    world = World(max_attempts=5)
    world.start(max_attempts=1)
    world.do(done=False)
    assert world.outcome.code == ErrorCode.NOT_VERIFIED


def test_controller_failure_keeps_its_code():
    world = World(max_attempts=1)
    world.start()
    world.run(1)
    world.plan()
    world.control("failed", "GRASP_FAILED: what was held slipped out")
    assert world.outcome.code == ErrorCode.GRASP_FAILED
    assert world.outcome.message == "what was held slipped out"


def test_failure_of_an_older_plan_is_ignored():
    world = World()
    world.start()
    world.run(1)
    world.plan()
    world.core.hear("controller", world.now, "failed", "another", "TARGET_LOST: gone")
    assert world.phase == Phase.EXECUTING


def test_controller_that_ignores_the_plan():
    world = World(max_attempts=1, answer_timeout=2.0)
    world.start()
    world.run(1)
    world.plan()
    world.alive.discard("controller")
    for _ in range(60):
        world.core.hear("controller", world.now, "idle", "none")
        world.run(0.05)
        if world.outcomes:
            break
    assert world.outcome.code == ErrorCode.CONTROLLER_LOST


def test_unknown_object_is_looked_for_again_then_answered():
    world = World(looks=3)
    world.start("the purple giraffe")
    for _ in range(3):
        assert not world.outcomes
        world.run(1)
        error = PlanningError(ErrorCode.OBJECT_NOT_FOUND, "I cannot see it. In view: red block.")
        world.core.plan_failed(world.jobs[-1].ticket, error, world.now)
    assert len(world.jobs) == 3
    assert world.outcome.code == ErrorCode.OBJECT_NOT_FOUND
    assert "red block" in world.outcome.message
    assert world.outcome.attempts == 0


def test_out_of_reach_is_answered_at_once():
    world = World()
    world.start()
    world.run(1)
    error = PlanningError(ErrorCode.OUT_OF_REACH, "too far")
    world.core.plan_failed(world.jobs[-1].ticket, error, world.now)
    assert world.outcome.code == ErrorCode.OUT_OF_REACH


def test_backend_that_breaks_is_tried_again():
    world = World(max_attempts=2)
    world.start()
    for _ in range(2):
        world.run(1)
        world.core.plan_failed(world.jobs[-1].ticket, KeyError("weights"), world.now)
    assert world.outcome.code == ErrorCode.BACKEND_FAILED
    assert "weights" in world.outcome.message


def test_empty_instruction():
    world = World()
    world.start("  ")
    assert world.outcome.code == ErrorCode.INSTRUCTION_EMPTY
    assert world.core.task is None


def test_new_task_preempts_and_the_arm_holds_first():
    world = World()
    world.start("old")
    world.run(1)
    old_job = world.jobs[-1]
    world.plan()
    world.start("new")
    assert world.outcome.code == ErrorCode.PREEMPTED
    assert "new" in world.outcome.message
    assert world.plans[-1].path == ()
    world.core.planned(old_job.ticket, world.plans[1], world.now)
    assert world.plans[-1].path == (), "the late plan of the old task must not be sent"
    world.do()
    assert world.outcomes[-1].success
    assert len(world.outcomes) == 2


def test_cancel():
    world = World()
    world.start()
    world.run(1)
    world.plan()
    world.core.cancel(world.now)
    assert world.outcome.code == ErrorCode.CANCELLED
    assert world.plans[-1].path == ()
    world.core.cancel(world.now)
    assert len(world.outcomes) == 1


def test_time_limit():
    world = World()
    world.start(time_limit=3.0)
    world.run(1)
    world.plan()
    world.run(2.5)
    assert world.outcome.code == ErrorCode.TIMED_OUT
    assert "3 s" in world.outcome.message
    assert world.plans[-1].path == ()


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.0])
def test_senseless_time_limit_takes_the_default(limit):
    world = World(time_limit=4.0)
    world.start(time_limit=limit)
    world.run(5)
    assert world.outcome.code == ErrorCode.TIMED_OUT


@pytest.mark.parametrize("name", NEEDED)
def test_node_that_falls_silent(name):
    world = World(node_timeout=1.0)
    world.start()
    world.run(1)
    world.plan()
    world.run(0.5)
    world.alive.discard(name)
    world.run(0.8)
    assert not world.outcomes
    world.run(0.5)
    assert world.outcome.code == ErrorCode.NODE_LOST
    assert name in world.outcome.message
    assert world.plans[-1].path == ()


def test_node_that_comes_back_in_time():
    """A task given while a node is started again waits for it."""
    world = World(node_timeout=1.0, start_timeout=3.0)
    world.run(0.5)
    world.alive.discard("controller")
    world.run(2)
    world.start()
    world.run(1.5)
    assert not world.outcomes
    world.alive.add("controller")
    world.run(3)
    assert not world.outcomes


def test_node_that_was_never_there():
    world = World(start_timeout=2.0)
    world.alive.discard("segmenter")
    world.start()
    world.run(1.5)
    assert not world.outcomes
    world.run(1)
    assert world.outcome.code == ErrorCode.NODE_LOST
    assert "segmenter" in world.outcome.message


def test_camera_that_stops():
    world = World(image_timeout=2.0)
    world.start()
    world.run(1)
    world.plan()
    world.images = False
    world.run(2.5)
    assert world.outcome.code == ErrorCode.NO_IMAGE


def test_no_robot_state():
    world = World(image_timeout=2.0)
    world.joints = False
    world.start()
    world.run(2.5)
    assert world.outcome.code == ErrorCode.ARM_LOST


def test_stop_waits_and_then_plans_anew_without_counting():
    world = World(max_attempts=1)
    world.start()
    world.run(1)
    first = world.plan()
    world.core.stop(True, "a person", world.now)
    assert world.phase == Phase.STOPPED
    assert world.plans[-1].path == ()
    jobs = len(world.jobs)
    world.run(20)
    assert not world.outcomes
    assert len(world.jobs) == jobs
    world.core.stop(False, "", world.now)
    world.run(1)
    assert len(world.jobs) == jobs + 1
    second = world.plan()
    assert second.plan_id != first.plan_id
    world.run(1)
    world.control("done")
    world.run(1)
    world.verify(True)
    assert world.outcome.success


def test_stopped_task_can_time_out_and_be_cancelled():
    world = World()
    world.start(time_limit=5.0)
    world.core.stop(True, "a person", world.now)
    world.run(6)
    assert world.outcome.code == ErrorCode.TIMED_OUT
    assert "stopped" in world.outcome.message
    world.start()
    assert world.phase == Phase.STOPPED
    world.core.cancel(world.now)
    assert world.outcomes[-1].code == ErrorCode.CANCELLED


def test_retargeting_plans_anew_with_the_correction():
    world = World(max_attempts=1)
    world.start()
    world.run(1)
    world.plan()
    correction = Correction(world.now, "c1", "no, the blue one", "retarget", phrase="the blue one")
    world.core.correct(correction, world.now)
    assert world.plans[-1].path == ()
    world.run(1)
    assert world.jobs[-1].request.corrections == (correction,)
    assert world.jobs[-1].request.previous is not None
    assert not world.jobs[-1].request.holding
    world.plan()
    assert world.phase == Phase.EXECUTING


def test_refused_correction_changes_nothing():
    world = World()
    world.start()
    world.run(1)
    world.plan()
    refused = Correction(world.now, "c1", "hm", "retarget", phrase="hm", accepted=False)
    world.core.correct(refused, world.now)
    assert world.phase == Phase.EXECUTING


def test_something_in_the_hand_is_told_to_the_backend():
    world = World()
    world.start()
    world.run(1)
    taken = world.plan()
    world.run(1)
    world.gripper = 0.5
    world.core.correct(
        Correction(world.now, "c1", "do X instead", "task", phrase="do X"), world.now
    )
    world.run(1)
    request = world.jobs[-1].request
    assert request.instruction == "do X"
    assert request.holding
    assert request.previous is taken


def test_task_correction_without_a_task_starts_one():
    world = World()
    said = world.core.correct(Correction(0.0, "c", "put it back", "task", phrase="go"), world.now)
    assert said == "go"


def test_plan_is_renewed_before_it_expires():
    world = World(max_attempts=1, renew_before=3.0)
    world.start()
    world.run(1)
    world.plan()
    jobs = len(world.jobs)
    world.run(55)
    assert len(world.jobs) == jobs
    world.run(4)
    assert len(world.jobs) == jobs + 1
    assert not world.outcomes
