"""Runs the measurements that were asked for, on processes of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path

from hierarchy_nodes.bench import arm_loop, chunks, planner_server, probe, tracking, transport
from hierarchy_nodes.bench.arm_loop import Progress
from hierarchy_nodes.bench.results import Measurement
from hierarchy_nodes.demo.client import StackClient
from hierarchy_nodes.demo.stack import Stack

NAMES = {
    "stop": "stop message -> stop at the arm's driver, and measured rest",
    "loop": "period error of the arm loop",
    "chunk": "camera stamp -> action chunk that used it, while tasks are done",
    "transport": "images between two processes",
    "correction": "typed correction -> first changed command at the arm's driver",
    "spoken": "end of the spoken word 'stop' -> stop message, and stop at the arm's driver",
    "tracking": "path errors along a line and a right angle",
    "planner": "the controller's rate while the planner's server is slow or dead",
    "policy": "the diffusion policy's time for a chunk",
}
READY_TIMEOUT = 90.0


def run(names: Collection[str], count: int, seconds: float, told: Progress) -> list[Measurement]:
    """The measurements called `names`, in the order of `NAMES`.

    Args:
        count: Values of each, except for the loop.
        seconds: For how long the loop is watched.
    """
    found: dict[str, list[Measurement]] = {}
    if "tracking" in names:
        told("tracking", 0, 1)
        found["tracking"] = tracking.measure()
    if "policy" in names:
        from hierarchy_nodes.bench import policy

        found["policy"] = policy.measure(count, told)
    if "transport" in names:
        told("transport", 0, 1)
        found["transport"] = transport.measure(count)
    if "planner" in names:
        told("start", 0, 1)
        with tempfile.TemporaryDirectory(prefix="hierarchy-bench-") as place:
            found["planner"] = planner_server.measure(Path(place), count, told)
    if "spoken" in names:
        from hierarchy_nodes.bench import spoken

        found["spoken"] = spoken.measure(count, told)
    if not {"stop", "loop", "chunk", "correction"}.isdisjoint(names):
        found |= _on_stack(names, count, seconds, told)
    return [row for name in NAMES for row in found.get(name, [])]


def _on_stack(
    names: Collection[str], count: int, seconds: float, told: Progress
) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    # Some trials do not count, because the arm did not move or moved unevenly.
    trials = count + -(-count // 10)
    with tempfile.TemporaryDirectory(prefix="hierarchy-bench-") as place:
        log = Path(place) / "probe"
        stack = Stack(Path(place))
        stack.parameters["arm"] = probe.parameters(log, stack.cell)
        told("start", 0, 1)
        with stack, StackClient(tick=stack.check) as client:
            client.wait_ready(stack.names, READY_TIMEOUT)
            if "chunk" in names:
                found["chunk"] = chunks.measure(stack, client, count, told)
                client.spin(2.0)  # the arm comes to rest at home
            if "correction" in names:
                found["correction"] = arm_loop.measure_correction(client, log, trials, told)
            if "loop" in names:
                found["loop"] = [arm_loop.measure_loop(client, log, seconds, told)]
            if "stop" in names:
                found["stop"] = arm_loop.measure_stop(client, log, trials, told)
    return found
