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


@pytest.mark.timeout(700)
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
            todo = dict(zip(ROBOTS, zip(clients, referees, (5, 6), strict=True), strict=True))
            # On a machine that is too slow an arm may miss: then a person would say it again.
            for _ in range(2):
                todo = together(todo)
                if not todo:
                    return
            tails = {log.name: log.read_text()[-2000:] for log in tmp_path.glob("*planner.log")}
            raise AssertionError(f"failed twice: {', '.join(todo)}; {tails}")
        finally:
            for client in clients:
                client.__exit__()


def together(robots):
    """Give each robot its task at the same time; returns those that did not do it."""
    tasks = {name: referee.reset("place", seed) for name, (_, referee, seed) in robots.items()}
    for client, _, _ in robots.values():
        client.spin(1.0)
    sent = {
        name: client.begin(tasks[name].instruction, time_limit=240.0).get_result_async()
        for name, (client, _, _) in robots.items()
    }
    deadline = time.monotonic() + 260
    while not all(ended.done() for ended in sent.values()):
        assert time.monotonic() < deadline, "the tasks did not end"
        for client, _, _ in robots.values():
            client.spin(0.02)
    failed = {}
    for name, robot in robots.items():
        outcome, verdict = sent[name].result().result, robot[1].verdict()
        print(name, tasks[name].instruction, outcome, verdict)
        if not outcome.success:
            failed[name] = robot
        else:
            assert verdict.success, f"{name} says that it did it: {verdict}"
    return failed
