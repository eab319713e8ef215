"""Two planners, of which the second steps in for the first."""

import numpy as np
import pytest
from task_world import CAMERA

from hierarchy_nodes.errors import ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.geometry import IDENTITY, top_down
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.planner.fallback import WithFallback
from hierarchy_nodes.planner.vlm.model import ModelError
from hierarchy_nodes.types import Interaction, Plan, RgbdFrame, RobotState


class Scripted(PlannerBackend):
    """Plans, or raises what it was told to."""

    def __init__(self, name, error=None):
        super().__init__(None)
        self.name, self.error, self.asked, self.cancelled = name, error, 0, 0

    def plan(self, request):
        self.asked += 1
        if self.error is not None:
            raise self.error
        identity, place = f"{self.name}{self.asked}", Interaction.PLACE
        return Plan(identity, 0.0, "c", IDENTITY, "do it", place, (), (), 9.0, self.name)

    def repeats(self, subtask):
        return self.name == "second"

    def prepares(self, plan):
        return self.name == "second"

    def verify(self, plan, frame, robot):
        return self.name == "first"

    def cancel(self):
        self.cancelled += 1


@pytest.fixture
def request_():
    color, depth = np.zeros((3, 4, 3), np.uint8), np.ones((3, 4), np.float32)
    robot = RobotState(0.0, np.zeros(7), np.zeros(7), 1.0, top_down([0.4, 0.0, 0.4]))
    return PlanRequest("do it", RgbdFrame(0.0, "c", color, depth, CAMERA, IDENTITY), robot)


def pair(error=None, other=None):
    first, second = Scripted("first", error), Scripted("second", other)
    return WithFallback(first, second, "classical"), first, second


def test_the_second_is_not_asked_where_the_first_has_a_plan(request_):
    both, _, second = pair()
    assert both.plan(request_).source == "first"
    assert not second.asked


@pytest.mark.parametrize(
    "error",
    [
        ModelError("no server"),
        PlanRejected(ErrorCode.PLAN_REJECTED, "below the table"),
        PlanningError(ErrorCode.PLAN_REJECTED, "too wide"),
        PlanningError(ErrorCode.INSTRUCTION_NOT_UNDERSTOOD, "never learned"),
        RuntimeError("a bug"),
    ],
)
def test_the_second_takes_over_and_keeps_its_plan(request_, error):
    both, first, _ = pair(error)
    plan = both.plan(request_)
    assert plan.source == "second"
    assert both.prepares(plan)
    assert both.repeats("do it")
    assert both.verify(plan, request_.frame, request_.robot) is False
    first.error = None
    newer = both.plan(request_)
    assert newer.source == "first"
    assert not both.prepares(newer)
    assert not both.repeats("do it")
    assert both.prepares(plan)


@pytest.mark.parametrize(
    "error",
    [
        PlanningError(ErrorCode.OBJECT_NOT_FOUND, "no giraffe"),
        PlanningError(ErrorCode.OBJECT_AMBIGUOUS, "which one?"),
        TaskDone("it is there"),
    ],
)
def test_what_is_meant_for_the_person_gets_through(request_, error):
    both, _, second = pair(error)
    with pytest.raises(type(error), match=str(error)):
        both.plan(request_)
    assert not second.asked


def test_the_person_hears_of_both(request_):
    both, _, _ = pair(
        ModelError("no server"), PlanningError(ErrorCode.OBJECT_NOT_FOUND, "I see no cup.")
    )
    with pytest.raises(PlanningError, match=r"no cup.*'classical'.*no server") as caught:
        both.plan(request_)
    assert caught.value.code == ErrorCode.OBJECT_NOT_FOUND


def test_what_both_say_is_said_once(request_):
    unclear = PlanningError(ErrorCode.INSTRUCTION_NOT_UNDERSTOOD, "Try for example ...")
    both, _, _ = pair(unclear, unclear)
    with pytest.raises(PlanningError, match=r"^Try for example \.\.\.$"):
        both.plan(request_)


def test_what_nobody_waits_for_is_not_planned_anew(request_):
    both, first, second = pair(ModelError("cancelled"))

    def cancelled(request):
        both.cancel()
        raise first.error

    first.plan = cancelled
    with pytest.raises(ModelError):
        both.plan(request_)
    assert not second.asked
    assert (first.cancelled, second.cancelled) == (1, 1)
