"""The planner around a vision-language model, wherever that runs."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import replace

from hierarchy_nodes.errors import ConfigError, ErrorCode, PlanningError
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest
from hierarchy_nodes.planner.checking import holds_something
from hierarchy_nodes.planner.language import parse
from hierarchy_nodes.planner.learned import understood
from hierarchy_nodes.planner.vlm.asking import Memory, corrected, said, task_of
from hierarchy_nodes.planner.vlm.dialects import DIALECTS
from hierarchy_nodes.planner.vlm.dialects.base import Dialect, Question
from hierarchy_nodes.planner.vlm.grounding import ground
from hierarchy_nodes.planner.vlm.model import Model, ModelError, Picture, Request, picture
from hierarchy_nodes.planner.vlm.narration import Narration
from hierarchy_nodes.planner.vlm.options import VlmOptions
from hierarchy_nodes.planner.vlm.prompts import PromptText, Task, from_file, own
from hierarchy_nodes.planner.vlm.record import Recorder, Replay
from hierarchy_nodes.planner.vlm.reply import Reply, Status, quoted
from hierarchy_nodes.planner.vlm.verdict import SCHEMA, read_verdict
from hierarchy_nodes.types import LanguageMotion, Observation, Plan, RgbdFrame, RobotState

LOG = logging.getLogger(__name__)
REMEMBERED = 16
VERDICT_TOKENS = 256


class VlmPlanner(PlannerBackend):
    """Asks, reads, grounds. Subclasses say who answers.

    Args:
        options: See `VlmOptions`.
        model: Who answers; None with `options.replay`.
    """

    Options = VlmOptions
    options: VlmOptions

    def __init__(self, options: VlmOptions, model: Model | None) -> None:
        super().__init__(options)
        self.dialect: Dialect = DIALECTS.get(options.dialect)(
            from_file(options.prompt_file) if options.prompt_file else ""
        )
        if options.replay:
            model = Replay(options.replay)
        if model is None:
            raise ConfigError("A planner with a model needs a model, or 'replay'.")
        self._model = Recorder(model, options.record) if options.record else model
        self._more: OrderedDict[str, bool] = OrderedDict()
        self._narration = Narration()
        self._memory = Memory(options.remembered)
        self._verify = PromptText(own("verify"))

    # -- the executive's questions, to be answered at once --------------------------------------

    def subtasks(self, instruction: str) -> tuple[str, ...]:
        if not instruction.strip():
            raise PlanningError(ErrorCode.INSTRUCTION_EMPTY, "The instruction is empty.")
        try:
            steps = parse(instruction)
        except PlanningError:
            # The model may understand what the grammar does not.
            return (instruction,)
        return tuple(str(step) for step in steps) if len(steps) > 1 else (instruction,)

    def repeats(self, subtask: str) -> bool:
        if not self.dialect.tells_done:
            return False
        step = understood(subtask)
        return self._more.get(subtask, False) or (step is not None and step.target.every)

    def cancel(self) -> None:
        self._model.cancel()

    # -- slow -----------------------------------------------------------------------------------

    def plan(self, request: PlanRequest) -> Plan:
        told = said(request)
        step = corrected(request.instruction, told)
        # A model that was trained for one form of question is told nothing beside it.
        earlier = self._memory.earlier(request) if self.dialect.talks else []
        self._memory.note(request)
        task = task_of(request.instruction, told, request.holding, request.attempt, earlier)
        image = self._picture(request.frame)
        replies: list[Reply] = []
        for question in self.dialect.questions(task):
            reply = self._ask(question, image)
            if reply.status == Status.NOT_FOUND and question.key == "goal" and step is None:
                continue  # The words may name no goal.
            replies.append(reply)
            if reply.status != Status.PLAN:
                break
        reply = _joined(replies)
        self._more[request.instruction] = reply.more
        while len(self._more) > REMEMBERED:
            self._more.popitem(last=False)
        plan = ground(reply, request, step, self.options.grounding(), self._model.name)
        self._narration.begin(plan, reply.motion, request)
        return plan

    def verify(self, plan: Plan, frame: RgbdFrame, robot: RobotState) -> bool | None:
        if not (self.options.verify and self.dialect.talks):
            return None
        held = "something" if holds_something(robot) else "nothing"
        task = Task(plan.subtask or plan.instruction, situation=f"The gripper holds {held} now.")
        text = self._verify.fill(task)
        request = Request("verify", text, self._picture(frame), VERDICT_TOKENS, schema=SCHEMA)
        try:
            answer = self._model.ask(request)
        except ModelError as error:
            LOG.warning("No verdict on plan '%s': %s", plan.plan_id, error)
            return None
        verdict = None if answer.broken_off else read_verdict(answer.text)
        if verdict is None:
            LOG.info("The model abstains on plan '%s': %s", plan.plan_id, quoted(answer.text, 200))
        return verdict

    def motion(self, observation: Observation) -> LanguageMotion | None:
        return self._narration.motion(observation)

    # -- parts ----------------------------------------------------------------------------------

    def _picture(self, frame: RgbdFrame) -> Picture:
        return picture(frame.color, self.options.image_size, self.options.jpeg_quality)

    def _ask(self, question: Question, image: Picture) -> Reply:
        options = self.options
        answer = self._model.ask(
            Request(
                question.key,
                question.text,
                image,
                options.max_tokens,
                options.temperature,
                question.schema,
            )
        )
        size = image.width, image.height
        reply = self.dialect.read(
            answer.text, size, question.key, options.coordinates, options.axes
        )
        if answer.broken_off and not reply.truncated:
            # Whole by its form, but the model had more to say.
            reply = replace(reply, notes=(*reply.notes, "the limit of tokens ended the reply"))
        if reply.notes:
            LOG.warning("Reply of %s mended: %s", self._model.name, "; ".join(reply.notes))
        return reply


def _joined(replies: list[Reply]) -> Reply:
    """One reply from the answers to several questions; the first that is no plan ends it."""
    last = replies[-1]
    if len(replies) == 1 or last.status != Status.PLAN:
        return last
    return replace(
        last,
        path=tuple(p for r in replies for p in r.path),
        prompts=tuple(p for r in replies for p in r.prompts),
        areas=tuple(a for r in replies for a in r.areas),
        truncated=any(r.truncated for r in replies),
        notes=tuple(n for r in replies for n in r.notes),
    )
