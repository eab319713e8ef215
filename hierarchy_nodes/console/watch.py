"""The health of the whole stack, from the heartbeats of its nodes."""

from __future__ import annotations

from collections.abc import Sequence

from hierarchy_nodes.health import ERROR, OK, STALE, WARN, Report
from hierarchy_nodes.monitor import Heartbeat, StackMonitor


class StackWatch:
    """One report a node, and one for the stack: which nodes are lost, missing or ill.

    Args:
        timeout: Seconds of silence after which a node is lost.
        expected: Nodes that must be heard within `grace` seconds of `start`.
        start: Local monotonic seconds, as every `now` below.
    """

    def __init__(self, timeout: float, expected: Sequence[str], grace: float, start: float) -> None:
        self.monitor = StackMonitor(timeout, nap=timeout)
        self._expected = tuple(expected)
        self._due = start + grace
        self._heard: set[str] = set()

    def hear(self, beat: Heartbeat, now: float) -> None:
        """Note a heartbeat."""
        self._heard.add(beat.node)
        self.monitor.hear(beat, now)

    def lost(self, now: float) -> list[str]:
        """The nodes that are lost at `now`; to be called every few ten milliseconds."""
        return self.monitor.check(now)

    def reports(self, now: float) -> list[Report]:
        """The whole first, then each node."""
        lost = self.lost(now)
        nodes = self.monitor.nodes
        late = now > self._due
        missing = [n for n in self._expected if n not in self._heard] if late else []
        gone = [n for n in self._expected if n in self._heard and n not in nodes]
        problems = [f"{name} {nodes[name].why}" for name in lost]
        problems += [f"{name} was never heard" for name in missing]
        problems += [f"{name} has left" for name in gone]
        ill = [
            name for name, heard in nodes.items() if heard.beat.level >= WARN and name not in lost
        ]
        level = ERROR if problems else WARN if ill else OK
        remarks = [
            *problems,
            *(f"{name}: {nodes[name].beat.message or nodes[name].beat.state}" for name in ill),
        ]
        whole = Report(
            level, "; ".join(remarks) or "all heard", {"nodes": ", ".join(sorted(nodes))}, "stack"
        )
        return [whole, *(self._node(name, now, name in lost) for name in sorted(nodes))]

    def _node(self, name: str, now: float, lost: bool) -> Report:
        heard = self.monitor.nodes[name]
        beat, silence = heard.beat, now - heard.at
        if lost:
            values = {"last_state": beat.state, "silent_for_s": silence}
            return Report(STALE, heard.why, values, f"stack/{name}")
        message = ": ".join(part for part in (beat.state, beat.message) if part)
        return Report(beat.level, message, {"phase": beat.phase}, f"stack/{name}")
