"""The tool waits where it lets go until the fingers have opened.

Fingers that squeeze something need a moment until they give way; a tool that rises meanwhile takes
the thing along, and drops it from there.
"""

from __future__ import annotations

import numpy as np

from hierarchy_nodes.controller.diffusion.phases import HELD
from hierarchy_nodes.types import Array

_OPEN = 0.5
# What has opened by so much has let go.
_GIVEN_WAY = 0.05
# Fingers that do not open until then do not at all: seconds.
_PATIENCE = 1.5


class Fingers:
    """Whether something is held, and where it is being let go; for one plan."""

    def __init__(self) -> None:
        self._told_open = True
        self._where: Array | None = None
        self._held, self._since = 0.0, 0.0

    def move_on(self) -> None:
        """Stop waiting: the tool was told to go elsewhere."""
        self._where = None

    def waited_for(self, chunk: Array, gripper: float, now: float) -> Array:
        """The chunk ``(N, 8)``, at one place as long as the fingers have not given way.

        Args:
            chunk: Base frame, metres.
            gripper: Measured opening.
            now: Seconds.
        """
        told_open = bool(chunk[0, 7] > _OPEN)
        if told_open and not self._told_open and HELD[0] < gripper < HELD[1]:
            self._where, self._held, self._since = chunk[0, :7].copy(), gripper, now
        self._told_open = told_open
        given_way = gripper > self._held + _GIVEN_WAY or now - self._since > _PATIENCE
        if not told_open or given_way:
            self._where = None
        if self._where is None:
            return chunk
        return np.hstack([np.tile(self._where, (len(chunk), 1)), chunk[:, 7:]])
