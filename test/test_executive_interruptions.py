"""What cuts into a running task: people, time, silence, stops and corrections."""

import pytest
from task_world import World

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.planner.lifelines import NEEDED
from hierarchy_nodes.planner.task import Phase
from hierarchy_nodes.types import Correction

UNKNOWN = PlanningError(ErrorCode.INSTRUCTION_NOT_UNDERSTOOD, "no zorp")


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


def task(text):
    return Correction(0.0, "c1", text, "task", phrase=text)


def test_the_old_task_is_taken_up_where_it_was():
    world = World()
    world.start("first then second then third")
    world.do()
    world.run(1)
    world.plan()
    world.start("something else")
    assert world.outcomes[0].code == ErrorCode.PREEMPTED
    world.do()
    assert world.outcomes[1].success
    world.start("now go back to the old task")
    assert world.core.task.instruction == "first then second then third"
    assert world.core.task.steps == ["second", "third"]
    world.do()
    world.do()
    assert world.outcomes[2].success
    assert "first then second" in world.outcomes[2].message


def test_corrections_switch_to_and_fro():
    world = World()
    world.start("old")
    world.run(1)
    world.plan()
    world.core.correct(task("new"), world.now)
    assert world.core.task.instruction == "new"
    world.run(1)
    world.plan()
    world.core.correct(task("go back to the old task"), world.now)
    assert world.core.task.instruction == "old"
    world.core.correct(task("continue with the other task"), world.now)
    assert world.core.task.instruction == "new"
    world.do()
    assert world.outcome.success
    assert len(world.outcomes) == 1
    world.start("finish the first task")
    assert world.core.task.instruction == "old"


def test_without_an_interrupted_task_there_is_none_to_go_back_to():
    world = World()
    world.start("resume the old task")
    assert world.outcome.code == ErrorCode.INSTRUCTION_NOT_UNDERSTOOD
    assert "No task was interrupted" in world.outcome.message
    world.start("a")
    world.core.cancel(world.now)
    world.start("go back to the previous task")
    assert world.outcomes[-1].code == ErrorCode.INSTRUCTION_NOT_UNDERSTOOD


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


def retarget(phrase, **more):
    return Correction(0.0, f"c-{phrase}", f"no, {phrase}", "retarget", phrase=phrase, **more)


def failed(world, instruction):
    world.start(instruction)
    world.run(1)
    world.core.plan_failed(world.jobs[-1].ticket, UNKNOWN, world.now)
    assert world.outcomes[-1].code == UNKNOWN.code


def test_a_task_that_failed_is_tried_again_with_what_is_meant():
    world = World()
    failed(world, "first then second")
    meant = retarget("the blue one")
    assert world.core.correct(meant, world.now) == "first then second"
    world.start("first then second")
    world.run(1)
    assert world.jobs[-1].request.instruction == "first"
    assert world.jobs[-1].request.corrections == (meant,)
    assert world.core.task.steps == ["first", "second"]


def test_of_a_task_that_failed_what_was_left_is_tried_again():
    world = World()
    world.start("first then second")
    world.do()
    world.run(1)
    world.core.plan_failed(world.jobs[-1].ticket, UNKNOWN, world.now)
    for phrases in (["the red one"], ["the red one", "the blue one"]):
        assert world.core.correct(retarget(phrases[-1]), world.now) == "first then second"
        world.start("first then second")
        world.run(1)
        assert world.jobs[-1].request.instruction == "second"
        assert [c.phrase for c in world.jobs[-1].request.corrections] == phrases
        world.core.plan_failed(world.jobs[-1].ticket, UNKNOWN, world.now)


def test_of_a_task_that_nobody_understood_nothing_is_tried_again():
    world = World()
    world.start(" ")
    assert world.outcomes[-1].code == ErrorCode.INSTRUCTION_EMPTY
    assert world.core.correct(retarget("the red one"), world.now) == ""
    # Neither is the task that it took the place of.
    world.start("old")
    world.run(1)
    world.core.correct(task(" "), world.now)
    assert world.outcomes[-1].code == ErrorCode.INSTRUCTION_EMPTY
    assert world.core.correct(retarget("the red one"), world.now) == ""


def test_what_always_counts_begins_another_try_too():
    world = World()
    failed(world, "go")
    meant = retarget("the blue one", scope="always")
    assert world.core.correct(meant, world.now) == "go"
    world.start("go")
    world.run(1)
    assert world.jobs[-1].request.corrections == (meant,)


@pytest.mark.parametrize("later", ["much later", "done", "cancelled", "another", "never"])
def test_nothing_moves_for_what_is_meant_where_no_task_failed(later):
    world = World()
    if later == "much later":
        failed(world, "go")
        world.run(61)
    elif later == "done":
        failed(world, "go")
        world.start("other")
        world.do()
        assert world.outcomes[-1].success
    elif later == "cancelled":
        world.start("go")
        world.core.cancel(world.now)
    elif later == "another":
        failed(world, "go")
        assert world.core.correct(retarget("the red one"), world.now) == "go"
        world.start("other")
        world.run(1)
        assert world.jobs[-1].request.corrections == ()
        world.core.cancel(world.now)
    assert world.core.correct(retarget("the blue one"), world.now) == ""


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


def undo(correction_id: str) -> Correction:
    return Correction(0.0, "u", "undo that", "undo", undoes=correction_id)


def test_another_target_is_taken_back():
    world = World(max_attempts=1)
    world.start()
    world.run(1)
    world.plan()
    for name in ("c1", "c2"):
        correction = Correction(world.now, name, "no", "retarget", phrase=f"the {name}")
        world.core.correct(correction, world.now)
    world.core.correct(undo("c2"), world.now)
    world.run(1)
    assert [c.correction_id for c in world.jobs[-1].request.corrections] == ["c1"]
    world.plan()
    world.core.correct(undo("somebody else's"), world.now)
    assert world.phase == Phase.EXECUTING


def test_another_task_is_taken_back():
    world = World()
    world.start("old")
    world.run(1)
    world.plan()
    world.core.correct(task("new"), world.now)
    world.core.correct(undo(task("new").correction_id), world.now)
    assert world.core.task.instruction == "old"
    world.do()
    assert world.outcome.success


def test_what_is_always_meant_counts_for_later_tasks_too():
    world = World()
    always = Correction(0.0, "c1", "always use the other plate", "retarget", scope="always")
    world.core.correct(always, world.now)
    for _ in range(2):
        world.start()
        world.run(1)
        assert world.jobs[-1].request.corrections == (always,)
        world.do()
    world.core.correct(undo("c1"), world.now)
    world.start()
    world.run(1)
    assert world.jobs[-1].request.corrections == ()
