"""What a skill of the expert is: from the truth as it is now, all that is still to be done.

`decide` keeps next to no memory: whatever happened to the thing, the arm or the gripper, the legs
lead from there to the end of the task. So they can be asked for in any state, also in one that
somebody else brought about. After a stroke with closed fingers (push, press, close, knock) the
gripper opens on the way up: whoever looks at one moment only can tell "done" from "to do" by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from hierarchy_nodes.controller.lifting import nearest_yaw
from hierarchy_nodes.geometry import top_down, yaw_of
from hierarchy_nodes.learning.legs import Leg
from hierarchy_nodes.learning.world import World
from hierarchy_nodes.types import Array, Gripper, Interaction, Pose

# Metres: of travel (nothing on the table reaches so high), over the table, beside a thing.
HIGH, FLOOR, ROOM = 0.20, 0.010, 0.035
HOME = np.array([0.35, 0.0, 0.40])
WIDTH = 0.08  # between the open fingers
# Openings a second, and how long a grip must last before it is trusted, seconds.
FINGER_RATE, GRIP_TIME = 2.5, 0.1
OPEN, SHUT = 0.9, 0.1
ANGLE = 0.12  # radians of yaw that do not matter


@dataclass(frozen=True)
class Decision:
    """What is still to be done, in a word, and whether it is nothing."""

    legs: list[Leg]
    phase: str
    done: bool = False


class Skill(ABC):
    """One task family.

    Args:
        world: The truth; made before the arm moves.

    Attributes:
        interaction: What a plan calls it.
        first: What a plan says about the gripper at its first point.
    """

    interaction = Interaction.NONE
    first = Gripper.CLOSE

    def __init__(self, world: World) -> None:
        self.world = world
        self.reset()

    def reset(self) -> None:  # noqa: B027 - most have nothing to forget
        """Forget what little is remembered."""

    @abstractmethod
    def decide(self, tool: Pose, grip: float) -> Decision:
        """What is still to be done with the tool at `tool` and the gripper open by `grip`."""

    def _retreat(self, tool: Pose, grip: float, held: float = 0.0) -> Decision:
        """Straight up with open fingers, then home. `held`: opening that frees what is held."""
        up = at(tool.position, HIGH)
        yaw = yaw_of(tool.quaternion)
        away = float(np.linalg.norm(tool.position - HOME))
        legs = []
        if tool.position[2] < HIGH - 0.02:
            free = max(0.0, held + 0.15 - grip) / FINGER_RATE
            if free > 0:
                legs.append(Leg(tool, 1.0, stop=True, wait=free))
            legs.append(Leg(top_down(up, yaw), 1.0))
        legs.append(Leg(top_down(HOME), 1.0, stop=True))
        return Decision(legs, "retreat", away < 0.04 and grip > 0.8)


def at(point: Array, z: float) -> Array:
    return np.array([point[0], point[1], z])


def middle_yaw(yaw: float, tool: Pose, period: float) -> float:
    """The one of ``yaw + k * period`` near the wrist's middle, but no switching at its edge."""
    present = nearest_yaw(yaw, yaw_of(tool.quaternion), period)
    if abs(present) < period / 2 + 0.2:
        return present
    return nearest_yaw(yaw, 0.0, period)


def approach(tool: Pose, over: Leg, grip: float, top: float) -> list[Leg]:
    """Up where the tool is low and off, then above a place."""
    aside = float(np.linalg.norm((tool.position - over.pose.position)[:2]))
    height = HIGH if aside > 0.07 else min(HIGH, top + 0.05)
    if aside > 0.01 and tool.position[2] < height - 0.03:
        up = top_down(at(tool.position, height), yaw_of(tool.quaternion))
        return [Leg(up, grip), over]
    return [over]
