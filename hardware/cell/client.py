"""The referee's end of the wire, for evaluation and tests; nothing that drives the arm uses it."""

from __future__ import annotations

import os
from typing import Any

import zmq

from hardware.cell import protocol
from hardware.cell.referee import Verdict
from hardware.cell.scene import SceneSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.errors import DriverError

TOKEN_VARIABLE = "HIERARCHY_REFEREE_TOKEN"


class RefereeClient:
    """Lays the table and asks how it went.

    Args:
        name: Of the cell.
        token: What the cell was started with; from the environment where not given.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, name: str = "cell", token: str = "", timeout: float = 10.0) -> None:
        self._name, self._timeout = name, timeout
        self._token = token or os.environ.get(TOKEN_VARIABLE, "")
        self.scene: SceneSpec | None = None

    def reset(self, family: str, seed: int, axis: str = "basic") -> TaskSpec:
        """Lay the table for a task.

        The arm stays where it is if it is up, and is home otherwise. :attr:`scene` is what lies
        there now.

        Raises:
            DriverError: No answer, wrong token, or the cell refused.
        """
        return self._laid({"do": "reset", "family": family, "seed": seed, "axis": axis})

    def reset_to(self, scene: SceneSpec, task: TaskSpec) -> TaskSpec:
        """As :meth:`reset`, with a scene of one's own."""
        return self._laid({"do": "reset", "scene": scene.to_dict(), "task": task.to_dict()})

    def _laid(self, request: dict[str, Any]) -> TaskSpec:
        answer = self._ask(request)
        self.scene = SceneSpec.from_dict(answer["scene"])
        return TaskSpec.from_dict(answer["task"])

    def verdict(self) -> Verdict:
        """The truth about the task as things stand now."""
        answer = self._ask({"do": "verdict"})
        return Verdict(answer["success"], answer["reason"])

    def perturb(self, name: str, position: tuple[float, float, float], yaw: float = 0.0) -> None:
        """Put an object somewhere else behind the robot's back."""
        self._ask({"do": "perturb", "name": name, "position": list(position), "yaw": yaw})

    def blind(self, seconds: float) -> None:
        """Let the cameras send nothing for a while."""
        self._ask({"do": "blind", "seconds": seconds})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        # A socket per question: a lost answer then leaves nothing behind.
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        with context.socket(zmq.REQ) as socket:
            socket.linger = 0
            socket.connect(protocol.address(self._name, "referee"))
            socket.send(protocol.pack({"v": protocol.VERSION, "token": self._token} | request))
            if not socket.poll(int(self._timeout * 1000)):
                raise DriverError(
                    f"Referee of cell '{self._name}': no answer within {self._timeout} s. "
                    "Is it running, and was it started with --referee-token?"
                )
            answer = protocol.unpack(socket.recv())
        if "error" in answer:
            raise DriverError(f"Referee of cell '{self._name}': {answer['error']}.")
        return answer
