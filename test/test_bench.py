"""What `hierarchy bench` computes, on made-up logs and on a real arm node."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from hardware.base import JointCommand
from hardware.cell.cell import Cell
from hardware.cell.tasks import sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.bench import analysis, planner_server, probe, results
from hierarchy_nodes.bench.motion import CENTER, RADIUS, SPEED, circle_chunk, tool_speeds
from hierarchy_nodes.bench.probe import COMMAND, ROW, STATE, STOP, Log, ProbeArm, read_log
from hierarchy_nodes.bench.results import Target, measurement
from hierarchy_nodes.errors import HierarchyError
from hierarchy_nodes.geometry import project
from hierarchy_nodes.parameters import make
from hierarchy_nodes.planner.base import PLANNERS, PlanRequest
from hierarchy_nodes.types import Pose, RobotState, Role


def rows(events: list[tuple[float, int, float]]) -> Log:
    """(stamp, kind, joint speed) as a log."""
    log = np.zeros(len(events), ROW)
    for row, (stamp, kind, speed) in zip(log, events, strict=True):
        row["stamp"], row["kind"], row["velocities"][3] = stamp, kind, speed
    return Log(log)


def test_percentiles_and_target():
    found = measurement("x", range(1, 101), "ms", Target("p99", 99.5))
    assert (found.n, found.p50, found.max) == (100, 50.5, 100)
    assert found.p99 == pytest.approx(99.01)
    assert found.met
    assert measurement("x", range(1, 101), "ms", Target("p99", 99.0)).met is False
    assert measurement("x", [], "ms", Target("p99", 1.0)).met is None


def test_table_and_json():
    found = [
        measurement("stop", [1.0, 30.0], "ms", Target("p99", 20.0), "a note"),
        measurement("nothing", [], "ms"),
    ]
    text = results.table(found)
    assert "MISSED" in text
    assert "a note" in text
    data = json.loads(results.as_json(found))
    assert data["machine"]["cores"] >= 1
    first, second = data["measurements"]
    assert first["n"] == 2
    assert first["met"] is False
    assert first["target"] == {"figure": "p99", "limit": 20.0}
    assert second["p99"] is None


def test_stop_delays():
    events = [(i * 0.008, COMMAND, 0.5) for i in range(10)]  # until 0.072
    events += [(0.080, STOP, 0.0), (0.090, STATE, 0.3), (0.150, STATE, 0.001)]
    events += [(1.0 + i * 0.008, COMMAND, 0.0) for i in range(10)]  # holding
    events += [(1.1, STOP, 0.0), (1.2, STATE, 0.0)]
    driver, rest, idle = analysis.stop_delays(rows(events), [0.075, 1.075])
    assert driver == pytest.approx([5.0])
    assert rest == pytest.approx([75.0])
    assert idle == 1


def test_stop_that_never_reached_the_driver_is_not_counted_as_fast():
    events = [(i * 0.008, COMMAND, 0.5) for i in range(400)]
    driver, _, idle = analysis.stop_delays(rows(events), [0.1])
    assert (driver, idle) == ([], 0)


def test_period_errors():
    stamps = [0.0, 0.008, 0.017, 0.024, 5.0]
    errors = analysis.period_errors(rows([(s, COMMAND, 0.0) for s in stamps]), 0.008, 0.0, 1.0)
    assert errors == pytest.approx([0.0, 1.0, 1.0])


def test_change_delays():
    stamps = np.arange(0, 3, 0.008)
    speed = np.where((stamps > 1.05) & (stamps < 2.03), 0.0, 0.1)
    speed[::8] *= 0.9  # the ripple of new chunks
    tools = np.cumsum(np.stack([speed, 0 * speed, 0 * speed], axis=1) * 0.008, axis=0)
    log = rows([(s, COMMAND, 1.0) for s in stamps])
    delays = analysis.change_delays(log, tools, [1.0, 2.0])
    assert delays == pytest.approx([50, 30], abs=9)
    assert analysis.change_delays(log, tools, [1.08]) == []  # it was just changing


def test_circle_is_even_and_goes_on_from_the_tool():
    kinematics = Kinematics()
    home = kinematics.forward(kinematics.home)
    assert np.linalg.norm(home.position - CENTER) == pytest.approx(RADIUS, abs=2e-3)
    place = CENTER + np.array([0.0, RADIUS, 0.0])
    tool = Pose(place, home.quaternion)
    chunk = circle_chunk(RobotState(5.0, np.zeros(7), np.zeros(7), 1.0, tool))
    assert chunk.stamp == 5.0
    assert chunk.positions[0] == pytest.approx(place)
    speeds = np.linalg.norm(np.diff(chunk.positions, axis=0), axis=1) / np.diff(chunk.times)
    assert speeds == pytest.approx(np.full(len(speeds), SPEED), rel=0.01)


def test_tool_speed_ignores_a_late_turn():
    stamps = np.arange(0, 0.8, 0.008)
    tools = np.stack([0.1 * stamps, 0 * stamps, 0 * stamps], axis=1)
    stamps[50] += 0.006
    assert tool_speeds(stamps, tools) == pytest.approx(np.full(len(stamps), 0.1))


def test_probe_writes_what_passes(tmp_path):
    log = tmp_path / "log"
    inner = [f"log_path={tmp_path / 'inner'}"]
    driver = ProbeArm.from_options({"log": str(log), "inner": "mock", "inner_options": inner})
    driver.connect()
    begin = time.time()
    command = JointCommand(np.full(7, 0.01), np.full(7, 0.02), 0.5)
    sent = driver.command(command)
    driver.read_state()
    driver.stop()
    driver.disconnect()
    found = read_log(log)
    assert [int(k) for k in found.rows["kind"]] == [COMMAND, STATE, STOP]
    assert found.of(COMMAND)["positions"][0] == pytest.approx(sent.positions)
    assert begin <= found.rows["stamp"][0] <= time.time()
    assert '"kind": "stop"' in (tmp_path / "inner").read_text()
    with open(log, "ab") as stream:
        stream.write(b"half a row")
    assert len(read_log(log).rows) == 3
    assert len(read_log(tmp_path / "none").rows) == 0


def test_stop_of_a_real_arm_node(graph, tmp_path):
    """Few values; that they are small is for the command, that they exist is for the test."""
    from hierarchy_nodes.bench import arm_loop
    from hierarchy_nodes.demo.client import StackClient

    log = tmp_path / "log"
    graph.start(
        "arm",
        "hierarchy_nodes.arm.node",
        driver="hierarchy_nodes.bench.probe:ProbeArm",
        realtime=False,
        options__log=log,
        options__inner="mock",
    )
    with StackClient() as client:
        found = arm_loop.measure_stop(client, log, 3, lambda *_: None)
        loop = arm_loop.measure_loop(client, log, 1.0, lambda *_: None)
    assert found[0].n >= 1
    assert 0 < found[0].p50 < 1000
    assert loop.n > 50
    assert not math.isnan(loop.p99)
    tools = arm_loop.tool_positions(probe.read_log(log))
    assert np.abs(np.linalg.norm(tools - CENTER, axis=1) - RADIUS).max() < 0.03


def test_transport_between_two_processes():
    from hierarchy_nodes.bench import transport

    found = transport._measure(32, 24, True, 20)
    assert found.n == 20
    assert 0 < found.p50 < 1000


def test_chunks_of_the_diffusion_policy():
    from hierarchy_nodes.bench import policy

    observation = policy.observe()
    assert observation.segments is not None
    assert observation.segments.mask.any()
    seen: list[tuple[int, int]] = []
    found = policy.measure_policy(policy.untrained(), observation, 3, lambda *n: seen.append(n))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    rows = {row.name: row for row in found}
    assert all(row.n == 3 and row.p50 > 0 for row in rows.values())
    assert rows["policy: chunk, full, 100 steps"].p50 > rows["policy: one denoising step"].p50


def test_the_scripted_server_is_asked_ended_and_started_again():
    scene, task = sample("place", 3)
    cell = Cell(scene)
    frame, robot = cell.capture(), Kinematics().robot_state(cell.arm_state())
    cell.close()
    request = PlanRequest(task.instruction, frame, robot)
    with planner_server.PlanServer() as server:
        values = {"url": server.url, "model": "scripted", "retries": 0, "timeout": 5.0}
        backend = make(PLANNERS, "openai", values)
        server.answer = planner_server.plan_of(3)
        prompt = backend.plan(request).prompts[0]
        place = np.array([*scene.object(task.target).position, 0.02])
        pixel = project(place, frame.intrinsics, frame.camera_pose)[0][0]
        assert prompt.role == Role.TARGET
        assert abs(np.array([prompt.x, prompt.y]) - pixel).max() < 0.05
        server.end()
        with pytest.raises(HierarchyError):
            backend.plan(request)
        server.start()
        assert backend.plan(request).path
