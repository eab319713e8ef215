"""Parts of reports in Markdown and of their pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.learning.comparison import compare


def share(found: dict[str, Any]) -> str:
    """ "196/200 = 98.0% [95.0%, 99.5%]", of a part of an evaluation."""
    low, high = found["interval"]
    return (
        f"{found['successes']}/{found['episodes']} = {found['success_rate']:.1%} "
        f"[{low:.1%}, {high:.1%}]"
    )


def groups(title: str, found: dict[str, Any]) -> Iterator[str]:
    """A table with a row for each group, such as a family or an axis, and a blank line."""
    yield f"| {title} | success |"
    yield "|---|---|"
    for name, part in found.items():
        yield f"| {name} | {share(part)} |"
    yield ""


def bars(parts: Iterable[dict[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentages of success ``(N,)``, and how far their intervals reach down and up ``(2, N)``."""
    rows = [(p["success_rate"], *p["interval"]) for p in parts]
    rates, low, high = 100 * np.array(rows, float).T
    return rates, np.array([rates - low, high - rates])


def runs_in(folder: Path) -> dict[str, Any]:
    """What was measured, by the names of its files."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def beside(title: str, first: Path, second: Path) -> str:
    """A line about two evaluations of the same episodes: how much better the first one is."""
    pair = compare(first, second)
    return (
        f"- {title}, the same {pair['episodes']} episodes: {pair['difference']:+.1%}, "
        f"p = {pair['p']:.2g}"
    )
