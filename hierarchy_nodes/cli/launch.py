"""``hierarchy launch FILE name:=value ...``: what ``ros2 launch`` does with the same file."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.launcher import Event, Launcher, find_file, load
from hierarchy_nodes.launcher.interpreter import declared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="launch file: a path, or a name such as bringup.launch.xml")
    parser.add_argument("arguments", nargs="*", metavar="name:=value", help="launch arguments")
    parser.add_argument(
        "-s", "--show-args", "--show-arguments", action="store_true", help="list the arguments"
    )
    parser.add_argument("--log-dir", type=Path, help="folder for the output of each process")


def run(arguments: argparse.Namespace) -> int:
    path = find_file(arguments.file)
    if arguments.show_args:
        show(path)
        return 0
    launch = load(path, parse(arguments.arguments))
    if not launch.processes:
        raise ConfigError(f"{path}: nothing to start with these arguments.")
    return supervise(Launcher(launch.processes, _print_line, arguments.log_dir), launch.processes)


def parse(words: list[str]) -> dict[str, str]:
    """``name:=value`` words as a dictionary; the last of a name wins."""
    values = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not sign or not name:
            raise ConfigError(f"'{word}': launch arguments are given as name:=value.")
        values[name] = value
    return values


def show(path: Path) -> None:
    """Print the arguments that the file declares."""
    lines = ["Arguments (pass arguments as '<name>:=<value>'):"]
    for argument in declared(path).values():
        default = argument.default
        lines += ["", f"    '{argument.name}':", f"        {argument.description}"]
        if argument.choices:
            lines.append(f"        one of: {', '.join(argument.choices)}")
        lines.append("        (required)" if default is None else f"        (default: '{default}')")
    print("\n".join(lines))


def supervise(launcher: Launcher, processes: list[Any]) -> int:
    """Run until everything ended, or Ctrl-C or SIGTERM; returns the exit code."""
    # No Event: its lock may be held by the very thread that the signal interrupts.
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked.append(received))
    specs = {spec.name: spec for spec in processes}
    failed = False
    try:
        for event in launcher.start():
            _print_event(event, respawn=False)
        ended = False
        while launcher.alive() and not ended and not asked:
            for event in launcher.poll():
                spec = specs[event.name]
                _print_event(event, spec.respawn)
                failed |= bool(event.code) and not spec.respawn
                if event.kind == "ended" and spec.essential:
                    ended = True
            time.sleep(0.05)
    finally:
        begun = time.monotonic()
        codes = launcher.shutdown(stop_first=[n for n in specs if n.endswith("recorder")])
        if codes:
            _print_line(
                "launch", f"ended {len(codes)} processes in {time.monotonic() - begun:.1f} s"
            )
    return int(failed)


def _print_event(event: Event, respawn: bool) -> None:
    if event.kind == "started":
        _print_line("launch", f"{event.name} started (pid {event.pid})")
    else:
        again = ", will be started again" if respawn else ""
        _print_line("launch", f"{event.name} ended with code {event.code}{again}")


def _print_line(name: str, line: str) -> None:
    # One write a line, so that lines of several processes do not mix.
    os.write(sys.stdout.fileno(), f"[{name}] {line}\n".encode())
