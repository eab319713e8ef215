"""Start real nodes as processes, listen to their topics, and end them by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Graph:
    """A set of node processes and one observing node of the test's own."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._node: Any = None

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._node is not None:
            import rclpy

            self._executor.shutdown()
            self._node.destroy_node()
            rclpy.shutdown()

    def start(
        self, name: str, module: str, /, *arguments: str, namespace: str = "", **parameters: Any
    ) -> subprocess.Popen[bytes]:
        """Run ``python -m module`` with ROS parameters; dots in names are written as ``__``."""
        command = [sys.executable, "-m", module, *arguments]
        ros: list[str] = []
        for key, value in parameters.items():
            ros += ["-p", f"{key.replace('__', '.')}:={value}"]
        if namespace:
            ros += ["-r", f"__ns:=/{namespace.strip('/')}"]
        if ros:
            command += ["--ros-args", *ros]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy())
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """As if the plug were pulled."""
        self.processes[name].kill()
        self.processes[name].wait()

    @property
    def node(self) -> Any:
        """The test's own node."""
        if self._node is None:
            import rclpy
            from rclpy.executors import SingleThreadedExecutor

            rclpy.init()
            self._node = rclpy.create_node("test_observer")
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self._node)
        return self._node

    def listen(self, topic: str, kind: Any, profile: Any) -> list[Any]:
        """Collect messages of a topic as (arrival time.monotonic(), message)."""
        box = self.received[topic]
        self.node.create_subscription(
            kind, topic, lambda message: box.append((time.monotonic(), message)), profile
        )
        return box

    def spin(self, seconds: float) -> None:
        self.wait_for(lambda: False, seconds, must=False)

    def wait_for(self, done: Callable[[], Any], timeout: float, must: bool = True) -> Any:
        """Spin until ``done()`` is true and return what it returned."""
        _ = self.node
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            result = done()
            if result:
                return result
            self._executor.spin_once(timeout_sec=0.02)
        if must:
            raise AssertionError(f"nothing within {timeout} s")
        return None
