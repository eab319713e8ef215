"""Who is alive: heartbeats of the stack's nodes, watched from outside each of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Heard:
    """The last that was heard of a node."""

    at: float
    state: str
    level: int
    phase: str
    message: str
    lost: bool = False


class StackMonitor:
    """Tells which nodes fell silent.

    A node becomes known with its first heartbeat. One that says ``shutdown`` has left in good
    order and is forgotten; one that falls silent for `timeout` seconds is lost until it is heard
    again.
    """

    def __init__(self, timeout: float, ignore: tuple[str, ...] = ()) -> None:
        self.timeout = timeout
        self.nodes: dict[str, Heard] = {}
        self._ignore = set(ignore)

    def hear(
        self, node: str, now: float, state: str, level: int = 0, phase: str = "", message: str = ""
    ) -> None:
        """Note a heartbeat that arrived at `now` (local monotonic seconds)."""
        if node in self._ignore:
            return
        if state == "shutdown":
            self.nodes.pop(node, None)
        else:
            self.nodes[node] = Heard(now, state, level, phase, message)

    def check(self, now: float) -> tuple[list[str], list[str]]:
        """Nodes lost at `now`, and among them those that were not lost at the last check."""
        fresh = []
        for name, heard in self.nodes.items():
            if not heard.lost and now - heard.at > self.timeout:
                heard.lost = True
                fresh.append(name)
        return [name for name, heard in self.nodes.items() if heard.lost], fresh
