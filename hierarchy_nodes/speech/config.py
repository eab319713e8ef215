"""Parameters of the speech node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param, plugin
from hierarchy_nodes.speech.attention import AttentionOptions
from hierarchy_nodes.speech.endpointing import EndpointingOptions
from hierarchy_nodes.speech.spotter.options import SpotterOptions


@dataclass(frozen=True)
class SpeechConfig(EndpointingOptions, AttentionOptions, SpotterOptions):
    """How words are told from noise, and what recognises them."""

    recogniser: str = plugin(
        "commands", "hierarchy_nodes.speech.base:RECOGNISERS", "What turns an utterance into words"
    )
    least_loudness: float = param(
        -60.0, "Quieter utterances are not listened to, relative to full scale",
        unit="dB", low=-120.0, high=0.0,
    )  # fmt: skip
    most_waiting: int = param(
        8, "Utterances that wait for the recogniser before the oldest is given up", low=1, high=100
    )
