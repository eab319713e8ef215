"""Who is alive: heartbeats of the stack's nodes, watched from outside each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hierarchy_nodes.liveness import ProcessWatch
from hierarchy_nodes.parameters import param

# Seconds between heartbeats, and the silence after which a node is lost by default.
PERIOD = 0.1
TIMEOUT = 0.5


def node_timeout() -> Any:
    """The parameter of this name, for those who watch the others."""
    return param(
        TIMEOUT,
        "Silence after which a node is lost; the end of a process of this machine is seen at once",
        unit="s",
        low=0.15,
        high=10.0,
    )


@dataclass(frozen=True)
class Heartbeat:
    """What a node says of itself.

    Attributes:
        host: Of the process, see ``liveness.host``; empty where it is not known.
        process: Its number there; 0 where it is not known.
    """

    node: str
    state: str
    level: int = 0
    phase: str = ""
    message: str = ""
    host: str = ""
    process: int = 0


@dataclass
class Heard:
    """The last that was heard of a node, and when (local monotonic seconds).

    Attributes:
        why: It is lost, as ``has died`` or ``is silent``; empty while it is not.
    """

    at: float
    beat: Heartbeat
    why: str = ""


class StackMonitor:
    """Tells which nodes are lost.

    A node becomes known with its first heartbeat. One that says ``shutdown`` has left in good
    order and is forgotten; one whose process has ended, or that is silent for `timeout` seconds,
    is lost until it is heard again.

    Args:
        timeout: Seconds.
        ignore: Nodes that do not matter.
        nap: When so many seconds lie between two checks, the caller itself slept: heartbeats may
            still wait to be heard, and silence counts from the next check on.

    Attributes:
        nodes: The known ones.
    """

    def __init__(self, timeout: float, ignore: tuple[str, ...] = (), nap: float = math.inf) -> None:
        self.timeout, self.nap = timeout, nap
        self.nodes: dict[str, Heard] = {}
        self._checked = math.inf
        self._ignore = set(ignore)
        self._processes = ProcessWatch()

    def hear(self, beat: Heartbeat, now: float) -> None:
        """Note a heartbeat that arrived at `now` (local monotonic seconds)."""
        if beat.node in self._ignore:
            return
        if beat.state == "shutdown":
            self.nodes.pop(beat.node, None)
            self._processes.forget(beat.node)
            return
        self.nodes[beat.node] = Heard(now, beat)
        self._processes.follow(beat.node, beat.host, beat.process)

    @property
    def lost(self) -> list[str]:
        """Nodes that were lost at the last check and have not been heard since."""
        return [name for name, heard in self.nodes.items() if heard.why]

    def check(self, now: float) -> list[str]:
        """Nodes that are lost at `now` (local monotonic seconds)."""
        slept, self._checked = now - self._checked > self.nap, now
        ended = self._processes.ended()
        for name, heard in self.nodes.items():
            if name in ended:
                heard.why = "has died"
            elif not slept and not heard.why and now - heard.at > self.timeout:
                heard.why = "is silent"
        return self.lost

    def close(self) -> None:
        """Let go of the processes that are followed."""
        self._processes.close()
