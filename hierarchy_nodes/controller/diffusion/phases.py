"""A word for a person for what a chunk is about."""

from __future__ import annotations

import numpy as np

from hierarchy_nodes.types import Array, Interaction

# An opening between these is a held thing.
HELD = (0.04, 0.9)
_CONTACT = 0.06
_TURN = 0.12
_VERBS = {
    Interaction.PUSH: "push",
    Interaction.PRESS: "press",
    Interaction.CLOSE: "push",
    Interaction.KNOCK: "knock",
}


def phase_of(
    chunk: Array, tool: Array, gripper: float, interaction: Interaction, target: Array | None
) -> str:
    """``approach``, ``grasp``, ``carry``, ``release``, ``retreat``, or the interaction's verb.

    Args:
        chunk: ``(N, 8)`` base frame.
        tool: ``(3,)`` measured, metres.
        gripper: Measured opening.
        interaction: Of the plan.
        target: ``(3,)`` top of the target, or None.
    """
    wanted = float(chunk[: len(chunk) // 2, 7].mean())
    still = float(np.linalg.norm(chunk[len(chunk) // 2, :3] - tool)) < 0.03
    if still and wanted - gripper > _TURN:
        return "release"
    if still and gripper - wanted > _TURN and gripper > HELD[1]:
        return "grasp"
    rises = float(chunk[-1, 2] - tool[2]) > 0.02
    near = target is not None and float(np.linalg.norm(target - tool)) < _CONTACT
    if interaction in _VERBS:
        if near and not rises:
            return _VERBS[interaction]
    elif HELD[0] < gripper < HELD[1] and wanted < 0.5:
        return "pull" if interaction == Interaction.OPEN else "carry"
    if rises:
        return "retreat"
    return "approach"
