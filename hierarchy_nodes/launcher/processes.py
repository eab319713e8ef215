"""Child processes: started together, respawned, prefixed, and gone with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.launcher.shared_memory import sweep

# Seconds after the first signal at which the next ones follow; all are gone within five.
TERMINATE_AFTER, KILL_AFTER = 2.0, 3.5
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessSpec:
    """What to run.

    Attributes:
        name: Of the process, unique; for nodes the full name without the leading slash.
        command: Program and arguments, without ROS arguments.
        environment: Over that of this process.
        screen: Whether its output is shown.
        essential: Everything ends with it.
        ros: Whether it takes ROS arguments, made from the attributes below.
        node: Name to give to the node; empty leaves its own.
        parameters: YAML files and name-value pairs; later ones override.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    respawn: bool = False
    respawn_delay: float = 0.0
    screen: bool = True
    essential: bool = False
    ros: bool = False
    node: str = ""
    namespace: str = "/"
    parameters: tuple[Path | dict[str, Any], ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened to a process: ``started``, ``ended`` (with its code)."""

    kind: str
    name: str
    pid: int
    code: int | None = None


@dataclass
class _Child:
    spec: ProcessSpec
    process: subprocess.Popen[bytes] | None = None
    restart_at: float | None = None
    starts: int = 0


class Launcher:
    """Runs processes until :meth:`shutdown`; the caller calls :meth:`poll` now and then.

    Children ignore Ctrl-C on the terminal (they have process groups of their own) and die with
    this process, even if it is killed. Start it from a thread that lives as long as it does.

    Args:
        processes: What to run.
        on_line: Called with (name, line) for each line of output, from reader threads.
        log_folder: Where each process's output is also written, as ``NAME.log``.
    """

    def __init__(
        self,
        processes: Iterable[ProcessSpec],
        on_line: Callable[[str, str], None] | None = None,
        log_folder: Path | None = None,
    ) -> None:
        self._children = {spec.name: _Child(spec) for spec in processes}
        self._on_line = on_line
        self._log_folder = log_folder
        self._readers: list[threading.Thread] = []
        self._files: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Launcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def pids(self) -> dict[str, int]:
        """Of the processes that run now."""
        running = {}
        for name, child in self._children.items():
            if child.process is not None and child.process.poll() is None:
                running[name] = child.process.pid
        return running

    def alive(self) -> bool:
        """Whether anything runs, will run again, or has ended without :meth:`poll` telling it."""
        return any(c.process or c.restart_at is not None for c in self._children.values())

    def start(self) -> list[Event]:
        """Start everything.

        Raises:
            ConfigError: A program is not there; whatever was started is ended again.
        """
        sweep()
        if self._log_folder is not None:
            self._log_folder.mkdir(parents=True, exist_ok=True)
        self._files = tempfile.TemporaryDirectory(prefix="hierarchy_launch_")
        try:
            return [self._start(child) for child in self._children.values()]
        except BaseException:
            self.shutdown()
            raise

    def poll(self) -> list[Event]:
        """What happened since the last call. Starts again what is to be respawned."""
        events = []
        now = time.monotonic()
        for child in self._children.values():
            process = child.process
            if process is not None and process.poll() is not None:
                child.process = None
                # Whatever it started itself goes with it.
                _signal_group(process.pid, signal.SIGKILL)
                if process.returncode == -signal.SIGKILL:
                    sweep()
                events.append(Event("ended", child.spec.name, process.pid, process.returncode))
                if child.spec.respawn:
                    child.restart_at = now + child.spec.respawn_delay
            if child.restart_at is not None and now >= child.restart_at:
                child.restart_at = None
                events.append(self._start(child))
        return events

    def shutdown(self, stop_first: Iterable[str] = ()) -> dict[str, int]:
        """End everything within five seconds: SIGINT, then SIGTERM, then SIGKILL.

        Args:
            stop_first: Processes that are asked a moment before the others.

        Returns:
            The exit codes of those that still ran.
        """
        for child in self._children.values():
            child.restart_at = None
        begun = time.monotonic()
        running = {
            name: child.process
            for name, child in self._children.items()
            if child.process is not None and child.process.poll() is None
        }
        for name in sorted(running, key=lambda name: name not in set(stop_first)):
            _signal_group(running[name].pid, signal.SIGINT)
        for number, after in ((signal.SIGTERM, TERMINATE_AFTER), (signal.SIGKILL, KILL_AFTER)):
            _wait(running.values(), begun + after)
            for process in running.values():
                if process.poll() is None:
                    _signal_group(process.pid, number)
        _wait(running.values(), begun + 4.5)
        for child in self._children.values():
            if child.process is not None:
                _signal_group(child.process.pid, signal.SIGKILL)
                child.process = None
        for reader in self._readers:
            reader.join(0.5)
        if self._files is not None:
            self._files.cleanup()
            self._files = None
        sweep()
        return {name: process.poll() or 0 for name, process in running.items()}

    def _start(self, child: _Child) -> Event:
        spec = child.spec
        command = [*spec.command, *self._ros_arguments(spec)]
        parent = os.getpid()

        def before_exec() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
            if os.getppid() != parent:
                os._exit(1)
            # Until a node has its own handler, Ctrl-C would print a traceback from its imports.
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **spec.environment},
                start_new_session=True,
                preexec_fn=before_exec,
            )
        except OSError as error:
            raise ConfigError(
                f"{spec.name}: '{command[0]}' cannot be run ({error.strerror})."
            ) from error
        child.process = process
        child.starts += 1
        assert process.stdout is not None
        reader = threading.Thread(
            target=self._read,
            args=(spec, process.stdout),
            name=f"output of {spec.name}",
            daemon=True,
        )
        reader.start()
        self._readers.append(reader)
        return Event("started", spec.name, process.pid)

    def _read(self, spec: ProcessSpec, stream: IO[bytes]) -> None:
        log = None
        if self._log_folder is not None:
            log = open(self._log_folder / f"{spec.name.replace('/', '.')}.log", "ab")  # noqa: SIM115
        try:
            for line in stream:
                if log is not None:
                    log.write(line)
                    log.flush()
                if self._on_line is not None and spec.screen:
                    self._on_line(spec.name, line.decode(errors="replace").rstrip("\n"))
        finally:
            if log is not None:
                log.close()
            stream.close()

    def _ros_arguments(self, spec: ProcessSpec) -> list[str]:
        """As ``ros2 launch`` gives them, in its order."""
        if not spec.ros:
            return []
        arguments = ["--ros-args"]
        if spec.node:
            arguments += ["-r", f"__node:={spec.node}"]
        arguments += ["-r", f"__ns:={spec.namespace}"]
        for number, item in enumerate(spec.parameters):
            path = item
            if isinstance(item, dict):
                assert self._files is not None
                full = f"{spec.namespace.rstrip('/')}/{spec.node}" if spec.node else "/**"
                path = Path(self._files.name) / f"{spec.name.replace('/', '.')}.{number}.yaml"
                path.write_text(yaml.safe_dump({full: {"ros__parameters": item}}), "utf-8")
            arguments += ["--params-file", str(path)]
        for source, target in spec.remaps:
            arguments += ["-r", f"{source}:={target}"]
        return arguments


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wait(processes: Iterable[subprocess.Popen[bytes]], deadline: float) -> None:
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return
