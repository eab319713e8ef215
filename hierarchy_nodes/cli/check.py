"""``hierarchy check``: read a configuration as the nodes would, and say all that is wrong.

Nothing is connected and nothing moves.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hierarchy_nodes.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        nargs="+",
        type=Path,
        metavar="CONFIG",
        help="ROS parameter file, or a device file (kind, driver, options)",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if all files are right, 1 if there are problems, 2 if a file is no YAML mapping."""
    from hierarchy_nodes.configuration import check_file

    worst = 0
    for path in arguments.config:
        try:
            report = check_file(path)
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)
            worst = 2
            continue
        for problem in report.problems:
            print(problem, file=sys.stderr)
        if report.problems:
            count = len(report.problems)
            print(f"{path}: {count} problem{'s' if count > 1 else ''}", file=sys.stderr)
            worst = max(worst, 1)
        else:
            print(f"{path}: right ({', '.join(report.checked) or 'empty'})")
    return worst
