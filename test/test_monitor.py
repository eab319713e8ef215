"""Heartbeats: who is lost, and what the arm does about it."""

from hierarchy_nodes.arm.watch import NodeWatch
from hierarchy_nodes.health import ERROR, OK
from hierarchy_nodes.monitor import StackMonitor


def test_silence_is_told_once_as_fresh_and_until_heard_again():
    monitor = StackMonitor(0.15)
    monitor.hear("camera", 0.0, "idle")
    assert monitor.check(0.1) == ([], [])
    assert monitor.check(0.2) == (["camera"], ["camera"])
    assert monitor.check(0.3) == (["camera"], [])
    monitor.hear("camera", 0.4, "idle")
    assert monitor.check(0.45) == ([], [])
    assert monitor.check(0.6) == (["camera"], ["camera"])


def test_leaving_in_good_order_is_no_loss():
    monitor = StackMonitor(0.15)
    monitor.hear("camera", 0.0, "idle")
    monitor.hear("camera", 0.1, "shutdown")
    assert monitor.check(9.0) == ([], [])


def test_ignored_and_unknown_nodes_do_not_matter():
    monitor = StackMonitor(0.15, ("console",))
    monitor.hear("console", 0.0, "idle")
    assert monitor.check(9.0) == ([], [])
    assert monitor.nodes == {}


def watch_for(watch, start, seconds):
    """Look every 8 ms, as the loop does; the last answer."""
    reason = None
    for i in range(round(seconds / 0.008)):
        reason = watch.reason(start + i * 0.008)
    return reason


def test_watch_names_the_silent_node_and_for_how_long():
    watch = NodeWatch(0.15, (), ())
    watch.monitor.hear("controller", 10.0, "busy")
    assert watch_for(watch, 10.0, 0.1) is None
    assert watch_for(watch, 10.1, 0.12) == "controller is silent"
    report = watch.report(10.21)
    assert report.level == ERROR
    assert report.message == "controller: silent for 0.21 s"
    watch.monitor.hear("controller", 10.3, "busy")
    assert watch_for(watch, 10.3, 0.1) is None
    assert watch.report(10.4).level == OK


def test_watch_does_not_blame_others_for_its_own_sleep():
    watch = NodeWatch(0.15, (), ())
    watch.monitor.hear("controller", 10.0, "busy")
    assert watch.reason(10.01) is None
    assert watch.reason(10.5) is None  # slept half a second, heartbeats still wait
    watch.monitor.hear("controller", 10.501, "busy")
    assert watch_for(watch, 10.502, 0.1) is None


def test_watch_holds_for_the_error_of_a_critical_node_only():
    watch = NodeWatch(0.15, (), ("recorder",))
    watch.monitor.hear("planner", 10.0, "failed", ERROR, message="no such thing")
    assert watch.reason(10.0) is None
    watch.monitor.hear("recorder", 10.0, "failed", ERROR, message="disk full")
    assert watch.reason(10.008) == "recorder: disk full"
    watch.monitor.hear("recorder", 10.01, "busy")
    assert watch.reason(10.016) is None
