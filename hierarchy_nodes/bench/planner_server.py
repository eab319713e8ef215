"""Whether the controller keeps its rate while the planner's server is slow, or has died.

A server with an OpenAI-compatible endpoint answers each instruction with the plan that the drawn
scene asks for; it can be told to take its time, and it can be ended.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware.cell.eye import intrinsics
from hardware.cell.scene import CAMERAS
from hardware.cell.tasks import sample
from hierarchy_nodes.bench.results import Measurement, measurement
from hierarchy_nodes.geometry import project
from hierarchy_nodes.planner.task import Phase

if TYPE_CHECKING:
    from hierarchy_interfaces.msg import ActionChunk

    from hierarchy_nodes.bench.arm_loop import Progress

UP, SLOW, DEAD = "answers", "takes 10 s", "is dead"
DELAY = 10.0
# Said in turn while the server takes its time, so often that the arm never comes to rest.
WORDS, PAUSE = ("left 12 cm", "right 12 cm"), 0.7
# After a plan came, the server is ended.
KILL_AFTER = 1.0
MOST_TASKS = 40
_LIFT = 0.2


def measure(folder: Path, count: int, told: Progress) -> list[Measurement]:
    """Do tasks until there are `count` periods between chunks in each state of the server."""
    from hierarchy_nodes.demo.client import StackClient
    from hierarchy_nodes.demo.stack import Stack

    server = PlanServer()
    parameters = {
        "planner": {
            "openai.url": server.url,
            "openai.model": "scripted",
            "openai.verify": False,
            "openai.retries": 0,
            "openai.timeout": 3 * DELAY,
        }
    }
    stack = Stack(folder, arguments={"planner": "openai"}, parameters=parameters, record=False)
    with server, stack, StackClient(tick=stack.check) as client:
        client.wait_ready(stack.names, 90.0)
        return _Trial(stack, client, server, told).run(count)


@dataclass
class _Trial:
    stack: Any
    client: Any
    server: PlanServer
    told: Progress
    state: str = ""
    periods: dict[str, list[float]] = field(
        default_factory=lambda: {state: [] for state in (UP, SLOW, DEAD)}
    )
    _last: tuple[float, str, str] = (0.0, "", "")
    _phase: str = ""
    _since: float = 0.0
    _said: int = 0

    def run(self, count: int) -> list[Measurement]:
        from hierarchy_interfaces.msg import ActionChunk

        from hierarchy_nodes import qos

        node = self.client.node
        subscription = node.create_subscription(
            ActionChunk, "action_chunk", self._on_chunk, qos.COMMAND
        )
        done, tasks = 0, 0
        while tasks < MOST_TASKS and min(map(len, self.periods.values())) < count:
            tasks += 1
            slow = len(self.periods[UP]) >= count
            done += self._task(tasks, DELAY if slow else 0.0)
            self.told("planner", min(map(len, self.periods.values())), count)
        node.destroy_subscription(subscription)
        notes = {
            UP: f"{done} of {tasks} tasks done",
            SLOW: f"corrections are typed every {PAUSE:g} s meanwhile",
            DEAD: "from 1 s after the plan came to the end of the task",
        }
        return [
            measurement(f"chunk period, planner's server {state}", periods, "ms", note=notes[state])
            for state, periods in self.periods.items()
        ]

    def _task(self, seed: int, delay: float) -> bool:
        task = self.stack.referee.reset("place", seed)
        self.server.answer, self.server.delay = plan_of(seed), delay
        self.client.spin(1.0)
        self._phase = self.state = ""
        outcome = self.client.execute(
            task.instruction, lambda feedback: self._feel(feedback.phase), meanwhile=self._act
        )
        self.state = ""
        self.server.start()
        return bool(outcome.success)

    def _feel(self, phase: str) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, time.monotonic()

    def _act(self) -> None:
        """Whatever is due in this phase of the task."""
        since = time.monotonic() - self._since
        slow = self.server.delay > 0
        if self._phase == Phase.PLANNING and slow:
            if since > self._said * PAUSE:
                self.client.say(WORDS[self._said % 2])
                self._said += 1
            # Not the first one, before which the arm was at rest.
            self.state = SLOW if self._said > 1 else ""
        elif self._phase == Phase.EXECUTING and not slow:
            self.state = UP
        elif self._phase == Phase.EXECUTING:
            self._said = 0
            if since > KILL_AFTER:
                self.server.end()
            self.state = DEAD if self.server.ended else ""
        else:
            self.state = ""

    def _on_chunk(self, message: ActionChunk) -> None:
        now, (before, state, plan_id) = time.monotonic(), self._last
        self._last = (now, self.state, message.plan_id)
        if self.state and (self.state, message.plan_id) == (state, plan_id):
            self.periods[state].append((now - before) * 1e3)


def plan_of(seed: int) -> str:
    """What a model that saw everything would answer: the structured dialect's JSON."""
    scene, task = sample("place", seed)
    camera, pose = intrinsics(320, 240), CAMERAS["front"]

    def seen(point: tuple[float, float], height: float) -> list[int]:
        pixel = project(np.array([*point, height]), camera, pose)[0][0]
        return [round(1000 * float(np.clip(v, 0, 1))) for v in pixel]

    target, goal = scene.object(task.target), scene.object(task.goal)
    middle = np.add(target.position, goal.position) / 2
    above = (float(middle[0]), float(middle[1]))
    point, place = seen(target.position, target.size[2]), seen(goal.position, goal.size[2] / 2)
    reply = {
        "status": "plan",
        "question": "",
        "subtask": task.instruction,
        "more": False,
        "interaction": "place",
        "prompts": [
            {"role": "target", "label": task.target.replace("_", " "), "point": point},
            {"role": "goal", "label": task.goal.replace("_", " "), "point": place},
        ],
        "motion": "move arm down",
        "path": [
            {"point": seen((0.35, 0.0), 0.4), "gripper": "keep"},
            {"point": point, "gripper": "close"},
            {"point": seen(above, _LIFT), "gripper": "keep"},
            {"point": place, "gripper": "open"},
        ],
        "confidence": 0.9,
    }
    return json.dumps(reply)


class PlanServer:
    """Answers on localhost, always the same.

    Attributes:
        answer: The text of all answers.
        delay: Seconds that each takes.
        ended: Whether it is dead, which `start` undoes.
    """

    def __init__(self) -> None:
        self.answer, self.delay, self.ended = "", 0.0, True
        self._address = ("127.0.0.1", 0)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._address[1]}/v1"

    def start(self) -> None:
        """Listen, on the same port as before."""
        if self.ended:
            owner = self

            class Handler(_Handler):
                plans = owner

            self._server = ThreadingHTTPServer(self._address, Handler)
            self._server.daemon_threads = True
            self._address = ("127.0.0.1", self._server.server_address[1])
            self.ended = False
            threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        """Refuse all further connections."""
        if not self.ended:
            self.ended = True
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> PlanServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class _Handler(BaseHTTPRequestHandler):
    plans: PlanServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.plans.delay)
        message = {"role": "assistant", "content": self.plans.answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
