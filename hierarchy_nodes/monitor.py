"""Who is alive: heartbeats of the stack's nodes, watched from outside each of them."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.liveness import ProcessWatch

# Seconds between heartbeats, and the silence after which a node is lost by default.
PERIOD = 0.1
TIMEOUT = 0.5


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
    """

    def __init__(self, timeout: float, ignore: tuple[str, ...] = ()) -> None:
        self.timeout = timeout
        self.nodes: dict[str, Heard] = {}
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

    def check(self, now: float, silence: bool = True) -> list[str]:
        """Nodes that are lost at `now`.

        Args:
            now: Local monotonic seconds.
            silence: False where the caller itself slept and heartbeats may still wait to be heard.
        """
        ended = self._processes.ended()
        for name, heard in self.nodes.items():
            if name in ended:
                heard.why = "has died"
            elif silence and not heard.why and now - heard.at > self.timeout:
                heard.why = "is silent"
        return [name for name, heard in self.nodes.items() if heard.why]

    def close(self) -> None:
        """Let go of the processes that are followed."""
        self._processes.close()
