"""Parts of reports in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


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
