"""The task's state machine: steps, checks, attempts and failures."""

from dataclasses import replace

from task_world import World

from hierarchy_nodes.errors import ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.planner.base import TaskDone
from hierarchy_nodes.planner.task import Phase, PlanJob, VerifyJob
from hierarchy_nodes.types import Gripper, Interaction


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


def test_what_only_clears_the_hand_is_followed_by_a_plan_for_the_step():
    world = World(max_attempts=1)
    world.start()
    world.run(1)
    world.backend.clears.add(world.plan().plan_id)
    world.run(5)
    world.control("done")
    world.run(1)
    world.verify(True)
    assert not world.outcomes
    world.do()
    assert world.outcome.success
    assert world.outcome.attempts == 2


def test_without_checks_the_controllers_word_is_taken():
    world = World(verify=False)
    world.start("first then second")
    for _ in range(2):
        world.run(1)
        world.plan()
        world.run(5)
        world.control("done")
    assert world.outcome.success
    assert all(isinstance(job, PlanJob) for job in world.jobs)


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


def test_an_arm_that_may_hide_something_goes_aside_once():
    world = World(looks=2, aside=[0.3, -0.2, 0.4])
    missing = PlanningError(ErrorCode.OBJECT_NOT_FOUND, "I cannot see a giraffe.")

    def look_in_vain():
        for _ in range(2):
            world.run(1)
            world.core.plan_failed(world.jobs[-1].ticket, missing, world.now)

    world.start()
    look_in_vain()
    assert world.phase == Phase.EXECUTING
    aside = world.plans[-1]
    assert aside.interaction == Interaction.NONE
    assert all(point.gripper == Gripper.KEEP for point in aside.path)
    jobs = len(world.jobs)
    world.run(1)
    world.control("done")
    assert not [job for job in world.jobs[jobs:] if isinstance(job, VerifyJob)]
    look_in_vain()
    assert world.outcome.code == ErrorCode.OBJECT_NOT_FOUND
    assert world.outcome.attempts == 0


def test_a_plan_that_makes_no_sense_is_drawn_anew_with_the_arm_aside():
    world = World(max_attempts=2, aside=[0.3, -0.2, 0.4])
    senseless = PlanRejected(ErrorCode.PLAN_REJECTED, "its path never closes the gripper")
    world.start()
    world.run(1)
    world.core.plan_failed(world.jobs[-1].ticket, senseless, world.now)
    assert world.phase == Phase.EXECUTING
    world.run(1)
    world.control("done")
    for attempt in (1, 2):
        world.run(1)
        request = world.jobs[-1].request
        assert (request.attempt, request.previous) == (attempt, None)
        world.core.plan_failed(world.jobs[-1].ticket, senseless, world.now)
    assert world.outcome.code == ErrorCode.PLAN_REJECTED
    assert "never closes" in world.outcome.message


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


def test_the_second_cameras_image_of_the_same_moment_goes_along():
    world = World()
    world.start()
    world.run(1)
    assert world.jobs[-1].request.second is None
    world.core.cancel(world.now)
    world.start()
    old = world.frame()
    world.now += 2.0
    world.core.see_second(old)
    world.run(1)
    assert world.jobs[-1].request.second is None
    world.core.cancel(world.now)
    world.start()
    world.core.see_second(replace(world.frame(), stamp=world.now + 0.2))
    world.run(1)
    asked = world.jobs[-1].request
    assert abs(asked.second.stamp - asked.frame.stamp) < 0.3
