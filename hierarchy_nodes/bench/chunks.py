"""How old the camera image is when the chunk that used it arrives, while tasks are being done."""

from __future__ import annotations

import time
from typing import Any

from hierarchy_nodes.bench.arm_loop import Progress
from hierarchy_nodes.bench.results import Measurement, Target, measurement
from hierarchy_nodes.demo.client import StackClient
from hierarchy_nodes.demo.stack import Stack

TARGET = Target("p99", 150.0)
MOST_TASKS = 40


def measure(stack: Stack, client: StackClient, count: int, told: Progress) -> list[Measurement]:
    """Do one task after the other until `count` images have been used."""
    from hierarchy_interfaces.msg import ActionChunk

    from hierarchy_nodes import qos
    from hierarchy_nodes.conversions import time_from_msg

    arrivals: list[tuple[float, float]] = []

    def receive(message: ActionChunk) -> None:
        arrivals.append((time_from_msg(message.image_stamp), time.time()))

    subscription = client.node.create_subscription(
        ActionChunk, "action_chunk", receive, qos.COMMAND
    )
    done = tasks = 0
    for tasks in range(1, MOST_TASKS + 1):
        task = stack.referee.reset("place", tasks)
        client.spin(1.0)  # the cameras see the new table
        outcome = client.execute(task.instruction, lambda feedback: _tell(told, arrivals, count))
        done += outcome.success
        if len(_first_uses(arrivals)) >= count:
            break
    client.node.destroy_subscription(subscription)
    first, every = _first_uses(arrivals), [(b - a) * 1e3 for a, b in arrivals if a > 0]
    note = f"first chunk of each image, as a subscriber receives it; {done} of {tasks} tasks done"
    return [
        measurement("camera: stamp to the chunk that used it", first, "ms", TARGET, note),
        measurement("camera: age of the image at every chunk", every, "ms"),
    ]


def _first_uses(arrivals: list[tuple[float, float]]) -> list[float]:
    """Milliseconds from each image's stamp to the first chunk made with it."""
    first: dict[float, float] = {}
    for stamp, arrived in arrivals:
        if stamp > 0:
            first.setdefault(stamp, arrived)
    return [(arrived - stamp) * 1e3 for stamp, arrived in first.items()]


def _tell(told: Progress, arrivals: list[tuple[float, float]], count: int) -> Any:
    told("chunk", min(count, len({stamp for stamp, _ in arrivals})), count)
