"""The correction node: words in, typed corrections out, a stop before anything else."""

from __future__ import annotations

import math
import sys
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from hierarchy_interfaces import msg
from rclpy.task import Future
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.rewording.base import Reworded, Rewording
from hierarchy_nodes.correction.session import Session
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.types import SPOTTER, Correction, CorrectionKind

QUEUE_PERIOD = 0.02
RESET_PERIOD = 0.1
RESET_TRIES = 30
# The speech node's own stop and its transcript come within so many seconds, in either order.
TOGETHER = 1.0
# A stop that was spotted belongs to the words spoken so near to it, seconds.
NEAR = 0.4


@dataclass(frozen=True)
class Utterance:
    """What was said, when, how surely it was heard, and how many were heard before."""

    text: str
    stamp: float
    confidence: float
    number: int


class CorrectionNode(HierarchyNode):
    """Publishes each correction, and what it asks of the arm at once.

    What the grammar does not know is thought about in a thread of its own.
    """

    config: CorrectionConfig

    def __init__(self) -> None:
        super().__init__("correction", CorrectionConfig)
        self._session = Session(self.config)
        self._rewording: Rewording = self.make_plugin("rewording")
        self._thinker = ThreadPoolExecutor(1, "rewording")
        self._names: tuple[str, ...] = ()
        self._heard = 0
        self._resets_left = 0
        self._asked: Future | None = None
        self._own_stops = 0
        # When the last stops were spoken that the speech node sent itself.
        self._spotted: deque[float] = deque(maxlen=20)
        # When somebody else sent a stop, and until when the speech node may send one.
        self._foreign_stop_at = self._spoken_stop_until = -math.inf
        self._stop = self.create_publisher(Empty, "stop", qos.EVENT)
        self._corrections = self.create_publisher(msg.Correction, "correction", qos.EVENT)
        self._motions = self.create_publisher(msg.LanguageMotion, "language_motion", qos.EVENT)
        self._reset = self.create_client(Trigger, "reset_stop")
        self.create_subscription(String, "correction/text", self._on_text, qos.EVENT)
        self.create_subscription(msg.Transcript, "transcript", self._on_transcript, qos.EVENT)
        self.create_subscription(msg.StopState, "stop_state", self._on_stop_state, qos.LATCHED)
        self.create_subscription(Empty, "stop", self._on_stop, qos.EVENT)
        self.create_subscription(msg.Plan, "plan", self._on_plan, qos.LATCHED)
        self.create_subscription(msg.Segments, "segments", self._on_segments, qos.SENSOR)
        self.create_timer(QUEUE_PERIOD, self._publish_due)
        self.create_timer(RESET_PERIOD, self._call_reset)

    def close(self) -> None:
        self._thinker.shutdown(wait=False, cancel_futures=True)

    def _on_text(self, message: String) -> None:
        self._hear(message.data, self.now())

    def _on_transcript(self, message: msg.Transcript) -> None:
        stamp = conversions.time_from_msg(message.header.stamp) or self.now()
        if message.engine == SPOTTER:
            # It has sent the stop itself, without a way round.
            if self.now() - self._foreign_stop_at < TOGETHER:
                self._session.stopped_by_words()
            else:
                self._spoken_stop_until = self.now() + TOGETHER
            self._spotted.append(stamp)
            told = False
        else:
            end = conversions.time_from_msg(message.end) or stamp
            told = any(stamp - NEAR < at < end + NEAR for at in self._spotted)
        self._hear(message.text, stamp, float(message.confidence), told)

    def _on_stop_state(self, message: msg.StopState) -> None:
        self._session.set_stop(message.stopped)
        if not message.stopped:
            self._resets_left = 0

    def _on_stop(self, _: Empty) -> None:
        if self._own_stops > 0:
            self._own_stops -= 1
        elif self.now() < self._spoken_stop_until:
            self._spoken_stop_until = -math.inf
        else:
            self._foreign_stop_at = self.now()
            self._session.stopped_by_another()
            self._resets_left = 0

    def _on_plan(self, message: msg.Plan) -> None:
        if message.path:
            base = uuid.uuid4().hex[:8]
            for correction in self._session.begin_step(message.subtask, self.now(), base):
                self._corrections.publish(conversions.correction_to_msg(correction))

    def _on_segments(self, message: msg.Segments) -> None:
        self._names = tuple(segment.label for segment in message.segments)

    def _hear(
        self, text: str, stamp: float, confidence: float = 1.0, stop_told: bool = False
    ) -> None:
        """Act on what was said; `stop_told`: the spotter has told the stop in it before."""
        base = uuid.uuid4().hex[:8]
        self._heard += 1
        found = self._session.hear(text, stamp, self.now(), base, confidence)
        if stop_told:
            found = [c for c in found if c.kind != CorrectionKind.STOP]
        self._act(found)
        if text.strip() and found and all(c.kind == CorrectionKind.UNKNOWN for c in found):
            said = Utterance(text, stamp, confidence, self._heard)
            self._thinker.submit(self._think, said, self._names)

    def _think(self, said: Utterance, names: Sequence[str]) -> None:
        """In the thinker's thread."""
        try:
            meant = self._rewording.reword(said.text, names)
        except Exception as error:  # noqa: BLE001 - told; the grammar's own answer stands
            tell = partial(self.report, "idle", level=msg.StackStatus.WARN, message=str(error))
            self.call_soon(tell)
            return
        if meant is not None:
            self.call_soon(partial(self._understand, said, meant))

    def _understand(self, said: Utterance, meant: Reworded) -> None:
        """Act on it, unless the moment is over."""
        if self._heard != said.number or self.now() - said.stamp > self.config.max_thought:
            message = f'"{said.text}" would have been "{meant.text}", but it is too late for that'
            self.report("idle", message=message)
            return
        confidence = said.confidence * meant.confidence
        base = uuid.uuid4().hex[:8]
        found = self._session.hear(meant.text, said.stamp, self.now(), base, confidence)
        self._act(
            replace(c, text=said.text, answer=f'taking that as "{meant.text}": {c.answer}')
            for c in found
        )

    def _act(self, corrections: Iterable[Correction]) -> None:
        """Publish them, a stop before anything else."""
        found = list(corrections)
        if any(correction.kind == CorrectionKind.STOP for correction in found):
            self._stop.publish(Empty())
            self._own_stops += 1
            self._resets_left = 0
        for correction in found:
            self._corrections.publish(conversions.correction_to_msg(correction))
            if self._session.resets_stop(correction):
                self._resets_left = RESET_TRIES
        self._call_reset()
        self._publish_due()
        if found:
            self.report("idle", message="; ".join(correction.answer for correction in found))

    def _publish_due(self) -> None:
        for motion in self._session.due(self.now()):
            self._motions.publish(conversions.motion_to_msg(motion))

    def _call_reset(self) -> None:
        """Ask until the arm agrees: it refuses while it is still braking."""
        if self._resets_left == 0 or not (self._asked is None or self._asked.done()):
            return
        self._resets_left -= 1
        if self._reset.service_is_ready():
            self._asked = self._reset.call_async(Trigger.Request())
            self._asked.add_done_callback(self._on_reset)
        elif self._resets_left == 0:
            self.report("idle", message="cannot go on: nobody offers reset_stop")

    def _on_reset(self, answered: Future) -> None:
        answer = answered.result()
        if answer is not None and answer.success:
            self._resets_left = 0
        elif answer is not None and self._resets_left == 0:
            self.report("idle", message=f"cannot go on: {answer.message}")


def main() -> None:
    sys.exit(run(CorrectionNode))


if __name__ == "__main__":
    main()
