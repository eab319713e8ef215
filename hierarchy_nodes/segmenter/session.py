"""One plan at a time: which image to start it on, and what to say about it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hierarchy_nodes.segmenter.base import SegmenterBackend
from hierarchy_nodes.types import Plan, RgbdFrame, RobotState, Segments


class History:
    """The newest frames and robot states, to go back to the moment that a plan was made from.

    Args:
        seconds: How far back frames are kept.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._frames: deque[RgbdFrame] = deque()
        self._states: deque[RobotState] = deque()

    def add_state(self, state: RobotState) -> None:
        self._states.append(state)
        self._trim(self._states)

    def add_frame(self, frame: RgbdFrame) -> None:
        self._frames.append(frame)
        self._trim(self._frames)

    def frame(self, stamp: float) -> RgbdFrame | None:
        """The frame nearest to `stamp`."""
        return min(self._frames, key=lambda frame: abs(frame.stamp - stamp), default=None)

    def robot(self, stamp: float) -> RobotState | None:
        """The robot state nearest to `stamp`."""
        return min(self._states, key=lambda state: abs(state.stamp - stamp), default=None)

    def _trim(self, items: deque) -> None:
        # The newest is kept in any case.
        while len(items) > 1 and items[-1].stamp - items[0].stamp > self._seconds:
            items.popleft()


@dataclass(frozen=True)
class Job:
    """Work for the backend: the running plan, the image it starts on, and the newest image."""

    plan: Plan
    start: tuple[RgbdFrame, RobotState]
    newest: tuple[RgbdFrame, RobotState]


class Session:
    """Runs a backend on jobs, of which any may be skipped."""

    def __init__(self, backend: SegmenterBackend) -> None:
        self._backend = backend
        self._running: tuple[str, float] | None = None

    def work(self, job: Job) -> list[Segments]:
        """What is to be published: for a new plan the masks on its own image come first."""
        results = []
        key = (job.plan.plan_id, job.plan.stamp)
        if key != self._running:
            results.append(self._backend.reset(job.plan, *job.start))
            self._running = key
        if job.newest[0].stamp > job.start[0].stamp or not results:
            results.append(self._backend.track(*job.newest))
        return results


def lost_labels(segments: Segments) -> list[str]:
    """What is lost, e.g. ``target 'red block'``."""
    return [f"{s.role} '{s.label}'" for s in segments.segments if s.lost]
