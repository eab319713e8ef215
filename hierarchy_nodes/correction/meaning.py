"""Whether two ways to say something mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from hierarchy_nodes.types import Correction


def meanings(corrections: Iterable[Correction]) -> list[tuple[Any, ...]]:
    """What `corrections` ask for, without the words that make no difference; to be compared."""
    return [_meaning(correction) for correction in corrections]


def _meaning(c: Correction) -> tuple[Any, ...]:
    motion: tuple[Any, ...] = ()
    if c.motion is not None:
        m = c.motion
        motion = (*np.round(m.direction, 2), round(m.distance, 4), round(m.rotation, 3), m.gripper)
    words = re.sub(r"\b(?:the|a|an)\b ?", "", c.phrase)
    return (c.kind, c.accepted, round(c.speed_factor, 2), motion, c.role, words)
