"""Parameters of the microphone node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class MicrophoneConfig:
    """Which microphone, and when it counts as gone."""

    driver: str = plugin("sounddevice", "hardware.base:MICROPHONES", "Microphone driver")
    timeout: float = param(
        1.0, "A microphone that is silent for so long has stopped", unit="s", low=0.05, high=10.0
    )
    reconnect_period: float = param(
        1.0, "Time between attempts to reach it again", unit="s", low=0.1, high=60.0
    )
    wait_for_listener: bool = param(True, "Begin to listen once somebody wants to hear it")
    frame_id: str = param("microphone", "Frame in the header")
