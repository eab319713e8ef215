"""What planners with a learned model share, whatever the model is.

What the person's words are to the grammar, and what a point in the image is on the table.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import ray
from hierarchy_nodes.planner.base import PlanRequest
from hierarchy_nodes.planner.language import Instruction, parse
from hierarchy_nodes.types import Array, Correction, CorrectionKind, Prompt, RgbdFrame


def understood(instruction: str) -> Instruction | None:
    """The first step as the grammar reads it; None if it does not."""
    try:
        return parse(instruction)[0]
    except PlanningError:
        return None


def retargets(request: PlanRequest) -> list[Correction]:
    """The corrections that tell of another target or goal, oldest first."""
    kind = CorrectionKind.RETARGET
    return [c for c in request.corrections if c.kind == kind and c.accepted and c.phrase]


def surface(x: float, y: float, frame: RgbdFrame) -> Array | None:
    """``(3,)`` base frame, what the camera sees at (x, y); None where depth has a hole."""
    height, width = frame.depth.shape
    row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
    patch = frame.depth[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    known = patch[patch > 0]
    if not known.size:
        return None
    depth = float(np.median(known))
    return frame.camera_pose.position + depth * ray(x, y, frame.intrinsics, frame.camera_pose)


def check_reach(
    prompts: Iterable[Prompt], frame: RgbdFrame, nearest: float, farthest: float
) -> None:
    """Refuse what the arm does not reach: distances from the base in metres.

    Raises:
        PlanningError: A prompt is on something nearer than `nearest` or beyond `farthest`.
    """
    for prompt in prompts:
        at = surface(prompt.x, prompt.y, frame)
        if at is None:
            # The controller and the segmenter look for depth around the point.
            continue
        radius = float(np.linalg.norm(at[:2]))
        if not nearest <= radius <= farthest:
            raise PlanningError(
                ErrorCode.OUT_OF_REACH,
                f"The {prompt.label} is out of reach: it is {radius:.2f} m from the base; the arm "
                f"reaches {nearest:.2f} to {farthest:.2f} m.",
            )
