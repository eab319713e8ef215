"""A process that is started again does not take over the port of the one that was killed."""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hierarchy_nodes import dead_ports, environment

environment.prepare()

MAP = """
    import mmap, sys, time
    with open(sys.argv[1], "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    print("mapped", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(dead_ports, "_held", {})
    for name in ("written", "unused", "alive"):
        (tmp_path / f"fastrtps_port{name}").write_bytes(bytes(mmap.PAGESIZE))
        (tmp_path / f"fastrtps_port{name}_el").touch()
    yield tmp_path
    for file in dead_ports._held.values():
        os.close(file)


def locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@pytest.mark.parametrize("removed", [False, True])
def test_dead_ports_that_somebody_writes_to_are_held_back(folder, removed):
    port = folder / "fastrtps_portwritten"
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(MAP), str(port)], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout.readline() == b"mapped\n"
        if removed:
            port.unlink()
        with (folder / "fastrtps_portalive_el").open() as reader:
            fcntl.flock(reader, fcntl.LOCK_EX)
            assert dead_ports.hold_back(folder) == ["fastrtps_portwritten"]
        assert locked(folder / "fastrtps_portwritten_el")
        assert not locked(folder / "fastrtps_portunused_el")
        # A second time they are in use, by this process.
        assert dead_ports.hold_back(folder) == []
    finally:
        writer.kill()
        writer.wait()


def test_somebody_who_only_looks_is_no_reader(folder, monkeypatch):
    port = folder / "fastrtps_portwritten"
    with port.open("r+b") as file, (folder / f"{port.name}_el").open() as looking:
        memory = mmap.mmap(file.fileno(), 0)
        fcntl.flock(looking, fcntl.LOCK_EX)
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        assert dead_ports.hold_back(folder) == ["fastrtps_portwritten"]
        memory.close()


NODE = """
    from hierarchy_nodes import dead_ports, environment
    environment.prepare()
    import rclpy
    from std_msgs.msg import String
    held = dead_ports.hold_back()
    locks = [path.name[:-3] for path in dead_ports.SHARED_MEMORY.glob("fastrtps_port*_el")]
    print(*held, "|", *locks, flush=True)
    input()
    rclpy.init()
    node = rclpy.create_node("ear")
    heard = node.create_publisher(String, "test_dead_ports/heard", 10)
    node.create_subscription(String, "test_dead_ports/said", heard.publish, 10)
    print("listening", flush=True)
    rclpy.spin(node)
"""


def ports(pid: int) -> set[str]:
    """That a process has locked."""
    files = [os.readlink(file.path) for file in os.scandir(f"/proc/{pid}/fd")]
    return {m[1] for f in files if (m := re.match(r"/dev/shm/(fastrtps_port\d+)_el", f))}


def mapped() -> set[str]:
    """That this process may still write to."""
    return set(re.findall(r"/dev/shm/(fastrtps_port\d+)", Path("/proc/self/maps").read_text()))


def test_a_killed_node_comes_back_elsewhere_and_hears(graph):
    from std_msgs.msg import String

    said = graph.node.create_publisher(String, "test_dead_ports/said", 10)
    heard = graph.listen("test_dead_ports/heard", String, 10)
    dead: set[str] = set()
    for turn in range(3):
        ear = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(NODE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            held, locks = (set(part.split()) for part in ear.stdout.readline().split("|"))
            # Of those that this process has noticed to be dead it has removed the locks.
            assert held >= dead & mapped() & locks
            print("go on", file=ear.stdin, flush=True)
            assert ear.stdout.readline() == "listening\n"

            def echoed(turn=turn):
                said.publish(String(data=str(turn)))
                return any(message.data == str(turn) for _, message in heard)

            graph.wait_for(echoed, 30.0)
            listening = ports(ear.pid) - held
            assert len(listening) == 2, "one port for discovery, and one for data"
            dead |= listening
        finally:
            ear.send_signal(signal.SIGKILL)
            ear.wait()
