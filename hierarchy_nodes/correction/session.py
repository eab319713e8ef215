"""One conversation: what was said before, what is still to be done, and who stopped the arm."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.grammar import Context, parse, seconds
from hierarchy_nodes.types import Correction, CorrectionKind, Gripper, LanguageMotion

MIN_SPEED, MAX_SPEED = 0.1, 2.0
# Kinds after which motions that were said before make no sense any more.
_CLEARING = (CorrectionKind.STOP, CorrectionKind.RETARGET, CorrectionKind.TASK)


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
        return [self._note(correction, now) for correction in self._queued(found, now)]

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

    def resets_stop(self, correction: Correction) -> bool:
        """Whether `correction` is to lift the latched stop: only one that words caused."""
        return (
            correction.kind == CorrectionKind.RESUME
            and correction.accepted
            and self.config.resume_resets_stop
            and self.stop_is_ours
        )

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
        if correction.kind == CorrectionKind.STOP:
            self.stop_is_ours = self.stop_is_ours or not self.stopped
            self.stopped = True
        elif correction.kind == CorrectionKind.SPEED:
            self.speed = min(max(self.speed * correction.speed_factor, MIN_SPEED), MAX_SPEED)
        elif correction.motion is not None:
            if correction.motion.gripper == Gripper.KEEP:
                self._last = correction.motion
            if self.stopped:
                return replace(correction, answer=f"{correction.answer}, once I may move again")
        elif correction.kind == CorrectionKind.RESUME and self.stopped and not self.stop_is_ours:
            answer = "the arm was stopped by somebody else: call reset_stop"
            return replace(correction, answer=answer, accepted=False)
        return correction


def _doubted(correction: Correction) -> Correction:
    """Not acted on, unless it says stop."""
    if correction.kind in (CorrectionKind.STOP, CorrectionKind.UNKNOWN):
        return correction
    answer = f"I am not sure that I heard you, please say it again: {correction.answer}?"
    return replace(correction, accepted=False, motion=None, answer=answer)
