"""``hierarchy devices``: which drivers there are, and what is attached."""

from __future__ import annotations

import argparse
import inspect
import json
from importlib.metadata import entry_points
from typing import Any

from hardware.base import ARMS, CAMERAS, MICROPHONES
from hierarchy_nodes.errors import HierarchyError
from hierarchy_nodes.registry import Registry

KINDS: dict[str, Registry] = {"arm": ARMS, "camera": CAMERAS, "microphone": MICROPHONES}
_COLUMNS = ("kind", "name", "from", "usable", "attached", "what")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=list(KINDS), help="only drivers of this kind")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    found = [row for kind in kinds for row in drivers(kind)]
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return 0


def drivers(kind: str) -> list[dict[str, Any]]:
    """One mapping a driver of `kind`: name, class, from, usable, problem, attached, what."""
    registry = KINDS[kind]
    foreign = {
        point.name: point.dist.name if point.dist else "an installed package"
        for point in entry_points(group=registry.group)
    }
    rows = []
    for name, target in sorted(registry.targets().items()):
        builtin = target.startswith("hardware.")
        row: dict[str, Any] = {
            "kind": kind,
            "name": name,
            "class": target,
            "from": "built in" if builtin else foreign.get(name, "an installed package"),
            "usable": True,
            "problem": "",
            "attached": [],
            "what": "",
        }
        try:
            driver = registry.get(name)
            row["what"] = (inspect.getdoc(driver) or "").partition("\n")[0]
            row["attached"] = driver.discover()
        # A driver from another package may raise anything, and the others are still to be listed.
        except Exception as error:  # noqa: BLE001
            row["usable"] = False
            shown = str(error) if isinstance(error, HierarchyError) else repr(error)
            row["problem"] = shown
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in columns, as wide as they need to be."""
    lines = [_COLUMNS]
    for row in rows:
        usable = "yes" if row["usable"] else "no"
        attached = ", ".join(row["attached"]) or "-"
        what = row["what"] if row["usable"] else row["problem"]
        lines.append((row["kind"], row["name"], row["from"], usable, attached, what))
    widths = [max(len(line[k]) for line in lines) for k in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
