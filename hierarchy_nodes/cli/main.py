"""``hierarchy SUBCOMMAND``: subcommands are modules, imported only when called."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from hierarchy_nodes.environment import prepare
from hierarchy_nodes.errors import HierarchyError

# Each module offers add_arguments(parser) and run(arguments) -> exit code.
COMMANDS = {
    "demo": "Do one spoken-language task in the simulated cell and show how it went",
    "launch": "Start a launch file where the ros2 command line is not installed",
    "devices": "List the drivers and what is attached",
    "check": "Load and check a configuration file without moving anything",
    "cell": "Run the simulated work cell",
    "collect": "Collect demonstrations of the expert for training",
    "train": "Train a policy from demonstrations",
    "evaluate": "Measure success over many seeded episodes",
    "bench": "Measure latencies and tracking",
    "corrections": "List, show and export what people corrected, out of recordings",
    "learn": "Learn from what people corrected: new weights of the compact planner",
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="hierarchy", description="Talk to a robot arm.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    try:
        prepare()
        for name, text in COMMANDS.items():
            subparser = subparsers.add_parser(name, help=text, description=text)
            if name == chosen:
                import_module(f"hierarchy_nodes.cli.{name}").add_arguments(subparser)
        arguments = parser.parse_args(argv)
        code = int(import_module(f"hierarchy_nodes.cli.{arguments.command}").run(arguments))
        sys.stdout.flush()
        return code
    except HierarchyError as error:
        print(f"hierarchy {chosen}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read it has read enough, such as `head`; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
