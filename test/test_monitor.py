"""Heartbeats: who is lost, and what the arm does about it."""

import os
import subprocess
import sys

from hierarchy_nodes.arm.watch import NodeWatch
from hierarchy_nodes.health import ERROR, OK
from hierarchy_nodes.liveness import host
from hierarchy_nodes.monitor import Heartbeat, StackMonitor


def test_silence_is_told_until_heard_again():
    monitor = StackMonitor(0.15)
    monitor.hear(Heartbeat("camera", "idle"), 0.0)
    assert monitor.check(0.1) == []
    assert monitor.check(0.2) == ["camera"]
    assert monitor.check(0.3) == ["camera"]
    monitor.hear(Heartbeat("camera", "idle"), 0.4)
    assert monitor.check(0.45) == []
    assert monitor.check(0.6) == ["camera"]


def test_after_a_nap_silence_counts_from_the_next_check():
    monitor = StackMonitor(0.15, nap=0.5)
    monitor.hear(Heartbeat("camera", "idle"), 0.0)
    assert monitor.check(0.1) == []
    assert monitor.check(0.7) == monitor.lost == []
    assert monitor.check(0.8) == monitor.lost == ["camera"]


def test_leaving_in_good_order_is_no_loss():
    monitor = StackMonitor(0.15)
    monitor.hear(Heartbeat("camera", "idle"), 0.0)
    monitor.hear(Heartbeat("camera", "shutdown"), 0.1)
    assert monitor.check(9.0) == []


def test_ignored_and_unknown_nodes_do_not_matter():
    monitor = StackMonitor(0.15, ("console",))
    monitor.hear(Heartbeat("console", "idle"), 0.0)
    assert monitor.check(9.0) == []
    assert monitor.nodes == {}


def test_the_end_of_a_process_is_told_before_any_silence():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monitor = StackMonitor(60.0, nap=0.05)
        monitor.hear(Heartbeat("camera", "idle", host=host(), process=process.pid), 0.0)
        monitor.hear(Heartbeat("planner", "idle", host=host(), process=os.getpid()), 0.0)
        assert monitor.check(0.1) == []
        process.kill()
        process.wait()
        assert monitor.check(0.2) == ["camera"]
        assert monitor.nodes["camera"].why == "has died"
    # A late message of the dead process brings nobody back; the new process does.
    monitor.hear(Heartbeat("camera", "idle", host=host(), process=process.pid), 0.3)
    assert monitor.check(0.3) == ["camera"]
    monitor.hear(Heartbeat("camera", "idle", host=host(), process=os.getpid()), 0.4)
    assert monitor.check(0.4) == []
    monitor.close()


def watch_for(watch, start, seconds):
    """Look every 8 ms, as the loop does; the last answer."""
    reason = None
    for i in range(round(seconds / 0.008)):
        reason = watch.reason(start + i * 0.008)
    return reason


def test_watch_names_the_silent_node_and_for_how_long():
    watch = NodeWatch(0.15, (), ())
    watch.monitor.hear(Heartbeat("controller", "busy"), 10.0)
    assert watch_for(watch, 10.0, 0.1) is None
    assert watch_for(watch, 10.1, 0.12) == "controller is silent"
    report = watch.report(10.21)
    assert report.level == ERROR
    assert report.message == "controller is silent, not heard for 0.21 s"
    watch.monitor.hear(Heartbeat("controller", "busy"), 10.3)
    assert watch_for(watch, 10.3, 0.1) is None
    assert watch.report(10.4).level == OK


def test_watch_does_not_blame_others_for_its_own_sleep():
    watch = NodeWatch(0.15, (), ())
    watch.monitor.hear(Heartbeat("controller", "busy"), 10.0)
    assert watch.reason(10.01) is None
    assert watch.reason(10.5) is None  # slept half a second, heartbeats still wait
    watch.monitor.hear(Heartbeat("controller", "busy"), 10.501)
    assert watch_for(watch, 10.502, 0.1) is None


def test_watch_holds_for_the_error_of_a_critical_node_only():
    watch = NodeWatch(0.15, (), ("recorder",))
    watch.monitor.hear(Heartbeat("planner", "failed", ERROR, message="no such thing"), 10.0)
    assert watch.reason(10.0) is None
    watch.monitor.hear(Heartbeat("recorder", "failed", ERROR, message="disk full"), 10.0)
    assert watch.reason(10.008) == "recorder: disk full"
    watch.monitor.hear(Heartbeat("recorder", "busy"), 10.01)
    assert watch.reason(10.016) is None
