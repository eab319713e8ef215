"""Two robots in two namespaces on one machine do two tasks at once."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

import pytest

from hierarchy_nodes.environment import prepare

prepare()

from hardware.cell.client import TOKEN_VARIABLE, RefereeClient  # noqa: E402
from hierarchy_nodes.demo.client import StackClient  # noqa: E402
from hierarchy_nodes.demo.stack import NODES  # noqa: E402
from hierarchy_nodes.launcher import Launcher, find_file, load  # noqa: E402

ROBOTS = ("robot1", "robot2")


@pytest.mark.timeout(400)
def test_two_tasks_at_once(tmp_path):
    token = secrets.token_hex(8)
    # Two networks beside two simulators are too much for two cores in real time.
    arguments = {"controller": "path_follower"}
    specs = [
        replace(spec, environment={**spec.environment, TOKEN_VARIABLE: token})
        if spec.name.endswith("_cell")
        else spec
        for spec in load(find_file("two_robots.launch.xml"), arguments).processes
    ]
    names = {spec.name for spec in specs}
    assert {f"{robot}/arm" for robot in ROBOTS} <= names, names
    nodes = [name for name in NODES if name != "recorder"]
    with Launcher(specs, log_folder=tmp_path) as launcher:
        clients = [StackClient(robot, tick=launcher.poll) for robot in ROBOTS]
        try:
            referees = [RefereeClient(f"{robot}_cell", token) for robot in ROBOTS]
            for client in clients:
                client.wait_ready(nodes, 120)
            tasks = [referee.reset("place", seed) for seed, referee in enumerate(referees, 5)]
            for client in clients:
                client.spin(1.0)
            sent = [
                client.begin(task.instruction, time_limit=240.0)
                for client, task in zip(clients, tasks, strict=True)
            ]
            results = [handle.get_result_async() for handle in sent]
            deadline = time.monotonic() + 260
            while not all(result.done() for result in results):
                assert time.monotonic() < deadline, "two tasks did not end"
                for client in clients:
                    client.spin(0.02)
            outcomes = [result.result().result for result in results]
            assert all(outcome.success for outcome in outcomes), outcomes
            verdicts = [referee.verdict() for referee in referees]
            assert all(verdict.success for verdict in verdicts), verdicts
            print([(task.instruction, o.duration) for task, o in zip(tasks, outcomes, strict=True)])
        finally:
            for client in clients:
                client.__exit__()
