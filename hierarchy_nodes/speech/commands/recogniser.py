"""Corrections by a network that knows their words; whatever else is said by Whisper's own decoder.

Whisper's tiny decoder writes what people usually write ("let's go" for "let go"). The words of
corrections are few, so its encoder, trained further on them, hears them better. Of its sentences,
the first one that the grammar of corrections understands is taken; where it is not sure of any,
Whisper writes down what it heard. It often imagines words of corrections in other talk, for which
the network listens again: "stop" that was not heard stops nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.parameters import param
from hierarchy_nodes.speech.audio import Sound
from hierarchy_nodes.speech.base import Heard
from hierarchy_nodes.speech.commands.decoding import BLANK, Sentence, Usage, sentences
from hierarchy_nodes.speech.hearing import hearing
from hierarchy_nodes.speech.whisper import WhisperOptions, WhisperRecogniser

OTHER = "<other>"
_LEFT_OUT = "\u2026"
# Sentences of the network that are looked at.
_MOST = 48


@dataclass(frozen=True)
class CommandOptions(WhisperOptions):
    """Which networks, and when the smaller one is believed."""

    words: str = param(
        "", "ONNX file of the words' network; empty: the one that comes with the package"
    )
    sure: float = param(
        0.1, "Probability of its least sure word that a sentence needs", low=0.0, high=1.0
    )
    usage: float = param(
        0.6, "What counts how people speak, beside what was heard", low=0.0, high=2.0
    )
    longer: float = param(
        1.5, "What each word counts for a sentence, as a logarithm", low=0.0, high=10.0
    )
    imagined: float = param(
        0.002, "A word that Whisper writes and the words' network thinks less likely was not said",
        low=0.0, high=1.0,
    )  # fmt: skip
    seen: float = param(
        1.0, "What each word counts more that names a thing in view", low=0.0, high=10.0
    )


class CommandRecogniser(WhisperRecogniser):
    """See the module."""

    Options = CommandOptions
    options: CommandOptions

    def __init__(self, options: CommandOptions) -> None:
        super().__init__(options)
        self._hearing = hearing(options.words)
        self._words = ("", *self._hearing.vocabulary)
        self._usage = Usage(self._words, self._hearing.pairs, self._hearing.shares, options.usage)

    def recognise(self, sound: Sound, names: Sequence[str] = ()) -> Heard:
        scores = self._hearing.scores(sound.samples)
        seen = {word for name in names for word in name.split()}
        # Worked out here, as it is asked for very often.
        worth = [self.options.longer + self.options.seen * (w in seen) for w in self._words]
        worth[BLANK] = 0.0

        def follows(before: int, word: int) -> float:
            return self._usage.follows(before, word) + worth[word]

        for sentence in sentences(scores, _MOST, follows):
            text = self._text(sentence)
            if sentence.sure >= self.options.sure and OTHER not in text and _understood(text):
                return Heard(text, sentence.mean)
        return self._without_imagined(super().recognise(sound, names), scores)

    def _without_imagined(self, heard: Heard, scores: NDArray[np.float32]) -> Heard:
        """Words that nobody said are left out; of what is left, then, nothing is sure."""
        likeliest = dict(zip(self._words, np.exp(scores.max(axis=0)).tolist(), strict=True))

        def kept(word: re.Match[str]) -> str:
            known = likeliest.get(word[0].lower().replace("'", ""), 1.0)
            return word[0] if known >= self.options.imagined else _LEFT_OUT

        text = re.sub("[a-zA-Z']+", kept, heard.text)
        return heard if text == heard.text else Heard(text, 0.0)

    def _text(self, sentence: Sentence) -> str:
        words = (self._words[number] for number in sentence.words)
        return " ".join(words).replace(" ,", ",").strip(", ")


def _understood(text: str) -> bool:
    return bool(text) and all(c.answer and c.kind != "unknown" for c in parse(text, 0.0))
