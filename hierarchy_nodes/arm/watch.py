"""Which other nodes make the arm hold."""

from __future__ import annotations

from collections.abc import Iterable

from hierarchy_nodes.health import ERROR, OK, Report
from hierarchy_nodes.monitor import StackMonitor


class NodeWatch:
    """Holds for nodes that are lost, and for critical ones that report an error.

    Args:
        timeout: Seconds of silence after which a node is lost.
        ignored: Nodes that do not matter.
        critical: Nodes whose reported errors matter too.
    """

    def __init__(self, timeout: float, ignored: Iterable[str], critical: Iterable[str]) -> None:
        self.monitor = StackMonitor(timeout, tuple(ignored), nap=timeout / 2)
        self._critical = tuple(critical)

    def reason(self, now: float) -> str | None:
        """Why to hold at `now` (monotonic seconds), or None. To be called every few ms."""
        nodes = self.monitor.nodes
        reasons = [f"{name} {nodes[name].why}" for name in self.monitor.check(now)]
        for name in self._critical:
            heard = nodes.get(name)
            if heard is not None and not heard.why and heard.beat.level == ERROR:
                reasons.append(f"{name}: {heard.beat.message or heard.beat.state}")
        return ", ".join(reasons) or None

    def report(self, now: float) -> Report:
        """Names the lost nodes and for how long they have been silent."""
        nodes = self.monitor.nodes
        lost = [
            f"{n} {nodes[n].why}, not heard for {now - nodes[n].at:.2f} s"
            for n in self.monitor.lost
        ]
        known = ", ".join(sorted(nodes))
        return Report(
            ERROR if lost else OK, "; ".join(lost) or "all heard", {"known": known}, part="nodes"
        )
