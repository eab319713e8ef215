"""``/diagnostics`` as monitoring tools expect it: once a second, and at once on a change."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from hierarchy_nodes import qos
from hierarchy_nodes.conversions import time_to_msg
from hierarchy_nodes.health import Report


class DiagnosticsPublisher:
    """Publishes what `collect` returns.

    Args:
        node: Whose name the statuses carry.
        collect: Called once a second and by :meth:`update`.
        hardware_id: Of the device behind the node.
        now: Stamp clock, seconds since the epoch.
    """

    def __init__(
        self,
        node: Node,
        collect: Callable[[], list[Report]],
        now: Callable[[], float],
        hardware_id: str = "",
        period: float = 1.0,
    ) -> None:
        self._name = node.get_fully_qualified_name()
        self._collect, self._now = collect, now
        self.hardware_id = hardware_id
        self._shown: list[tuple[str, int, str]] = []
        # Absolute: one place for the robots of all namespaces.
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.EVENT)
        self._timer = node.create_timer(period, self.publish)

    def update(self) -> bool:
        """Publish now if a level or message differs from what was last published."""
        reports = self._collect()
        if _shown(reports) == self._shown:
            return False
        self._send(reports)
        return True

    def publish(self) -> None:
        """Publish now."""
        self._send(self._collect())

    def _send(self, reports: list[Report]) -> None:
        self._shown = _shown(reports)
        message = DiagnosticArray()
        message.header.stamp = time_to_msg(self._now())
        message.status = [
            DiagnosticStatus(
                level=bytes([report.level]),
                name=f"{self._name}/{report.part}" if report.part else self._name,
                message=report.message,
                hardware_id=self.hardware_id,
                values=[KeyValue(key=k, value=_text(v)) for k, v in report.values.items()],
            )
            for report in reports
        ]
        self._publisher.publish(message)


def _shown(reports: list[Report]) -> list[tuple[str, int, str]]:
    return [(r.part, r.level, r.message) for r in reports]


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
