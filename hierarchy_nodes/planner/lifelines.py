"""What a task cannot go on without: other nodes, and camera images."""

from __future__ import annotations

from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.monitor import Heartbeat, StackMonitor
from hierarchy_nodes.planner.config import PlannerConfig

NEEDED = ("camera", "arm", "segmenter", "controller")


class Lifelines:
    """Knows what has fallen silent.

    Args:
        config: How long may be silent what.
        needed: Nodes without which a task cannot go on.
    """

    def __init__(self, config: PlannerConfig, needed: tuple[str, ...] = NEEDED) -> None:
        self._config, self._needed = config, needed
        self._monitor = StackMonitor(config.node_timeout)
        self._image_at = float("-inf")

    def hear(self, beat: Heartbeat, now: float) -> None:
        """A node's status."""
        self._monitor.hear(beat, now)

    def see(self, now: float) -> None:
        """A camera image came."""
        self._image_at = now

    def broken(self, started: float, now: float) -> tuple[ErrorCode, str] | None:
        """What ends a task that began at `started`, if anything does."""
        silent, known = self._monitor.check(now), self._monitor.nodes
        missing = [n for n in self._needed if n in silent or n not in known]
        if now - started <= self._config.start_timeout:
            # One that was silent already, or never heard, may be about to (re)appear.
            missing = [n for n in missing if n in known and known[n].at >= started]
        if missing:
            verb = "has" if len(missing) == 1 else "have"
            names, limit = ", ".join(missing), self._config.node_timeout
            text = f"{names} {verb} not been heard for {limit:g} s."
            return ErrorCode.NODE_LOST, text
        since = max(self._image_at, started)
        if now - since > self._config.image_timeout:
            return ErrorCode.NO_IMAGE, f"No camera image has come for {now - since:.1f} s."
        return None
