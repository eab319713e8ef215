"""Runs one task at a time from goal to result. Free of ROS and of threads; time is an argument.

A task goes waiting-for-image -> planning -> executing -> verifying -> (next step) -> done, and
back to waiting-for-image for a new plan: when the check fails, the controller fails, a correction
changes what is meant, the world is no longer as the plan took it to be, the plan is about to
expire, or the arm was stopped and released. The plan that runs is always ended (an empty plan)
before a new image is taken, so that the arm is at rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hierarchy_nodes.errors import ErrorCode, HierarchyError, PlanningError, PlanRejected
from hierarchy_nodes.monitor import Heartbeat
from hierarchy_nodes.planner.base import PlannerBackend, PlanRequest, TaskDone
from hierarchy_nodes.planner.checking import holds_something
from hierarchy_nodes.planner.config import PlannerConfig
from hierarchy_nodes.planner.lifelines import NEEDED, Lifelines
from hierarchy_nodes.planner.observed import Observed
from hierarchy_nodes.planner.resuming import Interrupted, Interruptions, SecondChance, resumes
from hierarchy_nodes.planner.retreat import in_the_way, retreat
from hierarchy_nodes.planner.task import (
    Outcome,
    Phase,
    PlanJob,
    Port,
    Task,
    VerifyJob,
    coded,
    empty_plan,
)
from hierarchy_nodes.planner.watch import PlanWatch
from hierarchy_nodes.types import (
    Correction,
    CorrectionKind,
    Gripper,
    Plan,
    RgbdFrame,
    RobotState,
    Scope,
    Segments,
)

# A second look may help with these.
LOOK_AGAIN = (ErrorCode.OBJECT_NOT_FOUND, ErrorCode.SCENE_EMPTY, ErrorCode.OBJECT_AMBIGUOUS)


class Executive:
    """The state machine. Call its methods from one thread, and `tick` a few times a second.

    Args:
        backend: Only its fast methods (`subtasks`, `repeats`) are called from here.
        config: Limits and timeouts.
        port: Where plans and jobs go.
        needed: Nodes without which a task cannot go on.
    """

    def __init__(
        self,
        backend: PlannerBackend,
        config: PlannerConfig,
        port: Port,
        needed: tuple[str, ...] = NEEDED,
    ) -> None:
        self._backend, self._config, self._port = backend, config, port
        self._lifelines = Lifelines(config, needed)
        self._observed = Observed(config)
        self._stopped = ""
        self._grasped: Plan | None = None
        self._tickets = 0
        self._interruptions = Interruptions()
        self._second_chance = SecondChance(config.second_chance)
        # Corrections that count from now on, and the one that began the present task.
        self._standing: list[Correction] = []
        self._switched_by = ""
        self.task: Task | None = None

    # -- what a person does -------------------------------------------------------------------

    def start(
        self,
        instruction: str,
        now: float,
        ended: Callable[[Outcome], None],
        time_limit: float = 0.0,
        max_attempts: int = 0,
    ) -> None:
        """Begin a task; the running one ends as preempted, and the arm holds in between.

        Words such as "go back to the old task" take up the one that was interrupted last.
        """
        again = self._second_chance.take(instruction)
        task, earlier = self.task, self._interruptions.recall(instruction) or again
        if task is not None:
            self._interruptions.remember(task.left)
            self._end(ErrorCode.PREEMPTED, f'A new task came: "{instruction.strip()}".', now)
        else:
            self._port.publish(empty_plan(now, "new task"))
        limit = time_limit if time_limit > 0 and np.isfinite(time_limit) else 0.0
        self.task = Task(
            instruction=instruction,
            started=now,
            deadline=now + (limit or self._config.time_limit),
            max_attempts=max_attempts or self._config.max_attempts,
            ended=ended,
        )
        self._begin(self.task, instruction, now, earlier)

    def cancel(self, now: float, why: str = "The task was cancelled.") -> None:
        """End the running task; the arm holds."""
        if self.task is not None:
            self._end(ErrorCode.CANCELLED, why, now)

    def correct(self, correction: Correction, now: float) -> str:
        """Take a correction; returns the instruction of a task to start if none is running.

        Another target or goal is one for the task that has just failed, which is tried again.
        """
        if not correction.accepted:
            return ""
        task = self.task
        if correction.kind == CorrectionKind.UNDO:
            self._take_back(correction.undoes, now)
        elif correction.kind == CorrectionKind.TASK:
            self._switched_by = correction.correction_id
            if task is None:
                return correction.phrase
            earlier = self._interruptions.recall(correction.phrase)
            self._interruptions.remember(task.left)
            task.instruction = correction.phrase
            task.deadline = now + (task.deadline - task.started)
            self._begin(task, correction.phrase, now, earlier)
        elif correction.kind == CorrectionKind.RETARGET:
            always = correction.scope == Scope.ALWAYS
            if always:
                self._standing.append(correction)
            if task is None:
                return self._second_chance.correct(now, *(() if always else (correction,)))
            if not always:
                task.corrections.append(correction)
            self._replan(task, now, counts=False)
        return ""

    def belongs_nowhere(self, correction: Correction) -> bool:
        """Whether it names another target or goal of a task, and there is none."""
        retargets = correction.accepted and correction.kind == CorrectionKind.RETARGET
        return self.task is None and retargets and correction.scope != Scope.ALWAYS

    def _take_back(self, correction_id: str, now: float) -> None:
        """A correction of target or goal, or the last change of the task, counts no longer."""
        task = self.task
        given = [self._standing] + ([task.corrections] if task is not None else [])
        for corrections in given:
            found = [c for c in corrections if c.correction_id == correction_id]
            for correction in found:
                corrections.remove(correction)
                if task is not None:
                    self._replan(task, now, counts=False)
        if task is not None and correction_id == self._switched_by:
            self._switched_by = ""
            earlier = self._interruptions.last()
            if earlier is None:
                self.cancel(now, "The task was taken back.")
            else:
                self._begin(task, earlier.instruction, now, earlier)

    # -- what the stack tells -----------------------------------------------------------------

    def see(self, frame: RgbdFrame, now: float) -> None:
        """The newest camera frame."""
        self._observed.frame = frame
        self._lifelines.see(now)

    def see_second(self, frame: RgbdFrame) -> None:
        """The newest frame of a second camera."""
        self._observed.second = frame

    def feel(self, robot: RobotState) -> None:
        """The newest robot state."""
        self._observed.feel(robot)
        if self.task is not None and self.task.watch is not None:
            self.task.watch.feel(robot)

    def track(self, segments: Segments) -> None:
        """The newest masks."""
        robot = self._observed.robot
        if self.task is not None and self.task.watch is not None and robot is not None:
            self.task.watch.track(segments, robot)

    def hear(self, node: str, now: float, state: str, plan_id: str = "", message: str = "") -> None:
        """A node's status. The controller's tells how the plan goes."""
        self._lifelines.hear(Heartbeat(node, state, message=message), now)
        task = self.task
        if node != "controller" or task is None or task.phase != Phase.EXECUTING:
            return
        if task.plan is None or plan_id != task.plan.plan_id:
            return
        task.accepted = True
        if state == "done":
            task.verify = self._config.verify and not task.aside
            if task.verify:
                self._look(task, now)
            else:
                self._finished(task, now)
        elif state == "failed":
            code, text = coded(message)
            self._retry(task, code, text, now)

    def stop(self, stopped: bool, reason: str, now: float) -> None:
        """The arm's latched stop. A task waits until it is released, then plans anew."""
        task = self.task
        if stopped:
            self._stopped = reason or "stop"
            if task is not None and task.phase != Phase.STOPPED:
                task.ticket = 0
                task.phase = Phase.STOPPED
                self._port.publish(empty_plan(now, "stopped"))
            return
        was, self._stopped = self._stopped, ""
        if was and task is not None:
            self._replan(task, now, counts=False)

    def planned(self, ticket: int, plan: Plan, now: float) -> None:
        """The backend's plan."""
        task = self.task
        if task is None or task.ticket != ticket or task.phase != Phase.PLANNING:
            return
        task.attempts += 1
        task.looks, task.aside = 0, False
        self._execute(task, plan, now)

    def plan_failed(self, ticket: int, error: Exception, now: float) -> None:
        """The backend has no plan, and why; or it says that nothing is left to do."""
        task = self.task
        if task is None or task.ticket != ticket or task.phase != Phase.PLANNING:
            return
        if isinstance(error, TaskDone):
            self._next_step(task, now)
        elif isinstance(error, PlanningError):
            task.looks += 1
            if error.code in LOOK_AGAIN and task.looks < self._config.looks:
                self._look(task, now)
            elif error.code not in LOOK_AGAIN or not self._go_aside(task, now):
                self._end(error.code, str(error), now)
        elif not isinstance(error, PlanRejected) or not self._go_aside(task, now):
            text = f"The planner backend failed: {type(error).__name__}: {error}"
            code = error.code if isinstance(error, HierarchyError) else ErrorCode.BACKEND_FAILED
            self._retry(task, code, text, now)

    def verified(self, ticket: int, done: bool | None, now: float) -> None:
        """Whether the image shows success; None counts as the controller's word."""
        task = self.task
        if task is None or task.ticket != ticket or task.phase != Phase.VERIFYING:
            return
        if done is False:
            text = f'The image shows that it is not done: "{task.subtask}".'
            self._retry(task, ErrorCode.NOT_VERIFIED, text, now)
        else:
            self._finished(task, now)

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Whatever is due."""
        task = self.task
        if task is None:
            return
        if now > task.deadline:
            code, why = task.last_error
            after = f" The last problem was: {why}" if code != ErrorCode.NONE else ""
            if self._stopped:
                after = f" The arm is stopped ({self._stopped})."
            limit = task.deadline - task.started
            self._end(ErrorCode.TIMED_OUT, f"Not done within {limit:.0f} s.{after}", now)
            return
        broken = self._lifelines.broken(task.started, now)
        if broken is not None:
            self._end(*broken, now)
        elif task.phase == Phase.WAITING or (task.phase == Phase.VERIFYING and not task.ticket):
            self._try_image(task, now)
        elif task.phase == Phase.EXECUTING and task.plan is not None:
            self._supervise(task, task.plan, now)

    def _supervise(self, task: Task, plan: Plan, now: float) -> None:
        """Plan anew where the plan that is being executed will not do any more."""
        late = now - task.executing_since > self._config.answer_timeout
        event = task.watch.event() if task.watch is not None else ""
        if not task.accepted and late:
            text = f"The controller did not start on plan '{plan.plan_id}'."
            self._retry(task, ErrorCode.CONTROLLER_LOST, text, now)
        elif event:
            task.events += 1
            self._replan(task, now, counts=False, why=event)
        elif now > plan.valid_until - self._config.renew_before:
            self._replan(task, now, counts=False)

    def _try_image(self, task: Task, now: float) -> None:
        """Take the newest frame if the arm was at rest when it was taken."""
        if self._observed.robot is None and now - task.waiting_since > self._config.image_timeout:
            self._end(ErrorCode.ARM_LOST, "No robot state (joint_states) has come.", now)
        seen = self._observed.at_rest(task.fresh_after)
        if seen is None:
            return
        frame, robot, second = seen
        self._tickets += 1
        task.ticket = self._tickets
        if task.verify and task.plan is not None:
            task.verify = False
            self._port.ask(VerifyJob(task.ticket, task.plan, frame, robot))
            return
        held = holds_something(robot) and self._grasped is not None
        previous = self._grasped if held else task.previous
        if task.counts:
            task.attempt += 1
        task.counts = False
        task.phase = Phase.PLANNING
        request = PlanRequest(
            instruction=task.subtask,
            frame=frame,
            robot=robot,
            corrections=(*self._standing, *task.corrections),
            attempt=max(task.attempt, 1),
            previous=previous,
            holding=held,
            second=second,
        )
        self._port.ask(PlanJob(task.ticket, request))

    # -- transitions --------------------------------------------------------------------------

    def _begin(
        self, task: Task, instruction: str, now: float, earlier: Interrupted | None = None
    ) -> None:
        """Split the instruction, or take what was left of it, and start on its first step."""
        task.steps = []
        try:
            if earlier is not None:
                task.instruction, task.steps = earlier.instruction, list(earlier.steps)
            elif resumes(instruction):
                raise PlanningError(
                    ErrorCode.INSTRUCTION_NOT_UNDERSTOOD,
                    "No task was interrupted that I could go back to.",
                )
            else:
                task.steps = list(self._backend.subtasks(instruction))
        except PlanningError as error:
            self._end(error.code, str(error), now)
            return
        task.corrections = list(earlier.corrections) if earlier is not None else []
        task.attempt = 0
        task.counts = True
        if task.plan is not None:
            self._replan(task, now)
        elif self._stopped:
            task.phase = Phase.STOPPED
        else:
            self._look(task, now)

    def _execute(self, task: Task, plan: Plan, now: float) -> None:
        task.plan, task.accepted = plan, False
        task.phase, task.executing_since = Phase.EXECUTING, now
        task.watch = None
        frame = self._observed.frame
        if plan.prompts and frame is not None and task.events < self._config.max_events:
            moved, off_path = self._config.moved, self._config.off_path
            task.watch = PlanWatch(plan, frame.intrinsics, moved, off_path)
        self._port.publish(plan)

    def _go_aside(self, task: Task, now: float) -> bool:
        """Move the arm to where it hides nothing; False where it is there, or was in vain."""
        frame, robot, aside = self._observed.frame, self._observed.robot, self._config.aside
        if frame is None or robot is None or task.aside or not in_the_way(robot, aside):
            return False
        task.aside = True
        self._execute(task, retreat(frame, robot, aside), now)
        return True

    def _finished(self, task: Task, now: float) -> None:
        """The plan is carried out, as far as anybody can tell."""
        ready = task.plan is not None and self._backend.prepares(task.plan)
        if task.aside:
            self._replan(task, now, counts=False)
        elif ready or self._backend.repeats(task.subtask):
            # Something is left, which is no second attempt.
            task.attempt = 0
            self._replan(task, now)
        else:
            self._next_step(task, now)

    def _next_step(self, task: Task, now: float) -> None:
        task.steps = task.steps[1:]
        task.corrections.clear()
        task.attempt, task.looks, task.counts, task.aside = 0, 0, True, False
        task.events = 0
        if not task.steps:
            self._end(ErrorCode.NONE, f"Done: {task.instruction.strip()}", now)
        else:
            self._replan(task, now)

    def _retry(self, task: Task, code: ErrorCode, text: str, now: float) -> None:
        task.last_error = (code, text)
        if task.attempt >= task.max_attempts:
            tries = f" ({task.attempt} attempts)" if task.attempt > 1 else ""
            self._end(code, text + tries, now)
        else:
            self._replan(task, now)

    def _replan(self, task: Task, now: float, counts: bool = True, why: str = "") -> None:
        """Bring the arm to rest, then plan the present step from a new image."""
        self._leave(task)
        task.verify = False
        task.counts = task.counts or counts
        task.looks = 0
        self._port.publish(empty_plan(now, f"replanning: {why}" if why else "replanning"))
        if self._stopped:
            task.phase, task.ticket = Phase.STOPPED, 0
        else:
            self._look(task, now)

    def _look(self, task: Task, now: float) -> None:
        """Wait for an image from now on, for a plan or for a check."""
        task.phase = Phase.VERIFYING if task.verify else Phase.WAITING
        task.fresh_after = task.waiting_since = now
        task.ticket = 0

    def _leave(self, task: Task) -> None:
        """Remember what the plan that ends now may have taken in the hand."""
        if task.plan is not None and not task.aside:
            task.previous = task.plan
            if any(p.gripper == Gripper.CLOSE for p in task.plan.path[1:]):
                self._grasped = task.plan
        task.plan = task.watch = None

    def _end(self, code: ErrorCode, message: str, now: float) -> None:
        task = self.task
        if task is None:
            return
        self._leave(task)
        self.task = None
        self._second_chance.ended(code, task.left, now)
        task.phase = Phase.DONE if code == ErrorCode.NONE else Phase.FAILED
        self._port.publish(empty_plan(now, str(task.phase), task.subtask))
        task.ended(Outcome(code, message, now - task.started, task.attempts))
