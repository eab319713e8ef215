"""``hierarchy bench``: latencies and tracking, each beside its target."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hierarchy_nodes.errors import ConfigError, UnknownNameError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hierarchy_nodes.bench.session import NAMES

    names = "; ".join(f"{name}: {text}" for name, text in NAMES.items())
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write figures")
    parser.add_argument(
        "--only", default="", metavar="NAMES", help=f"comma-separated, out of: {names}"
    )
    parser.add_argument("-n", type=int, default=200, help="values of each (default %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="how long the arm loop is watched (default %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    from hierarchy_nodes.demo.stack import end_on_sigterm, private_domain

    private_domain()
    end_on_sigterm()

    from hierarchy_nodes.bench import results, session

    names = [name.strip() for name in arguments.only.split(",") if name.strip()]
    for name in names:
        if name not in session.NAMES:
            raise UnknownNameError("measurement", name, session.NAMES)
    if arguments.n < 1 or arguments.seconds <= 0:
        raise ConfigError(f"-n {arguments.n} and --seconds {arguments.seconds} must be positive.")

    shown = ""
    terminal = sys.stderr.isatty()

    def told(name: str, done: int, count: int) -> None:
        nonlocal shown
        if terminal:
            print(f"\r\033[K{name} {done}/{count}", end="", file=sys.stderr, flush=True)
            return
        tenth = f"{name} {10 * done // max(1, count)}"
        if tenth != shown:
            # In a file, a line for each tenth.
            print(f"{name} {done}/{count}", file=sys.stderr, flush=True)
            shown = tenth

    found = session.run(names or list(session.NAMES), arguments.n, arguments.seconds, told)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr)
    print(results.table(found))
    if arguments.json is not None:
        arguments.json.write_text(results.as_json(found), encoding="utf-8")
        print(f"\nwritten: {arguments.json}")
    return 0
