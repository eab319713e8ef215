"""A microphone with a made-up person before it, on ``microphone/audio`` in real time."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from hierarchy_interfaces.msg import AudioChunk

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.learning.person.voice import Microphone, Place, Voice
from hierarchy_nodes.learning.stop.voices import EspeakSpeaker

FRAME = "microphone"


class SpokenMicrophone:
    """Publishes from a thread of its own between entry and exit, noise while nobody speaks.

    It takes the place of the node ``microphone``, which must not run beside it.

    Args:
        node: Publishes.
        voice: Speaks; default: a clear one in a quiet place.
        seed: Of the noise.
    """

    def __init__(self, node: Any, voice: Voice | None = None, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.voice = voice or Voice(EspeakSpeaker("en-us"), Place(), rng)
        self._chunks = node.create_publisher(AudioChunk, "microphone/audio", qos.AUDIO)
        self._microphone = Microphone(self.voice.place, rng, time.time())
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._publish, name="microphone", daemon=True)

    def __enter__(self) -> SpokenMicrophone:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(2.0)

    def say(self, text: str, voice: Voice | None = None) -> float:
        """Begin to say `text`; returns when its last word will be over, as `time.time()`.

        Args:
            voice: Somebody else, at the same place.
        """
        speech = (voice or self.voice).speak(text)
        with self._lock:
            return self._microphone.say(speech, time.time())

    def _publish(self) -> None:
        while not self._closing.wait(max(0.0, self._microphone.due - time.time())):
            with self._lock:
                block = self._microphone.read()
            self._chunks.publish(conversions.audio_to_msg(block, FRAME))
