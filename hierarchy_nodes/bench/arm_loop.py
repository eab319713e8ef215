"""Measurements at the arm's driver: how fast it stops, how punctual its loop is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.bench import analysis, probe
from hierarchy_nodes.bench.motion import CircleDriver
from hierarchy_nodes.bench.results import Measurement, Target, measurement
from hierarchy_nodes.demo.client import StackClient
from hierarchy_nodes.types import Array

RATE_HZ = 125.0
LOOP_SECONDS = 60.0
SPIN_UP = 0.4  # seconds of motion before each stop
STOP_TARGET = Target("p99", 20.0)
LOOP_TARGET = Target("p99", 2.0)
CORRECTION_TARGET = Target("p99", 150.0)
PAUSES = ("wait", "go on")  # of a moving arm
NUDGES = ("two centimetres left", "two centimetres right")  # of a resting one
Progress = Callable[[str, int, int], None]


def measure_stop(client: StackClient, log: Path, count: int, told: Progress) -> list[Measurement]:
    """Let the arm move, publish `stop`, reset, `count` times over."""
    from std_msgs.msg import Empty
    from std_srvs.srv import Trigger

    from hierarchy_nodes import qos

    circle = CircleDriver(client.node)
    publisher = client.node.create_publisher(Empty, "stop", qos.EVENT)
    reset = client.node.create_client(Trigger, "reset_stop")
    client.wait(lambda: circle.fresh, 20, "The arm told no state")
    client.wait(lambda: publisher.get_subscription_count() > 0, 20, "Nobody listens to stop")
    client.wait(reset.service_is_ready, 20, "The arm offers no reset_stop")
    random = np.random.default_rng(0)
    sent: list[float] = []
    for number in range(count):
        circle.moving = True
        # Anywhere within the period of the loop.
        client.spin(SPIN_UP + float(random.uniform(0, 1 / RATE_HZ)))
        sent.append(time.time())
        publisher.publish(Empty())
        circle.moving = False
        client.spin(0.25)
        answer = reset.call_async(Trigger.Request())
        client.wait(answer.done, 5, "reset_stop was not answered")
        told("stop", number + 1, count)
    to_driver, to_rest, idle = analysis.stop_delays(probe.read_log(log), sent)
    note = f"{idle} of {count} left out, the arm did not move" if idle else ""
    lost = count - idle - len(to_driver)
    note = f"{lost} of {count} stops never reached the driver" if lost else note
    return [
        measurement("stop: message to stop at the driver", to_driver, "ms", STOP_TARGET, note),
        measurement("stop: message to measured rest", to_rest, "ms"),
    ]


def measure_loop(client: StackClient, log: Path, seconds: float, told: Progress) -> Measurement:
    """Let the arm move for `seconds` and look at when its commands reached the driver."""
    circle = CircleDriver(client.node)
    client.wait(lambda: circle.fresh, 20, "The arm told no state")
    circle.moving = True
    client.spin(1.0)
    begin = time.time()
    while time.time() < begin + seconds:
        client.spin(1.0)
        told("loop", int(time.time() - begin), int(seconds))
    end = time.time()
    circle.moving = False
    errors = analysis.period_errors(probe.read_log(log), 1 / RATE_HZ, begin, end)
    note = f"over {seconds:g} s of motion at {RATE_HZ:g} Hz, as commands reach the driver"
    return measurement("arm loop: period error", errors, "ms", LOOP_TARGET, note)


def measure_correction(
    client: StackClient, log: Path, count: int, told: Progress
) -> list[Measurement]:
    """Type what the arm node itself answers, and what goes through the controller, in turns."""
    circle = CircleDriver(client.node)
    client.wait(lambda: circle.fresh, 20, "The arm told no state")
    client.wait(lambda: client.listeners("correction/text"), 20, "Nobody listens to corrections")
    client.spin(1.0)
    nudges = _say_in_turn(client, NUDGES, 1.2, count, told)
    circle.moving = True
    client.spin(2.0)
    pauses = _say_in_turn(client, PAUSES, 0.5, count, told)
    circle.moving = False
    found = probe.read_log(log)
    tools = tool_positions(found)
    rows = []
    for (first, second), said in ((NUDGES, nudges), (PAUSES, pauses)):
        delays = analysis.change_delays(found, tools, said)
        unseen = count - len(delays)
        note = f"typed in turn with '{second}'; {unseen} of {count} not to be told from ripple"
        name = f"correction: '{first}' to the first changed command at the driver"
        rows.append(measurement(name, delays, "ms", CORRECTION_TARGET, note))
    return rows


def _say_in_turn(
    client: StackClient, words: tuple[str, str], pause: float, count: int, told: Progress
) -> list[float]:
    """When each was said; `pause` seconds and a random part of the loop's period between them."""
    random = np.random.default_rng(0)
    said = []
    for number in range(count):
        said.append(time.time())
        client.say(words[number % 2])
        client.spin(pause + float(random.uniform(0, 1 / RATE_HZ)))
        told(f"correction '{words[0]}'", number + 1, count)
    return said


def tool_positions(log: probe.Log) -> Array:
    """``(N, 3)`` tool position of each command, metres."""
    kinematics = Kinematics()
    rows = log.of(probe.COMMAND)["positions"]
    return np.array([kinematics.forward(row).position for row in rows]).reshape(-1, 3)
