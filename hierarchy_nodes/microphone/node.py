"""The microphone node: a driver's blocks of sound, on ``microphone/audio``."""

from __future__ import annotations

import sys
import threading

from hierarchy_interfaces.msg import AudioChunk, StackStatus

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.microphone.config import MicrophoneConfig
from hierarchy_nodes.microphone.source import MicrophoneSource
from hierarchy_nodes.node_base import HierarchyNode, run

REPORT_PERIOD = 0.5
# Between attempts at a device that is gone.
IDLE = 0.05


class MicrophoneNode(HierarchyNode):
    """A thread of its own reads the driver."""

    config: MicrophoneConfig

    def __init__(self) -> None:
        super().__init__("microphone", MicrophoneConfig)
        config = self.config
        self._chunks = self.create_publisher(AudioChunk, "microphone/audio", qos.AUDIO)
        self._source = MicrophoneSource(
            self.make_plugin("driver"), config.timeout, config.reconnect_period
        )
        self._closing, self._wanted = threading.Event(), not config.wait_for_listener
        self._thread = threading.Thread(target=self._read, name="microphone", daemon=True)
        self._thread.start()
        self.create_timer(REPORT_PERIOD, self._tell)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(2.0)
        self._source.close()

    def _read(self) -> None:
        while not self._wanted:
            if self._closing.wait(IDLE):
                return
            self._wanted = self._chunks.get_subscription_count() > 0
        while not self._closing.is_set():
            block = self._source.poll(self.now())
            if block is None:
                self._closing.wait(IDLE)
                continue
            self._chunks.publish(conversions.audio_to_msg(block, self.config.frame_id))

    def _tell(self) -> None:
        health = self._source.health()
        if not self._wanted:
            self.report("idle", message="nobody listens yet")
        elif health.ok:
            state = "done" if health.ended else "busy"
            self.report(state, phase="listening", message=health.message)
        else:
            self.report("failed", level=StackStatus.ERROR, message=health.message)


def main() -> None:
    sys.exit(run(MicrophoneNode))


if __name__ == "__main__":
    main()
