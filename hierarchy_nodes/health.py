"""How a part of the stack is doing, free of ROS; `diagnostics` publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OK, WARN, ERROR, STALE = 0, 1, 2, 3


@dataclass(frozen=True)
class Report:
    """How one part is doing.

    Attributes:
        level: OK, WARN, ERROR or STALE.
        message: One line for a person.
        values: Names to numbers or words; floats are shortened.
        part: Name below the node's, empty for the node itself.
    """

    level: int
    message: str
    values: Mapping[str, object] = field(default_factory=dict)
    part: str = ""
