"""/diagnostics: once a second, at once on a change, with full names."""

import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray

from hierarchy_nodes import qos
from hierarchy_nodes.arm.statistics import Rate, Window
from hierarchy_nodes.diagnostics import DiagnosticsPublisher
from hierarchy_nodes.health import ERROR, OK, Report


def test_published_regularly_and_at_once_on_change(graph):
    reports = [Report(OK, "fine", {"rate_hz": 124.98765, "driver": "mock"})]
    box = graph.listen("/diagnostics", DiagnosticArray, qos.EVENT)
    publisher = DiagnosticsPublisher(graph.node, lambda: reports, time.time, "mock arm", period=0.2)
    graph.wait_for(lambda: len(box) >= 3, 10)
    status = box[-1][1].status[0]
    assert status.name == "/test_observer"
    assert status.hardware_id == "mock arm"
    assert {v.key: v.value for v in status.values} == {"rate_hz": "124.988", "driver": "mock"}
    assert publisher.update() is False
    reports.append(Report(ERROR, "controller: silent for 0.21 s", part="nodes"))
    assert publisher.update() is True
    assert publisher.update() is False
    graph.wait_for(lambda: len(box[-1][1].status) == 2, 10)
    lost = box[-1][1].status[1]
    assert lost.name == "/test_observer/nodes"
    assert int.from_bytes(lost.level, "little") == ERROR
    assert lost.message == "controller: silent for 0.21 s"


def test_window_forgets_the_oldest():
    window = Window(4)
    assert window.percentiles(50)[0] != window.percentiles(50)[0]  # NaN
    for value in (100.0, 1.0, 2.0, 3.0, 4.0):
        window.add(value)
    assert len(window) == 4
    assert window.percentiles(0, 100) == [1.0, 4.0]


def test_rate_falls_when_nothing_comes():
    rate = Rate(11)
    for i in range(20):
        rate.tick(i * 0.1)
    assert rate.hz(1.9) == pytest.approx(10.0)
    assert rate.hz(21.9) < 1.0
