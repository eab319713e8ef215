"""Hears "stop" while somebody is still speaking: no end of the utterance is waited for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.audio import RATE, Samples, Sound
from hierarchy_nodes.speech.spotter.features import BANDS, FRAME, HOP, SILENT, log_mel
from hierarchy_nodes.speech.spotter.options import SpotterOptions

# After a stop was heard, the rest of the same word is not another one: frames.
_AGAIN = round(0.8 * RATE / HOP)


@dataclass(frozen=True)
class Spotted:
    """When it was heard (of the newest sample that was needed), and how sure that is."""

    at: float
    probability: float


class StopSpotter:
    """Feed it a stream; it keeps what it needs of the past.

    Raises:
        ConfigError: No such file, or no spotter in it.
    """

    def __init__(self, options: SpotterOptions) -> None:
        path = Path(options.stop_weights).expanduser() if options.stop_weights else default_path()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            context, self._count = int(facts["context"]), int(facts["count"])
            self._threshold = options.stop_threshold or float(facts["threshold"])
            self._session = onnxruntime.InferenceSession(
                str(path), settings, providers=["CPUExecutionProvider"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"stop spotter: {path} cannot be used: {error}") from error
        except Exception as error:  # onnxruntime has exceptions of its own for every case
            raise ConfigError(f"stop spotter: {path} is no network: {error}") from error
        memory = [i for i in self._session.get_inputs() if i.name.startswith("past_")]
        if not memory:
            raise ConfigError(
                f"stop spotter: {path} is not made for a stream; make it anew: hierarchy train stop"
            )
        self._past = {i.name: np.zeros(i.shape, np.float32) for i in memory}
        # Nothing was said before the first piece.
        self._hear(np.full((context - 1, BANDS), SILENT, np.float32))
        self._silence = self._past
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next piece begins a new stream."""
        self._rest: Samples = np.zeros(0, np.float32)
        self._past = self._silence
        # Frames in a row above the threshold, and since the last stop.
        self._sure, self._since = 0, _AGAIN

    def push(self, sound: Sound) -> list[Spotted]:
        """What was heard in this piece."""
        self._rest = np.concatenate([self._rest, sound.samples])
        fresh = log_mel(self._rest)
        if not len(fresh):
            return []
        # Where the last of the new frames ends.
        used = (len(fresh) - 1) * HOP + FRAME
        end = sound.end - (len(self._rest) - used) / RATE
        self._rest = self._rest[len(fresh) * HOP :]
        found = []
        for index, logit in enumerate(self._hear(fresh)):
            probability = float(1 / (1 + np.exp(-logit)))
            self._sure = self._sure + 1 if probability >= self._threshold else 0
            self._since += 1
            if self._sure >= self._count and self._since > _AGAIN:
                self._since = 0
                at = end - (len(fresh) - 1 - index) * HOP / RATE
                found.append(Spotted(at, probability))
        return found

    def _hear(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(T,)`` logits of ``(T, BANDS)`` new frames."""
        logits, *now = self._session.run(None, {"frames": frames[None], **self._past})
        self._past = dict(zip(self._past, now, strict=True))
        answers: NDArray[np.float32] = logits[0]
        return answers


def default_path() -> Path:
    """The weights that come with the package."""
    return share_folder() / "config" / "weights" / "stop.onnx"
