"""The health of the stack as the console tells it."""

from hierarchy_nodes.console.watch import StackWatch
from hierarchy_nodes.health import ERROR, OK, STALE, WARN
from hierarchy_nodes.monitor import Heartbeat


def watch(*expected, grace=5.0) -> StackWatch:
    return StackWatch(0.15, expected, grace, start=0.0)


def beat(stack, name, now, state="idle", level=0, message=""):
    stack.hear(Heartbeat(name, state, level, message=message), now)


def whole(stack, now):
    return stack.reports(now)[0]


def run(stack, begin, end, *alive):
    """Heartbeats of `alive`, and a look, every 50 ms."""
    for k in range(round((end - begin) / 0.05)):
        now = begin + 0.05 * k
        for name in alive:
            beat(stack, name, now)
        stack.lost(now)


def test_all_well():
    stack = watch()
    run(stack, 0.0, 1.0, "arm", "camera")
    report = whole(stack, 1.0)
    assert report.level == OK
    assert report.values["nodes"] == "arm, camera"
    assert {r.part for r in stack.reports(1.0)} == {"stack", "stack/arm", "stack/camera"}


def test_a_silent_node_is_named():
    stack = watch()
    run(stack, 0.0, 1.0, "arm", "camera")
    run(stack, 1.0, 1.5, "camera")
    assert stack.lost(1.5) == ["arm"]
    assert whole(stack, 1.5).level == ERROR
    assert "arm is silent" in whole(stack, 1.5).message
    arm = next(r for r in stack.reports(1.5) if r.part == "stack/arm")
    assert (arm.level, arm.message) == (STALE, "is silent")
    # It comes back.
    run(stack, 1.5, 1.7, "arm", "camera")
    assert whole(stack, 1.7).level == OK


def test_a_sleep_of_the_console_itself_accuses_nobody():
    stack = watch()
    run(stack, 0.0, 1.0, "arm")
    assert stack.lost(3.0) == []


def test_leaving_in_good_order_is_no_loss_unless_expected():
    stack = watch()
    run(stack, 0.0, 1.0, "arm")
    beat(stack, "arm", 1.0, "shutdown")
    assert whole(stack, 1.01).level == OK
    stack = watch("arm")
    run(stack, 0.0, 1.0, "arm")
    beat(stack, "arm", 1.0, "shutdown")
    assert "arm has left" in whole(stack, 1.01).message


def test_expected_nodes_must_appear():
    stack = watch("planner", grace=2.0)
    assert whole(stack, 1.0).level == OK
    assert "planner was never heard" in whole(stack, 2.5).message


def test_a_warning_is_passed_on():
    stack = watch()
    beat(stack, "camera", 0.0, "failed", WARN, "no frames")
    stack.lost(0.0)
    report = whole(stack, 0.05)
    assert report.level == WARN
    assert "camera: no frames" in report.message
