"""A spoken "stop": from the end of the word to the message, and to the stop at the driver."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierarchy_nodes.bench import probe
from hierarchy_nodes.bench.results import Measurement, Target, measurement
from hierarchy_nodes.learning.person.voice import Place, Voice, voices
from hierarchy_nodes.learning.person.wording import MEASURED
from hierarchy_nodes.learning.stop.corpus import STOPS

if TYPE_CHECKING:
    from hierarchy_nodes.bench.arm_loop import Progress

TARGET = Target("p95", 300.0)
# Seconds of motion before each word; after it, until it counts as not heard, and until the same
# word has come the slower way, too.
SPIN_UP, WITHIN, SETTLED = 0.4, 2.5, 2.0
_SEED = 3_000_000
# How the speech node listens.
SPOTTER, RECOGNISER = "spotter", "end-pointing and recogniser"
_PARAMETERS = {SPOTTER: {"spot_stop": True}, RECOGNISER: {"spot_stop": False}}


@dataclass(frozen=True)
class Trial:
    """When the word began and ended, and when the message came, if it did."""

    begun: float
    ended: float
    message: float | None


def measure(count: int, told: Progress) -> list[Measurement]:
    """Let the arm move and say "stop", `count` times over, in each way that there is to hear it."""
    found = []
    for way, parameters in _PARAMETERS.items():
        with tempfile.TemporaryDirectory(prefix="hierarchy-bench-") as place:
            log = Path(place) / "probe"
            trials = _listen(Path(place), log, parameters, count, told)
            found += figures(way, trials, probe.read_log(log))
    return found


def figures(way: str, trials: Sequence[Trial], log: probe.Log) -> list[Measurement]:
    """Milliseconds from the end of each word; what was not heard is told in a note."""
    stops = log.of(probe.STOP)["stamp"]
    message, driver = [], []
    for trial in trials:
        if trial.message is not None:
            message.append((trial.message - trial.ended) * 1e3)
            after = stops[(stops > trial.begun) & (stops < trial.ended + WITHIN)]
            driver += [float(after[0] - trial.ended) * 1e3] if len(after) else []
    missed = f"{len(trials) - len(message)} of {len(trials)} not heard within {WITHIN:g} s"
    name = f"spoken stop, {way}: end of the word"
    return [
        measurement(f"{name} to the message", message, "ms", TARGET, missed),
        measurement(f"{name} to the stop at the driver", driver, "ms"),
    ]


def _listen(
    folder: Path, log: Path, parameters: dict[str, Any], count: int, told: Progress
) -> list[Trial]:
    from hierarchy_nodes.demo.client import StackClient
    from hierarchy_nodes.demo.stack import Stack

    stack = Stack(folder, arguments={"speech": "true"}, without=("microphone",))
    stack.parameters["arm"] = probe.parameters(log, stack.cell)
    stack.parameters["speech"] = parameters
    told("start", 0, 1)
    with stack, StackClient(tick=stack.check) as client:
        client.wait_ready(stack.names, 120.0)
        return say_stops(client, count, told)


def say_stops(client: Any, count: int, told: Progress) -> list[Trial]:
    """Say it to a graph that runs, with `client` as the operator's seat and the microphone."""
    from std_msgs.msg import Empty
    from std_srvs.srv import Trigger

    from hierarchy_nodes import qos
    from hierarchy_nodes.bench.motion import CircleDriver
    from hierarchy_nodes.demo.microphone import SpokenMicrophone

    circle, heard = CircleDriver(client.node), []
    client.node.create_subscription(Empty, "stop", lambda _: heard.append(time.time()), qos.EVENT)
    reset = client.node.create_client(Trigger, "reset_stop")
    rng = np.random.default_rng(_SEED)
    place, speakers = Place(ratio=25.0, noise="motor"), voices(MEASURED)
    trials = []
    with SpokenMicrophone(client.node, Voice(speakers[0], place, rng), _SEED) as microphone:
        client.wait(lambda: circle.fresh, 20, "The arm told no state")
        client.wait(lambda: client.listeners("microphone/audio"), 20, "Nobody listens to sound")
        client.wait(reset.service_is_ready, 20, "The arm offers no reset_stop")
        for number in range(count):
            circle.moving = True
            client.spin(SPIN_UP + float(rng.uniform(0, 0.1)))
            voice = Voice(speakers[number % len(speakers)], place, rng)
            begun, before = time.time(), len(heard)
            ended = microphone.say(STOPS[number % len(STOPS)], voice)
            while time.time() < ended + WITHIN and len(heard) == before:
                client.spin(0.01)
            circle.moving = False
            client.spin(max(0.0, ended + SETTLED - time.time()))
            trials.append(Trial(begun, ended, heard[before] if len(heard) > before else None))
            if trials[-1].message is not None:
                answer = reset.call_async(Trigger.Request())
                client.wait(answer.done, 5, "reset_stop was not answered")
            told("spoken", number + 1, count)
    return trials
