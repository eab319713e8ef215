"""What every arm driver promises."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from graph import ROOT

from hardware.base import ArmState, JointCommand
from hierarchy_nodes.errors import DriverError, StaleReadError, UnknownNameError

SPEED = 0.4  # rad/s, of the first joint
STILL = 0.02  # rad/s


def command(state: ArmState, offset: float = 0.0, speed: float = 0.0, **values) -> JointCommand:
    """A setpoint relative to `state`, in the first joint."""
    first = np.eye(len(state.positions))[0]
    positions = values.get("positions", state.positions + offset * first)
    velocities = values.get("velocities", speed * first)
    return JointCommand(positions, velocities, values.get("gripper", state.gripper))


def move(driver, seconds: float, speed: float = SPEED) -> None:
    """Stream setpoints along a straight line in time, as an arm node does."""
    begin, clock = driver.read_state(1.0), time.monotonic()
    while (elapsed := time.monotonic() - clock) < seconds:
        driver.command(command(begin, speed * elapsed, speed))
        time.sleep(0.008)


def hold(driver, target: JointCommand, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        driver.command(target)
        time.sleep(0.008)


def speed_of(state: ArmState) -> float:
    return float(np.abs(state.velocities).max())


def assert_at_rest(driver) -> None:
    before = driver.read_state(1.0)
    time.sleep(0.2)
    after = driver.read_state(1.0)
    assert speed_of(after) < STILL
    np.testing.assert_allclose(before.positions, after.positions, atol=2e-3)


def test_commanded_value_reaches_the_device_and_comes_back(arm):
    driver = arm.connected()
    begin = driver.read_state(1.0)
    way = 0.15 if begin.positions[0] < 0 else -0.15
    target = command(begin, way, gripper=0.25)
    for part in np.linspace(0.0, 1.0, 60):
        driver.command(command(begin, way * part, gripper=0.25))
        time.sleep(0.008)
    hold(driver, target, 0.8)
    there = arm.boundary(driver)
    np.testing.assert_allclose(there.positions, target.positions, atol=0.02)
    assert there.gripper == pytest.approx(0.25, abs=0.1)
    if arm.obeys:
        back = driver.read_state()
        np.testing.assert_allclose(back.positions, there.positions, atol=0.01)
        assert back.gripper == pytest.approx(there.gripper, abs=0.05)
    assert abs(time.time() - driver.read_state().stamp) < 1.0


def test_command_returns_what_was_really_sent(arm):
    driver = arm.connected()
    state, can = driver.read_state(1.0), driver.capabilities
    ones = np.ones_like(state.positions)
    wanted = command(state, positions=can.upper + 1.0, velocities=100 * ones, gripper=7.0)
    sent = driver.command(wanted)
    driver.stop()
    np.testing.assert_allclose(sent.positions, can.upper)
    np.testing.assert_allclose(sent.velocities, can.max_velocity)
    assert sent.gripper == 1.0
    sent = driver.command(command(state, positions=can.lower - 1.0, gripper=-1.0))
    driver.stop()
    np.testing.assert_allclose(sent.positions, can.lower)
    assert sent.gripper == 0.0
    inside = command(driver.read_state(1.0), gripper=0.5)
    np.testing.assert_allclose(driver.command(inside).positions, inside.positions)


@pytest.mark.parametrize("field", ["positions", "velocities", "gripper"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_and_does_not_reach_the_device(arm, field, value):
    driver = arm.connected()
    state = driver.read_state(1.0)
    driver.command(command(state))
    time.sleep(0.05)
    before = arm.boundary(driver).positions
    bad = np.full_like(state.positions, 0.1)
    bad[3] = value
    values = {field: value if field == "gripper" else bad}
    with pytest.raises(DriverError, match="finite"):
        driver.command(command(state, **values))
    time.sleep(0.05)
    if arm.obeys:
        np.testing.assert_allclose(arm.boundary(driver).positions, before, atol=5e-3)
    assert np.isfinite(arm.boundary(driver).positions).all()


def test_a_wrong_number_of_joints_is_refused(arm):
    driver = arm.connected()
    with pytest.raises(DriverError):
        driver.command(JointCommand(np.zeros(3), np.zeros(3), 0.5))


@pytest.mark.parametrize("connected_before", [False, True])
def test_nothing_works_without_a_connection(arm, connected_before):
    state = arm.connected().read_state(1.0)
    driver = arm.connected() if connected_before else arm.make()
    driver.disconnect()
    with pytest.raises(DriverError):
        driver.read_state()
    with pytest.raises(DriverError):
        driver.command(command(state))
    with pytest.raises(DriverError):
        driver.stop()


def test_disconnect_is_harmless_and_connect_works_again(arm):
    driver = arm.make()
    driver.disconnect()
    driver.connect()
    driver.connect()
    driver.read_state(1.0)
    driver.disconnect()
    driver.disconnect()
    driver.connect()
    driver.command(command(driver.read_state(1.0)))


def test_a_stale_reading_raises(arm):
    driver = arm.silence()
    time.sleep(0.25)
    with pytest.raises(StaleReadError) as caught:
        driver.read_state(max_age=0.1)
    assert caught.value.age > 0.1
    assert caught.value.max_age == 0.1


def test_a_lost_device_raises_and_says_so(arm):
    driver = arm.lose()
    if driver is None:
        return  # Read as a whole when it was connected: there is nothing left to lose.
    time.sleep(1.0)
    with pytest.raises(DriverError) as caught:
        driver.read_state(max_age=10.0)
    assert not isinstance(caught.value, StaleReadError)
    with pytest.raises(DriverError):
        driver.command(JointCommand(np.zeros(7), np.zeros(7), 0.5))


def test_stop_stops(arm):
    driver = arm.connected()
    move(driver, 0.5)
    assert speed_of(driver.read_state(1.0)) > STILL
    driver.stop()
    time.sleep(0.3)
    assert_at_rest(driver)
    # And it goes on from there when it is told to.
    move(driver, 0.4, -SPEED)
    assert speed_of(driver.read_state(1.0)) > STILL


def test_the_watchdog_holds_when_commands_cease(arm):
    driver = arm.connected()
    move(driver, 0.5)
    assert speed_of(driver.read_state(1.0)) > STILL
    ceased = driver.read_state(1.0)
    time.sleep(driver.capabilities.watchdog + 0.3)
    assert_at_rest(driver)
    # Braking included, it did not run on for longer than a fifth of a second and some load.
    assert abs(driver.read_state(1.0).positions[0] - ceased.positions[0]) < SPEED * 0.5


CALLER = """
import sys, time
import numpy as np
from hardware.base import ARMS, JointCommand
driver = ARMS.get(sys.argv[1]).from_options({"cell": sys.argv[2]})
driver.connect()
begin, clock, speed = driver.read_state(1.0), time.monotonic(), float(sys.argv[3])
first = np.eye(len(begin.positions))[0]
print("moving", flush=True)
while True:
    t = time.monotonic() - clock
    driver.command(JointCommand(begin.positions + speed * t * first, speed * first, 0.5))
    time.sleep(0.008)
"""


def rest_after_kill(observer, cell_name: str, speed: float) -> float:
    """Seconds from the kill of a streaming caller to the arm's rest, on the device's clock."""
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, "mujoco", cell_name, str(speed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "moving" in caller.stdout.readline()
    deadline = time.monotonic() + 10.0
    while speed_of(observer.read_state(1.0)) < 0.8 * abs(speed):
        assert time.monotonic() < deadline, "the caller does not move the arm"
    os.kill(caller.pid, signal.SIGKILL)
    killed = moved = time.time()
    caller.wait()
    while (state := observer.read_state(1.0)).stamp < killed + 1.0:
        if speed_of(state) > STILL:
            moved = state.stamp
        time.sleep(0.001)
    return moved - killed


def test_the_arm_rests_when_the_caller_is_killed(arm):
    if not arm.outside:
        # The device ends with its caller; that it holds without one is the test above.
        assert arm.connected().capabilities.watchdog <= 0.2
        return
    observer = arm.connected()
    # A busy machine may delay one of them, but not each.
    times = [rest_after_kill(observer, arm.cell.name, s) for s in (SPEED, -SPEED, SPEED)]
    print("at rest after", [f"{t * 1e3:.0f} ms" for t in times])
    assert min(times) <= 0.2
    assert max(times) < 1.0


def test_connect_does_not_move_the_arm(arm):
    watching = arm.connected()
    watching.command(command(watching.read_state(1.0)))
    before = arm.boundary(watching).positions
    driver = arm.connected()
    time.sleep(0.3)
    if arm.obeys:
        np.testing.assert_allclose(arm.boundary(watching).positions, before, atol=2e-3)
    assert not list(getattr(driver, "device_log", []))


def test_capabilities_are_sound(arm):
    driver = arm.connected()
    can = driver.capabilities
    count = len(can.joint_names)
    for values in (can.lower, can.upper, can.max_velocity, can.max_acceleration):
        assert values.shape == (count,)
        assert np.isfinite(values).all()
    assert (can.lower < can.upper).all()
    assert (can.max_velocity > 0).all()
    assert (can.max_acceleration > 0).all()
    assert can.rate_hz >= 50
    assert 0 < can.watchdog <= 0.2
    assert can.gripper_width > 0
    state = driver.read_state(1.0)
    assert state.positions.shape == state.velocities.shape == (count,)
    assert 0.0 <= state.gripper <= 1.0


def test_a_missing_device_is_named(arm):
    driver = arm.missing()
    with pytest.raises(DriverError) as caught:
        driver.connect()
    assert len(str(caught.value)) > 10
    with pytest.raises(DriverError):
        driver.read_state()


def test_unknown_options_are_refused_with_the_nearest(arm):
    known = next(iter(arm.kind.Options.__dataclass_fields__))
    with pytest.raises(UnknownNameError, match=f"Did you mean '{known}'"):
        arm.make(**{f"{known}_": 1})
