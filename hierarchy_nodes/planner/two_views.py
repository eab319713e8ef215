"""A planner that is shown the table from two sides."""

from __future__ import annotations

from dataclasses import replace

from hierarchy_nodes.errors import ErrorCode, PlanningError, PlanRejected
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.planner.views import apart, carry_plan, deepen
from hierarchy_nodes.types import LanguageMotion, Observation, Plan, RgbdFrame, RobotState

# Targets and goals of the two views farther apart than this are not the same thing: metres.
SAME = 0.08
# What may be seen from the other side.
HIDDEN = (ErrorCode.OBJECT_NOT_FOUND, ErrorCode.SCENE_EMPTY)


class TwoViews(PlannerBackend):
    """Asks another backend about both images and puts the answers together.

    The plan is always drawn on the first image. What is hidden there is carried over from the
    second; points that both paths show get their depth; and where the two mean different things,
    the person is asked.

    Args:
        inner: Ready-made.
    """

    def __init__(self, inner: PlannerBackend) -> None:
        super().__init__(inner.options)
        self._inner = inner

    def subtasks(self, instruction: str) -> tuple[str, ...]:
        return self._inner.subtasks(instruction)

    def repeats(self, subtask: str) -> bool:
        return self._inner.repeats(subtask)

    def prepares(self, plan: Plan) -> bool:
        return self._inner.prepares(plan)

    def plan(self, request: PlanRequest) -> Plan:
        if request.second is None:
            return self._inner.plan(request)
        frame, other = request.frame, request.second
        second = self._from_the_other_side(replace(request, frame=other, second=None))
        try:
            # Last, so that it is the one that the inner planner remembers.
            plan = self._inner.plan(request)
        except PlanningError as error:
            if second is None or error.code not in HIDDEN:
                raise
            carried = carry_plan(second, other, frame, request.robot)
            if carried is None:
                raise
            return carried
        if second is None or not second.path or not plan.path:
            return plan
        if second.interaction != plan.interaction or apart(plan, frame, second, other) > SAME:
            raise PlanningError(
                ErrorCode.OBJECT_AMBIGUOUS,
                f'From one side I take something else for "{request.instruction.strip()}" than '
                "from the other. Which thing do you mean?",
            )
        return deepen(plan, frame, second, other)

    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        return self._inner.verify(plan, frame, robot)

    def motion(self, observation: Observation) -> LanguageMotion | None:
        return self._inner.motion(observation)

    def cancel(self) -> None:
        self._inner.cancel()

    def _from_the_other_side(self, request: PlanRequest) -> Plan | None:
        """Its plan; None where it has none, which is said of the first view then."""
        try:
            return self._inner.plan(request)
        except (PlanningError, PlanRejected, TaskDone):
            return None
