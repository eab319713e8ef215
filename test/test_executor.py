"""The executor keeps every limit, holds when it must, and stops for good."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.base import ArmState, JointCommand
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.executor import ChunkExecutor
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.arm.tracking import IdealArm, measure_tracking
from hierarchy_nodes.errors import ChunkRejected, ConfigError
from hierarchy_nodes.geometry import angle_between, top_down
from hierarchy_nodes.types import ActionChunk

KINEMATICS = Kinematics()
DT = 0.008
DOWN = top_down([0, 0, 0]).quaternion


def to(now, *positions, seconds=2.0, gripper=1.0, quaternion=DOWN, plan="plan"):
    n = len(positions)
    return ActionChunk(
        now,
        now,
        plan,
        np.linspace(0.0, seconds, n) if n > 1 else np.array([seconds]),
        np.array(positions, dtype=float),
        np.tile(quaternion, (n, 1)),
        np.full(n, gripper),
    )


class Bench:
    """An executor on an ideal arm, with everything it sent."""

    def __init__(self, **changes):
        self.config = ArmConfig(**({"chunk_timeout": 5.0} | changes))
        self.arm = IdealArm(KINEMATICS)
        self.executor = ChunkExecutor(self.config, KINEMATICS, self.arm.capabilities)
        self.sent: list[JointCommand] = []
        self.run(0.05)

    def run(self, seconds, measured=None):
        for _ in range(round(seconds / DT)):
            state = measured or self.arm.arm_state()
            command = self.executor.step(self.arm.time, state)
            self.sent.append(command)
            self.arm.command(command)
            self.arm.step(DT)

    def submit(self, *positions, **how):
        self.executor.submit(to(self.arm.time, *positions, **how), self.arm.time)

    @property
    def tool(self):
        return KINEMATICS.forward(self.arm.arm_state().positions)

    def tools(self):
        return [KINEMATICS.forward(c.positions) for c in self.sent]

    @property
    def speed(self):
        return float(np.abs(self.arm.arm_state().velocities).max())


def assert_limits(bench):
    q = np.array([c.positions for c in bench.sent])
    v = np.array([c.velocities for c in bench.sent])
    limits = bench.executor.limits
    assert np.isfinite(q).all()
    assert (q >= limits.lower - 1e-9).all()
    assert (q <= limits.upper + 1e-9).all()
    assert (np.abs(v) <= limits.velocity + 1e-9).all()
    assert (np.abs(np.diff(v, axis=0)) <= limits.acceleration * DT * 1.001 + 1e-6).all()
    assert np.diff(q, axis=0) == pytest.approx(v[1:] * DT, abs=1e-9)
    poses = bench.tools()
    speeds = [np.linalg.norm(b.position - a.position) / DT for a, b in pairwise(poses)]
    assert max(speeds) <= bench.config.max_speed * 1.05 + 1e-3
    lowest = min(KINEMATICS.lowest(p) for p in poses)
    assert lowest >= bench.config.table_height - 1e-3


def test_reaches_the_end_of_a_chunk_and_rests_there():
    bench = Bench()
    assert bench.executor.state == "idle"
    bench.submit([0.35, 0, 0.4], [0.45, 0.1, 0.3], gripper=0.2)
    bench.run(0.5)
    assert bench.executor.state == "busy"
    bench.run(2.5)
    assert bench.tool.position == pytest.approx([0.45, 0.1, 0.3], abs=1e-3)
    assert angle_between(bench.tool.quaternion, DOWN) < 0.01
    assert bench.arm.arm_state().gripper == pytest.approx(0.2)
    assert bench.speed < 1e-2
    assert_limits(bench)


def test_follows_a_line_and_a_turn_within_5_mm_and_2_degrees():
    report = measure_tracking()
    assert report.samples > 300
    assert report.position_max < 5e-3
    # From rest the arm moves off half a window later.
    assert report.timed_max < 0.5 * ArmConfig().smoothing * report.speed
    assert np.rad2deg(report.angle_max) < 2.0


def test_the_simulated_arm_follows_as_closely():
    from hardware.cell.cell import Cell
    from hardware.cell.tasks import sample

    cell = Cell(sample("place", 1)[0])
    try:
        report = measure_tracking(cell)
    finally:
        cell.close()
    assert report.position_max < 5e-3
    assert np.rad2deg(report.angle_max) < 2.0


def test_a_far_target_is_approached_within_all_limits():
    bench = Bench()
    bench.submit([0.65, 0.3, 0.1], seconds=0.01)
    bench.run(3.0)
    assert bench.tool.position == pytest.approx([0.65, 0.3, 0.1], abs=2e-3)
    assert_limits(bench)


def test_contradicting_chunks_cause_no_jump():
    bench = Bench()
    for i in range(20):
        side = 0.15 if i % 2 else -0.15
        bench.submit([0.45, side, 0.3], seconds=0.05)
        bench.run(0.08)
    assert_limits(bench)


def test_what_is_past_is_dropped():
    bench = Bench()
    now = bench.arm.time
    late = to(now - 0.3, [0.35, 0, 0.4], [0.35, 0.1, 0.4], seconds=1.0)
    bench.executor.submit(late, now)
    bench.run(0.7)
    # 1 s after the stamp the path is at 0.1, to which the tool is on its way back; a replay from
    # its start could not be beyond 0.07.
    assert 0.078 < bench.tool.position[1] <= 0.1


def test_holds_when_no_new_chunk_comes():
    bench = Bench(chunk_timeout=0.15)
    bench.submit([0.35, 0, 0.4], [0.65, 0, 0.4])
    bench.run(0.14)
    assert bench.speed > 0.05
    bench.run(0.2)
    assert bench.speed == 0.0
    assert bench.executor.state == "holding"
    assert bench.executor.reason == "no new chunk"
    where = bench.tool.position
    bench.run(0.5)
    assert bench.tool.position == pytest.approx(where)
    assert_limits(bench)


def test_holds_when_the_measured_state_is_stale_and_goes_on_after():
    bench = Bench()
    bench.submit([0.35, 0, 0.4], [0.6, 0, 0.4])
    bench.run(0.2)
    frozen = bench.arm.arm_state()
    bench.run(0.4, measured=frozen)
    assert "stale" in bench.executor.reason
    assert np.abs(bench.sent[-1].velocities).max() == 0.0
    bench.run(0.2)
    assert bench.executor.state == "busy"
    assert_limits(bench)


def test_holds_for_a_lost_node_until_it_is_back():
    bench = Bench()
    bench.submit([0.35, 0, 0.4], [0.6, 0, 0.4])
    bench.run(0.2)
    bench.executor.hold("controller is silent")
    bench.run(0.2)
    assert bench.speed == 0.0
    assert bench.executor.reason == "controller is silent"
    bench.executor.hold(None)
    bench.run(0.2)
    assert bench.speed > 0.05


def test_holds_when_the_plan_expires():
    bench = Bench()
    bench.executor.set_validity("plan", bench.arm.time + 0.2)
    bench.submit([0.35, 0, 0.4], [0.6, 0, 0.4])
    bench.run(0.15)
    assert bench.speed > 0.05
    bench.run(0.3)
    assert bench.speed == 0.0
    assert bench.executor.reason == "plan plan expired"


def test_stop_brakes_at_the_limit_and_is_latched():
    bench = Bench()
    bench.submit([0.35, 0, 0.4], [0.7, 0, 0.4], seconds=1.0)
    bench.run(0.5)
    speed = bench.speed
    bench.executor.stop("test")
    bench.run(0.3)
    assert speed > 0.2
    assert bench.speed == 0.0
    assert_limits(bench)
    with pytest.raises(ChunkRejected, match="stopped"):
        bench.submit([0.35, 0, 0.4])
    bench.run(0.3)
    assert bench.speed == 0.0
    assert bench.executor.state == "stopped"


def test_after_reset_motion_restarts_from_the_measured_state():
    bench = Bench()
    bench.executor.stop("test")
    elsewhere = KINEMATICS.home + 0.05
    bench.arm.command(JointCommand(elsewhere, np.zeros(7), 1.0))
    bench.executor.reset_stop(bench.arm.arm_state())
    bench.sent.clear()
    bench.run(0.2)
    assert bench.sent[0].positions == pytest.approx(elsewhere)
    assert bench.speed == 0.0
    bench.submit([0.45, 0.1, 0.3])
    bench.run(3.0)
    assert bench.tool.position == pytest.approx([0.45, 0.1, 0.3], abs=1e-3)
    assert_limits(bench)


def test_pause_and_resume_lose_nothing_of_the_path():
    bench = Bench()
    bench.submit([0.35, 0, 0.4], [0.45, 0, 0.4], seconds=1.0)
    bench.run(0.4)
    bench.executor.pause()
    bench.run(0.5)
    assert bench.speed == 0.0
    assert bench.tool.position[0] < 0.41
    bench.executor.resume()
    bench.run(1.0)
    assert bench.tool.position[0] == pytest.approx(0.45, abs=1e-3)
    assert_limits(bench)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_speed_factor_scales_the_pace(factor):
    bench = Bench()
    bench.executor.set_speed(factor)
    bench.submit([0.35, 0, 0.4], [0.55, 0, 0.4], seconds=2.0)
    bench.run(0.8)
    assert bench.tool.position[0] - 0.35 == pytest.approx(0.08 * factor, abs=0.008)


def test_speed_factor_is_bounded():
    bench = Bench()
    bench.executor.set_speed(1e9)
    assert bench.executor.speed == 2.0
    bench.executor.set_speed(0.0)
    assert bench.executor.speed == 0.1


def test_fingers_never_reach_the_table_even_when_the_hand_turns():
    bench = Bench()
    bench.submit([0.5, 0, 0.02], seconds=0.1)
    bench.run(3.0)
    tilted = np.array([np.cos(1.2), np.sin(1.2), 0.0, 0.0])
    bench.submit([0.5, 0, 0.0], seconds=0.1, quaternion=tilted)
    bench.run(2.0)
    # The tilted hand is wider than it is low: the tool itself has to stay well above.
    assert bench.tool.position[2] > 0.02
    assert_limits(bench)


def test_workspace_box_is_kept_at_full_speed():
    bench = Bench(workspace_upper=[0.60, 0.1, 0.75])
    bench.submit([0.62, 0.14, 0.4], seconds=0.1)
    bench.run(2.0)
    positions = np.array([p.position for p in bench.tools()])
    assert positions[:, 0].max() <= 0.60 + 2e-3
    assert positions[:, 1].max() <= 0.10 + 2e-3
    assert bench.tool.position[:2] == pytest.approx([0.60, 0.10], abs=2e-3)


def test_bad_numbers_hold_and_never_raise():
    bench = Bench()
    bench.submit([0.35, 0, 0.4], [0.6, 0, 0.4])
    bench.run(0.2)
    nan = ArmState(bench.arm.time, np.full(7, np.nan), np.zeros(7), 0.5)
    bench.run(0.4, measured=nan)
    assert np.isfinite(bench.sent[-1].positions).all()
    assert np.abs(bench.sent[-1].velocities).max() == 0.0
    for now in (np.nan, -1.0, np.inf):
        command = bench.executor.step(now, bench.arm.arm_state())
        assert np.isfinite(command.positions).all()


def test_without_any_good_measurement_nothing_that_moves_is_sent():
    arm = IdealArm(KINEMATICS)
    executor = ChunkExecutor(ArmConfig(), KINEMATICS, arm.capabilities)
    nan = ArmState(0.0, np.full(7, np.nan), np.zeros(7), 0.5)
    assert np.isnan(executor.step(0.0, nan).positions).all()
    assert "not finite" in executor.reason


def test_a_blocked_arm_does_not_press_ever_harder():
    """A controller that plans from the measured pose, whose arm is held fast: 2 s long."""
    bench = Bench()
    here = KINEMATICS.forward(KINEMATICS.home)
    way, turn = np.array([0.0, 0.1, 0.0]), 0.5
    leads, turns = [], []
    for _ in range(40):
        now = bench.arm.time
        times = np.arange(0.1, 1.7, 0.1)
        turned = [top_down([0, 0, 0], turn * t).quaternion for t in times]
        path = here.position + times[:, None] * way
        bench.executor.submit(
            ActionChunk(now, now, "plan", times, path, np.array(turned), np.ones(16)), now
        )
        for _ in range(6):
            state = ArmState(bench.arm.time, KINEMATICS.home, np.zeros(7), 1.0)
            command = bench.executor.step(bench.arm.time, state)
            bench.arm.step(DT)
        tool = KINEMATICS.forward(command.positions)
        leads.append(np.linalg.norm(tool.position - here.position))
        turns.append(angle_between(tool.quaternion, here.quaternion))
    # What a free arm does in a third of a second, and no more after two seconds than after one.
    assert max(leads) < 0.1 / 3
    assert max(turns) < 0.5 / 3
    assert leads[-1] < leads[19] + 1e-3
    assert bench.executor.statistics.restarts == 0


def test_a_pushed_arm_is_believed():
    bench = Bench()
    for i in range(100):  # at 0.5 rad/s, as a person would
        pushed = KINEMATICS.home + np.array([0, 0.5 * DT * i, 0, 0, 0, 0, 0])
        state = ArmState(bench.arm.time, pushed, np.zeros(7), 1.0)
        command = bench.executor.step(bench.arm.time, state)
        bench.arm.step(DT)
    assert bench.executor.statistics.restarts >= 1
    assert "joint_2 was" in bench.executor.statistics.last_restart
    assert np.abs(command.positions - pushed).max() < 0.3
    assert np.abs(command.velocities).max() == 0.0


def test_an_arm_that_was_put_elsewhere_is_followed_at_once_with_its_gripper():
    bench = Bench()
    bench.submit([0.35, 0, 0.4], [0.6, 0, 0.4], gripper=0.0)
    bench.run(0.6)
    put = KINEMATICS.home + 0.3
    state = ArmState(bench.arm.time, put, np.zeros(7), 1.0)
    command = bench.executor.step(bench.arm.time, state)
    assert command.positions == pytest.approx(put)
    assert command.gripper == 1.0
    assert np.abs(command.velocities).max() == 0.0


def test_a_driver_for_another_arm_is_refused():
    other = dataclasses.replace(IdealArm(KINEMATICS).capabilities, joint_names=("a", "b"))
    with pytest.raises(ConfigError, match=r"a, b; the URDF has joint_1"):
        ChunkExecutor(ArmConfig(), KINEMATICS, other)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.12, 0.82), st.floats(-0.52, 0.52), st.floats(-0.04, 0.78), st.floats(0, 1)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_accepted_chunks_keep_all_limits(points):
    bench = Bench()
    for x, y, z, opening in points:
        bench.submit([x, y, z], seconds=0.02, gripper=opening)
        bench.run(0.3)
    assert bench.executor.statistics.failures == 0
    assert_limits(bench)


def test_the_tool_comes_down_on_the_table_without_a_jolt():
    bench = Bench()
    way = np.linspace([0.5, 0, 0.15], [0.5, 0, -0.01], 17)
    bench.submit([0.35, 0, 0.4], [0.5, 0, 0.15])
    bench.run(3.0)
    bench.sent.clear()
    bench.submit(*way, seconds=0.8)
    bench.run(1.5)
    heights = np.array([p.position[2] for p in bench.tools()])
    assert heights.min() == pytest.approx(bench.executor.workspace.floor, abs=1e-3)
    # It turns from 0.2 m/s to rest within the time that a chunk's corners are rounded with.
    assert np.abs(np.diff(heights, 3)).max() / DT**3 < 1.5 * 4 * 0.2 / bench.config.smoothing**2
