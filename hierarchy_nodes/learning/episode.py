"""One evaluated episode in one process."""

from __future__ import annotations

from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.tasks import sample
from hierarchy_nodes.learning.evaluation import POLICIES, EpisodeResult, EpisodeSpec
from hierarchy_nodes.learning.stack import InProcessStack, StackOptions

# Things come to rest before the referee looks.
SETTLE = 1.0


def run_episode(spec: EpisodeSpec) -> EpisodeResult:
    """Draw the scene, let the stack do the task, ask the referee."""
    scene, task = sample(spec.family, spec.seed, spec.axis)
    cell = Cell(scene)
    try:
        referee = Referee(cell, task)
        planner, segmenter, controller = POLICIES[spec.policy]
        stack = InProcessStack(cell, StackOptions(planner, segmenter, controller))
        stack.run(0.5)
        outcome = stack.execute(task.instruction, spec.time_limit, spec.max_attempts)
        stack.run(SETTLE)
        verdict = referee.verdict()
        return EpisodeResult(
            spec.index,
            spec.seed,
            spec.family,
            spec.axis,
            instruction=task.instruction,
            success=verdict.success,
            reason=verdict.reason,
            claimed=outcome.success,
            code=outcome.code.name,
            message=outcome.message,
            attempts=outcome.attempts,
            duration=outcome.duration,
            latencies=vars(stack.latencies),
        )
    finally:
        cell.close()
