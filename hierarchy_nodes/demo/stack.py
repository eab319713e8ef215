"""The simulated cell and the whole graph as processes, started from the launch file."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardware.cell.client import TOKEN_VARIABLE, RefereeClient
from hierarchy_nodes.demo.client import StackError
from hierarchy_nodes.errors import DriverError

NODES = (
    "arm",
    "camera",
    "planner",
    "segmenter",
    "controller",
    "correction",
    "console",
    "recorder",
)
ENDING = 5.0  # seconds that processes have to end by themselves


def private_domain() -> None:
    """Stay apart from other graphs on this network, unless the user chose a domain."""
    # Domains above 101 collide with Linux's ephemeral ports.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it takes the others with it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


class Stack:
    """Started on entry, ended on exit; output goes to ``logs``, the recording to ``bag``.

    Args:
        folder: Of this run.
        scene: Family, seed and axis of the cell's task.
        parameters: ROS parameters by node, over the launch file's.
        record: Whether the recorder runs.

    Attributes:
        parameters: May be changed until entry.
        referee: Knows the truth about the cell; no node has its token.
    """

    def __init__(
        self,
        folder: Path,
        scene: tuple[str, int, str] = ("place", 1, "basic"),
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        record: bool = True,
    ) -> None:
        self.folder = folder
        self.cell = f"run-{os.getpid()}-{secrets.token_hex(2)}"
        self.names = tuple(name for name in NODES if record or name != "recorder")
        self._scene = scene
        self.parameters = {name: dict(values) for name, values in (parameters or {}).items()}
        self._token = secrets.token_hex(16)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.referee = RefereeClient(self.cell, self._token)

    @property
    def bag(self) -> Path:
        """The recording's folder."""
        return self.folder / "bag"

    def __enter__(self) -> Stack:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        try:
            self._start_cell()
            self._start_nodes()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise StackError where a process has ended by itself."""
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None:
                lines = self._log(name).read_text(errors="replace").strip().splitlines()
                last = f": {lines[-1]}" if lines else "."
                raise StackError(f"{name} ended with code {code}{last}")

    def close(self) -> None:
        """End everything; the recorder first, so that it closes its file in peace."""
        for name in sorted(self._processes, key=lambda name: name != "recorder"):
            if self._processes[name].poll() is None:
                self._processes[name].send_signal(signal.SIGINT)
        deadline = time.monotonic() + ENDING
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _start_cell(self) -> None:
        family, seed, axis = self._scene
        words = ["cell", "--name", self.cell, "--family", family, "--seed", str(seed)]
        command = [sys.executable, "-m", "hierarchy_nodes.cli.main", *words, "--axis", axis]
        # Through the environment: the command line is for everybody to read.
        self._run("cell", command, {TOKEN_VARIABLE: self._token})

    def _start_nodes(self) -> None:
        defaults: dict[str, dict[str, Any]] = {
            "arm": {"driver": "mujoco", "mujoco.cell": self.cell},
            "camera": {"driver": "mujoco", "mujoco.cell": self.cell},
            "recorder": {"directory": str(self.folder), "name": "bag", "repair": False},
        }
        for name in self.names:
            values = defaults.get(name, {}) | self.parameters.get(name, {})
            command = [sys.executable, "-m", f"hierarchy_nodes.{name}.node"]
            pairs = [part for key, value in values.items() for part in ("-p", f"{key}:={value}")]
            self._run(name, [*command, "--ros-args", *pairs] if pairs else command)

    def _run(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> None:
        with open(self._log(name), "wb") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | dict(environment or {}),
                # Ctrl-C is for this process alone, which then ends the others in order.
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def verdict(self, patience: float = 3.0) -> tuple[bool, str]:
        """The referee's word; things that still move get `patience` seconds to come to rest."""
        deadline = time.monotonic() + patience
        while True:
            try:
                verdict = self.referee.verdict()
            except DriverError as error:
                return False, str(error)
            if verdict.success or time.monotonic() > deadline:
                return verdict.success, verdict.reason
            time.sleep(0.2)
