"""One conversation: what was said before, what is still to be done, and who stopped the arm."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import Context, parse, seconds
from hierarchy_nodes.types import Correction, CorrectionKind, Gripper, LanguageMotion, Scope

Kind = CorrectionKind
MIN_SPEED, MAX_SPEED = 0.1, 2.0
# Kinds after which motions that were said before make no sense any more.
_CLEARING = (Kind.STOP, Kind.RETARGET, Kind.TASK)
# What can be taken back, and what is done instead of what only the planner can take back.
_UNDOABLE = (
    Kind.MOTION, Kind.GRIPPER, Kind.SPEED, Kind.PAUSE, Kind.RESUME, Kind.RETARGET, Kind.TASK,
)  # fmt: skip
_CONTRARY = {Kind.PAUSE: (Kind.RESUME, "going on"), Kind.RESUME: (Kind.PAUSE, "pausing")}
_REMEMBERED = 50


@dataclass
class _Pending:
    motion: LanguageMotion
    due: float
    said: float


class Session:
    """Turns utterances into corrections, and gives out their motions when their turn comes.

    Motions of one utterance follow one another ("left, then up"); a new utterance lets all that
    wait go first, so that none is lost and none makes the person wait.
    """

    def __init__(self, config: CorrectionConfig) -> None:
        self.config = config
        self.speed = 1.0
        self.stopped = False
        self.stop_is_ours = False
        self._last: LanguageMotion | None = None
        self._queue: deque[_Pending] = deque()
        # What was done and can be taken back, the newest last.
        self._done: deque[Correction] = deque(maxlen=_REMEMBERED)
        self._step = ""

    def hear(
        self, text: str, stamp: float, now: float, base_id: str, confidence: float = 1.0
    ) -> list[Correction]:
        """The corrections in `text`; their motions wait for :meth:`due`."""
        context = Context(self._last, self.speed)
        found = parse(
            text, stamp, self.config, base_id=base_id, confidence=confidence, context=context
        )
        if confidence < self.config.min_confidence:
            found = [_doubted(correction) for correction in found]
        noted = [self._note(correction, now) for correction in self._queued(found, now)]
        result: list[Correction] = []
        for correction in noted:
            if correction.kind == Kind.UNDO and correction.accepted:
                result += self._undo(correction, now)
                continue
            if correction.accepted and correction.kind in _UNDOABLE:
                self._done.append(correction)
            result.append(correction)
        return result

    def begin_step(self, subtask: str, now: float, base_id: str) -> list[Correction]:
        """Another thing is worked on: the speed that was meant for the last one is taken back."""
        before, self._step = self._step, subtask
        if not before or before == subtask:
            return []
        over = [c for c in self._done if c.kind == Kind.SPEED and c.scope == Scope.OBJECT]
        result = []
        for index, correction in enumerate(over):
            self._done.remove(correction)
            taken = replace(
                correction,
                stamp=now,
                correction_id=f"{base_id}.{index}",
                kind=Kind.UNDO,
                scope=Scope.NOW,
                undoes=correction.correction_id,
                answer=f'"{correction.text}" was meant for the last one',
            )
            result += [taken, *self._contrary(correction, taken, now)]
        return result

    def set_stop(self, stopped: bool) -> None:
        """The arm's latched stop, as it tells."""
        self.stopped = stopped
        if not stopped:
            self.stop_is_ours = False

    def stopped_by_another(self) -> None:
        """A stop that no words here caused: no words here may lift it."""
        self.stopped, self.stop_is_ours = True, False

    def stopped_by_words(self) -> None:
        """The stop that somebody else sent was a spoken one: words may lift it."""
        self.stop_is_ours = self.stop_is_ours or self.stopped

    @property
    def _words_lift_stop(self) -> bool:
        return self.stop_is_ours and self.config.resume_resets_stop

    def resets_stop(self, correction: Correction) -> bool:
        """Whether `correction` is to lift the latched stop: only one that words caused."""
        return correction.kind == Kind.RESUME and correction.accepted and self._words_lift_stop

    def due(self, now: float) -> list[LanguageMotion]:
        """The motions whose turn it is, valid from `now` on; none while the arm is stopped."""
        while self._queue and now - self._queue[0].said > self.config.max_hold:
            self._queue.popleft()
        ready = []
        while self._queue and not self.stopped and self._queue[0].due <= now:
            motion = self._queue.popleft().motion
            ready.append(replace(motion, valid_until=now + seconds(motion, self.config)))
        return ready

    @property
    def waiting(self) -> int:
        """How many motions have not been given out."""
        return len(self._queue)

    def _undo(self, said: Correction, now: float) -> list[Correction]:
        """Take back the newest thing that was done."""
        if not self._done:
            return [replace(said, accepted=False, answer="there is nothing that I could take back")]
        last = self._done.pop()
        taken = replace(said, undoes=last.correction_id, answer=f'taking back "{last.text}"')
        return [taken, *self._contrary(last, taken, now)]

    def _contrary(self, last: Correction, said: Correction, now: float) -> list[Correction]:
        """What makes up for `last`; nothing where it has not been begun, or the planner knows."""
        new = replace(said, correction_id=f"{said.correction_id}.1", undoes="")
        if last.motion is not None:
            waiting = [p for p in self._queue if p.motion.correction_id == last.correction_id]
            for pending in waiting:
                self._queue.remove(pending)
            if waiting:
                return []
            motion = _reversed(last.motion, new)
            found = replace(new, kind=last.kind, motion=motion, answer=motion.text)
            return self._queued([found], now)
        if last.kind == Kind.SPEED:
            before = self.speed
            self.speed = min(max(self.speed / last.speed_factor, MIN_SPEED), MAX_SPEED)
            answer = f"going at {self.speed:.0%} of full speed"
            factor = self.speed / before
            return [replace(new, kind=Kind.SPEED, speed_factor=factor, answer=answer)]
        if last.kind in _CONTRARY and not self.stopped:
            # To take back a pause must not lift a stop that came after it.
            kind, answer = _CONTRARY[last.kind]
            return [replace(new, kind=kind, answer=answer)]
        return []

    def _queued(self, found: list[Correction], now: float) -> list[Correction]:
        """Put the motions of one utterance in line."""
        if any(correction.kind in _CLEARING and correction.accepted for correction in found):
            self._queue.clear()
        for pending in self._queue:
            pending.due = min(pending.due, now)
        due = now
        for correction in found:
            if correction.motion is not None:
                self._queue.append(_Pending(correction.motion, due, now))
                due += seconds(correction.motion, self.config) - self.config.margin
        return found

    def _note(self, correction: Correction, now: float) -> Correction:
        """Remember what the next utterance may refer to, and tell what a stop delays."""
        if not correction.accepted:
            return correction
        if correction.kind == Kind.STOP:
            self.stop_is_ours = self.stop_is_ours or not self.stopped
            self.stopped = True
        elif correction.kind == Kind.SPEED:
            self.speed = min(max(self.speed * correction.speed_factor, MIN_SPEED), MAX_SPEED)
        elif correction.motion is not None and correction.motion.gripper == Gripper.KEEP:
            self._last = correction.motion
        elif correction.kind == Kind.RESUME and self.stopped and not self.stop_is_ours:
            answer = "the arm was stopped by somebody else: call reset_stop"
            return replace(correction, answer=answer, accepted=False)
        waits = correction.motion is not None or correction.kind in (Kind.RETARGET, Kind.TASK)
        if waits and self.stopped:
            how = 'say "continue"' if self._words_lift_stop else "call reset_stop"
            answer = f"{correction.answer}, once I may move again: {how}"
            return replace(correction, answer=answer)
        return correction


def _reversed(motion: LanguageMotion, said: Correction) -> LanguageMotion:
    """The way back."""
    grips = {Gripper.OPEN: Gripper.CLOSE, Gripper.CLOSE: Gripper.OPEN}
    return replace(
        motion,
        stamp=said.stamp,
        text=f"back from: {motion.text}",
        direction=-motion.direction,
        rotation=-motion.rotation,
        gripper=grips.get(motion.gripper, Gripper.KEEP),
        correction_id=said.correction_id,
    )


def _doubted(correction: Correction) -> Correction:
    """Not acted on, unless it says stop."""
    if correction.kind in (Kind.STOP, Kind.UNKNOWN):
        return correction
    answer = f"I am not sure that I heard you, please say it again: {correction.answer}?"
    return replace(correction, accepted=False, motion=None, answer=answer)
