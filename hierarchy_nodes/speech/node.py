"""The speech node: sound in, transcripts out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from hierarchy_interfaces import msg
from std_msgs.msg import Bool, Empty

from hardware.base import AudioBlock
from hierarchy_nodes import conversions, qos
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.speech.audio import AudioError, Sound
from hierarchy_nodes.speech.base import Heard, Recogniser
from hierarchy_nodes.speech.config import SpeechConfig
from hierarchy_nodes.speech.listening import Listener
from hierarchy_nodes.speech.spotter.spotter import Spotted, StopSpotter
from hierarchy_nodes.types import SPOTTER

# Without sound for so many ticks, nothing is being said any more. Ticks, because a node that was
# held up finds the sound of that time still waiting.
TICK, QUIET = 0.25, 4


class SpeechNode(HierarchyNode):
    """Cuts the stream into utterances at once; one thread recognises them in their order."""

    config: SpeechConfig

    def __init__(self) -> None:
        super().__init__("speech", SpeechConfig)
        self._recogniser: Recogniser = self.make_plugin("recogniser")
        spotter = StopSpotter(self.config) if self.config.spot_stop else None
        self._listener = Listener(self.config, spotter)
        self._names: tuple[str, ...] = ()
        self._pool = ThreadPoolExecutor(1, "speech")
        self._waiting: deque[Future[None]] = deque()
        self._given_up = 0
        self._quiet = 0
        self._stop = self.create_publisher(Empty, "stop", qos.EVENT)
        self._transcripts = self.create_publisher(msg.Transcript, "transcript", qos.EVENT)
        self.create_subscription(msg.AudioChunk, "microphone/audio", self._on_audio, qos.AUDIO)
        self.create_subscription(msg.Segments, "segments", self._on_segments, qos.SENSOR)
        self.create_subscription(Bool, "microphone/talk", self._on_talk, qos.EVENT)
        self.create_timer(TICK, self._tick)
        self.report("idle", message="no sound yet")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _on_audio(self, message: msg.AudioChunk) -> None:
        self._quiet = 0
        samples = np.frombuffer(message.samples, np.int16)
        channels = max(1, int(message.channels))
        try:
            if len(samples) % channels:
                raise AudioError(f"{len(samples)} samples do not fill {channels} channels.")
            block = AudioBlock(
                conversions.time_from_msg(message.header.stamp),
                int(message.sample_rate),
                int(message.sequence),
                samples.reshape(-1, channels),
            )
            caught = self._listener.push(block)
        except AudioError as error:
            self.report("failed", level=msg.StackStatus.ERROR, message=str(error))
            return
        for stop in caught.stops:
            self._send_stop(stop)
        self._take(caught.utterances)
        self._tell()

    def _send_stop(self, stop: Spotted) -> None:
        """To the arm without a way round; the transcript lets words lift it."""
        self._stop.publish(Empty())
        at = conversions.time_to_msg(stop.at)
        words = msg.Transcript(text="stop", end=at, confidence=stop.probability, engine=SPOTTER)
        words.header.stamp = at
        self._transcripts.publish(words)

    def _on_segments(self, message: msg.Segments) -> None:
        self._names = tuple(segment.label for segment in message.segments)

    def _on_talk(self, message: Bool) -> None:
        self._listener.attention.press(message.data, self.now())

    def _take(self, utterances: Iterable[Sound]) -> None:
        for sound in utterances:
            while self._waiting and self._waiting[0].done():
                self._waiting.popleft()
            if len(self._waiting) >= self.config.most_waiting and self._waiting[0].cancel():
                self._waiting.popleft()
                self._given_up += 1
            self._waiting.append(self._pool.submit(self._work, sound, self._names))

    def _work(self, sound: Sound, names: tuple[str, ...]) -> None:
        """In the recogniser's thread."""
        try:
            heard = self._recogniser.recognise(sound, names)
        except Exception as error:  # noqa: BLE001 - told, and the next utterance may go better
            text = f"{type(error).__name__}: {error}"
            tell = partial(self.report, "failed", level=msg.StackStatus.ERROR, message=text)
            self.call_soon(tell)
            return
        if heard.text:
            self.call_soon(lambda: self._publish(sound, heard))

    def _publish(self, sound: Sound, heard: Heard) -> None:
        text = self._listener.admit(sound, heard)
        if not text:
            self.report("idle", message=f'not for me: "{heard.text}"')
            return
        transcript = msg.Transcript(
            end=conversions.time_to_msg(sound.end),
            text=text,
            confidence=heard.confidence,
            loudness=sound.loudness(),
            engine=self.config.recogniser,
        )
        transcript.header.stamp = conversions.time_to_msg(sound.start)
        self._transcripts.publish(transcript)
        self.report("idle", message=f'heard: "{text}"')

    def _tick(self) -> None:
        self._quiet += 1
        if self._quiet == QUIET:
            self._take(self._listener.flush())
            self._tell()

    def _tell(self) -> None:
        state = "busy" if self._listener.speaking else "idle"
        if state != self._status.state:
            losses = [
                f"{count} {what}"
                for count, what in (
                    (self._listener.lost, "blocks of sound lost"),
                    (self._given_up, "utterances given up"),
                )
                if count
            ]
            self.report(state, phase="listening", message=", ".join(losses))


def main() -> None:
    sys.exit(run(SpeechNode))


if __name__ == "__main__":
    main()
