"""Parameters of the stop spotter."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param


@dataclass(frozen=True)
class SpotterOptions:
    """Which network hears "stop", and when it is believed."""

    stop_weights: str = param(
        "", "ONNX file of the stop spotter; empty: the one that comes with the package"
    )
    stop_threshold: float = param(
        0.0, "Probability that counts as a stop; 0: as chosen in training", low=0.0, high=1.0
    )
    confirm_stop: bool = param(
        True, "Whether a larger network hears again what may be a stop, before it counts"
    )
    confirm_weights: str = param(
        "", "ONNX file of the network that confirms; empty: the one that comes with the package"
    )
    confirm_words: str = param(
        "", "ONNX file of the words' network that it hears through; empty: that of the package"
    )
    spot_stop: bool = param(True, 'Whether "stop" is heard while it is spoken, too')
