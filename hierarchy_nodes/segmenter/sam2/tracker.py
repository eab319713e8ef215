"""What the backend asks of a mask tracker; a model, or a script in the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.types import Array


@dataclass(frozen=True)
class Guess:
    """Where a tracker believes one thing to be on the present image.

    Attributes:
        mask: ``(H, W)`` bool.
        score: Whether the thing is in the image at all, in [0, 1].
        iou: How well the mask fits by the tracker's own account, in [0, 1].
        look: ``(C,)`` what the masked pixels look like to it; only its direction counts.
    """

    mask: NDArray[np.bool_]
    score: float
    iou: float
    look: Array


class MaskTracker(Protocol):
    """Follows things that are known by a key. A guess changes nothing until it is remembered."""

    def show(self, color: NDArray[np.uint8]) -> None:
        """Make ``(H, W, 3)`` RGB the present image."""

    def point(self, key: int, x: float, y: float) -> Guess:
        """The thing at normalised (x, y); remembered, it replaces what was known by `key`."""

    def follow(self, key: int) -> Guess:
        """The thing that `key` has been remembered as."""

    def remember(self, key: int) -> None:
        """The last guess for `key` is right: it is what the thing looks like now."""

    def forget(self, key: int) -> None:
        """Nobody asks for `key` again."""
