"""Parameters of the console node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes import monitor
from hierarchy_nodes.parameters import param


@dataclass(frozen=True)
class ConsoleConfig:
    """What the operator gets to see."""

    rate_hz: float = param(5.0, "Overlay images a second", unit="Hz", low=0.1, high=60.0)
    scale: int = param(2, "Enlargement of the camera image", low=1, high=4)
    quality: int = param(80, "JPEG quality of the overlay", low=10, high=100)
    always: bool = param(False, "Draw the overlay even if nobody subscribes to it")
    reliable_images: bool = param(False, "Subscribe to images reliably")
    expected: list[str] = param(
        [], "Nodes that must be running; one that was never heard is reported as missing"
    )
    node_timeout: float = monitor.node_timeout()
    grace: float = param(
        10.0, "Time for the expected nodes to appear", unit="s", low=0.0, high=600.0
    )
