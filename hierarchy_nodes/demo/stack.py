"""The simulated cell and the whole graph as processes, started from the launch file."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardware.cell.client import TOKEN_VARIABLE, RefereeClient
from hierarchy_nodes.demo.client import StackError
from hierarchy_nodes.errors import DriverError
from hierarchy_nodes.launcher import Launcher, ProcessSpec, find_file, load

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
# With the launch file's speech:=true, too.
LISTENING = ("microphone", "speech")


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
        arguments: Of the launch file, over those that follow from the others.
        parameters: ROS parameters by node, over the launch file's.
        record: Whether the recorder runs.
        respawn: Whether a process that ends is started again.
        without: Processes of the launch file that are not started, for somebody else is in their
            place.

    Attributes:
        arguments, parameters: May be changed until entry.
        referee: Knows the truth about the cell; no node has its token.
    """

    def __init__(
        self,
        folder: Path,
        scene: tuple[str, int, str] = ("place", 1, "basic"),
        arguments: Mapping[str, str] | None = None,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        record: bool = True,
        respawn: bool = False,
        without: Collection[str] = (),
    ) -> None:
        self.folder = folder
        self.cell = f"run-{os.getpid()}-{secrets.token_hex(2)}"
        self._without = {*without} | ({"recorder"} if not record else set())
        listens = (arguments or {}).get("speech") == "true"
        nodes = (*NODES, *LISTENING) if listens else NODES
        self.names = tuple(name for name in nodes if name not in self._without)
        self._scene = scene
        self.parameters = {name: dict(values) for name, values in (parameters or {}).items()}
        self.arguments = dict(arguments or {})
        self._record = record
        self._respawn = respawn
        self._token = secrets.token_hex(16)
        self.referee = RefereeClient(self.cell, self._token)

    @property
    def bag(self) -> Path:
        """The recording's folder."""
        return self.folder / "bag"

    def __enter__(self) -> Stack:
        self._launcher = Launcher(self._processes(), log_folder=self.folder / "logs")
        self._launcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The recorder first, so that it records no farewells of the others as losses.
        self._launcher.shutdown(stop_first=["recorder"])

    @property
    def pids(self) -> dict[str, int]:
        """Of the processes that run now: the nodes by name, and ``cell``."""
        running = self._launcher.pids.items()
        return {"cell" if name == self.cell else name: pid for name, pid in running}

    def check(self) -> None:
        """Start again what is to be respawned; StackError where another process has ended."""
        for event in self._launcher.poll():
            if event.kind == "ended" and not self._respawn:
                log = self.folder / "logs" / f"{event.name}.log"
                lines = log.read_text(errors="replace").strip().splitlines()
                raise StackError(
                    f"{event.name} ended with code {event.code}: {lines[-1] if lines else ''}"
                )

    def _processes(self) -> list[ProcessSpec]:
        """What the launch file asks for, with what is this run's own."""
        family, seed, axis = self._scene
        arguments = {
            "cell": self.cell,
            "family": family,
            "seed": str(seed),
            "axis": axis,
            "record": "true" if self._record else "false",
            "record_dir": str(self.folder),
            "use_respawn": "true" if self._respawn else "false",
            **self.arguments,
        }
        own = {"recorder": {"name": "bag", "repair": False}, **self.parameters}
        specs = load(find_file("bringup.launch.xml"), arguments).processes
        found = []
        for spec in specs:
            if spec.name in self._without:
                continue
            if spec.name == self.cell:
                # Through the environment: a command line is for everybody to read.
                environment = {**spec.environment, TOKEN_VARIABLE: self._token}
                spec = replace(spec, environment=environment)
            elif spec.name in own:
                spec = replace(spec, parameters=(*spec.parameters, dict(own[spec.name])))
            found.append(spec)
        return found

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
