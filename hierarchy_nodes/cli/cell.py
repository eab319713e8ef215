"""``hierarchy cell``: run the simulated work cell."""

from __future__ import annotations

import argparse
import os
import signal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hardware.cell.server import ServerOptions
    from hardware.cell.tasks import AXES, FAMILIES

    usual = ServerOptions()
    parser.add_argument(
        "--name", default=usual.name, help="what the drivers call it, or tcp://host:port"
    )
    parser.add_argument(
        "--family", default=usual.family, choices=FAMILIES, help="kind of task to lay the table for"
    )
    parser.add_argument("--axis", default=usual.axis, choices=AXES, help="what is varied")
    parser.add_argument("--seed", type=int, default=usual.seed, help="which scene")
    parser.add_argument(
        "--speed", type=float, default=usual.speed, help="simulated seconds per second"
    )
    parser.add_argument("--width", type=int, default=usual.width, help="of the images, pixels")
    parser.add_argument("--height", type=int, default=usual.height, help="of the images, pixels")
    parser.add_argument("--rate", type=float, default=usual.rate, help="images per second")
    parser.add_argument(
        "--referee-token",
        default=os.environ.get("HIERARCHY_REFEREE_TOKEN", ""),
        help="open the referee's door to those who know it (also HIERARCHY_REFEREE_TOKEN)",
    )


def run(arguments: argparse.Namespace) -> int:
    from hardware.cell.server import CellServer, ServerOptions

    server = CellServer(
        ServerOptions(
            arguments.name,
            arguments.family,
            arguments.axis,
            arguments.seed,
            arguments.speed,
            arguments.width,
            arguments.height,
            arguments.rate,
            arguments.referee_token,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    print(
        f"cell '{arguments.name}' ready: {server.task.family}, seed {arguments.seed}: "
        f'"{server.task.instruction}"',
        flush=True,
    )
    server.run()
    return 0
