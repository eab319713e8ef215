"""Two planners: where the first one breaks down or its plan is refused, the second one plans."""

from __future__ import annotations

import logging
from collections import OrderedDict

from hierarchy_nodes.errors import ErrorCode, HierarchyError, PlanningError
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.types import LanguageMotion, Observation, Plan, RgbdFrame, RobotState

LOG = logging.getLogger(__name__)
# Anything else is meant for the person, who would hear the same from the second one.
TAKES_OVER = (
    ErrorCode.BACKEND_FAILED,
    ErrorCode.PLAN_REJECTED,
    ErrorCode.INSTRUCTION_NOT_UNDERSTOOD,
    ErrorCode.INTERNAL,
)
_REMEMBERED = 50


class WithFallback(PlannerBackend):
    """Plans are asked of `first`; each plan stays with whom it is from.

    Args:
        first, second: Ready-made.
        name: Of the second one, for messages.
    """

    def __init__(self, first: PlannerBackend, second: PlannerBackend, name: str) -> None:
        super().__init__(first.options)
        self._first, self._second, self._name = first, second, name
        # Plan to who made it; and who made the newest.
        self._makers: OrderedDict[str, PlannerBackend] = OrderedDict()
        self._last = first
        self._cancelled = False

    def subtasks(self, instruction: str) -> tuple[str, ...]:
        return self._first.subtasks(instruction)

    def repeats(self, subtask: str) -> bool:
        return self._last.repeats(subtask)

    def prepares(self, plan: Plan) -> bool:
        return self._maker(plan).prepares(plan)

    def plan(self, request: PlanRequest) -> Plan:
        self._cancelled = False
        self._last = self._first
        try:
            plan = self._first.plan(request)
        except TaskDone:
            raise
        except Exception as error:
            code = error.code if isinstance(error, HierarchyError) else ErrorCode.INTERNAL
            if self._cancelled or code not in TAKES_OVER:
                raise
            self._last = self._second
            plan = self._instead(request, error)
            LOG.warning("'%s' plans instead: %s", self._name, error)
        self._makers[plan.plan_id] = self._last
        while len(self._makers) > _REMEMBERED:
            self._makers.popitem(last=False)
        return plan

    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        return self._maker(plan).verify(plan, frame, robot)

    def motion(self, observation: Observation) -> LanguageMotion | None:
        return self._maker(observation.plan).motion(observation)

    def cancel(self) -> None:
        self._cancelled = True
        self._first.cancel()
        self._second.cancel()

    def _instead(self, request: PlanRequest, why: Exception) -> Plan:
        try:
            return self._second.plan(request)
        except PlanningError as error:
            if str(error) == str(why):
                raise
            text = f"{error} (I am the planner '{self._name}'; the usual one failed: {why})"
            raise PlanningError(error.code, text) from why

    def _maker(self, plan: Plan) -> PlannerBackend:
        return self._makers.get(plan.plan_id, self._first)
