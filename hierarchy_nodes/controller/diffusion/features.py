"""What the policy looks at, as arrays of fixed shape: the same in training and on the robot."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.types import Role

POINTS = 256
PATH_POINTS = 8
# Value in `Features.point_roles`, and row - 1 in `Features.things`.
ROLES = {Role.TARGET: 1, Role.GOAL: 2, Role.AVOID: 3}
# A chunk has this many poses, this many seconds apart; the first is one period ahead.
HORIZON, PERIOD = 16, 0.1


@dataclass(frozen=True)
class Features:
    """One observation in the base frame, before anything is normalised or made relative.

    Channels that are missing are zeros with their flag at 0.

    Attributes:
        points: ``(POINTS, 3)`` float32, metres: a sample of what stands on the table, without the
            robot; half of it from the masks where there are any, repeated where there is little.
        point_colors: ``(POINTS, 3)`` uint8 RGB.
        point_roles: ``(POINTS,)`` uint8, 0 or a value of `ROLES`.
        tool: ``(7,)`` float32 measured position in metres and quaternion (w, x, y, z).
        joints: ``(7,)`` float32 radians.
        gripper: ``(1,)`` float32 measured opening in [0, 1].
        things: ``(3, 9)`` float32, a row a role: centroid, size (metres), cosine and sine of twice
            the yaw, health.
        things_there: ``(3,)`` float32, 1 where the plan has a thing of that role.
        path: ``(PATH_POINTS, 6)`` float32: where each point's ray from the camera meets the planes
            z = 0 and z = 0.3, so that it means the same to every camera.
        path_pixels: ``(PATH_POINTS, 2)`` float32 normalised image coordinates.
        path_gripper: ``(PATH_POINTS,)`` uint8, a value of ``types.Gripper``.
        path_there: ``(PATH_POINTS,)`` float32.
        camera: ``(11,)`` float32 position and quaternion of the optical frame, then fx, fy, cx, cy
            divided by the image width (fx, cx) and height.
        motion: ``(6,)`` float32: direction, metres still to go along it, radians still to turn,
            weight.
        motion_gripper: ``(1,)`` uint8, a value of ``types.Gripper``.
        motion_there: ``(1,)`` float32, 1 while a correction overrides the plan.
        interaction: ``(1,)`` uint8, index in ``types.Interaction``.
        text: The instruction in words.
    """

    points: NDArray[np.float32]
    point_colors: NDArray[np.uint8]
    point_roles: NDArray[np.uint8]
    tool: NDArray[np.float32]
    joints: NDArray[np.float32]
    gripper: NDArray[np.float32]
    things: NDArray[np.float32]
    things_there: NDArray[np.float32]
    path: NDArray[np.float32]
    path_pixels: NDArray[np.float32]
    path_gripper: NDArray[np.uint8]
    path_there: NDArray[np.float32]
    camera: NDArray[np.float32]
    motion: NDArray[np.float32]
    motion_gripper: NDArray[np.uint8]
    motion_there: NDArray[np.float32]
    interaction: NDArray[np.uint8]
    text: str

    def arrays(self) -> dict[str, NDArray]:
        """All but the text, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "text"}
