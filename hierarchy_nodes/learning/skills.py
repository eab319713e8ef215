"""How the expert does each task family: from the truth as it is now, all that is still to be done.

`decide` keeps next to no memory: whatever happened to the thing, the arm or the gripper, the legs
lead from there to the end of the task. So they can be asked for in any state, also in one that
somebody else brought about. After a stroke with closed fingers (push, press, close, knock) the
gripper opens on the way up: whoever looks at one moment only can tell "done" from "to do" by it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from hardware.cell.scene import CONTAINERS, DRAWER_TRAVEL
from hierarchy_nodes.controller.lifting import nearest_yaw
from hierarchy_nodes.geometry import angle_between, top_down, yaw_of
from hierarchy_nodes.learning.legs import Leg
from hierarchy_nodes.learning.world import KNOB_MIDDLE, KNOB_TIP, World
from hierarchy_nodes.planner.routes import FINGER, segment_distance
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
        up = _at(tool.position, HIGH)
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


def _at(point: Array, z: float) -> Array:
    return np.array([point[0], point[1], z])


def _middle_yaw(yaw: float, tool: Pose, period: float) -> float:
    """The one of ``yaw + k * period`` near the wrist's middle, but no switching at its edge."""
    present = nearest_yaw(yaw, yaw_of(tool.quaternion), period)
    if abs(present) < period / 2 + 0.2:
        return present
    return nearest_yaw(yaw, 0.0, period)


def _approach(tool: Pose, over: Leg, grip: float, top: float) -> list[Leg]:
    """Up where the tool is low and off, then above a place."""
    aside = float(np.linalg.norm((tool.position - over.pose.position)[:2]))
    height = HIGH if aside > 0.07 else min(HIGH, top + 0.05)
    if aside > 0.01 and tool.position[2] < height - 0.03:
        up = top_down(_at(tool.position, height), yaw_of(tool.quaternion))
        return [Leg(up, grip), over]
    return [over]


class Fetch(Skill):
    """What begins with a grasp: place, stack, open a drawer."""

    first = Gripper.OPEN

    def reset(self) -> None:
        self._gripped_since: float | None = None
        self._reopen = False

    def _gripped(self, names: tuple[str, ...], grip: float) -> bool:
        """Whether one of the bodies has been between the fingers for a moment."""
        if grip > 0.97 or not self.world.between_fingers(names):
            self._gripped_since = None
            return False
        if self._gripped_since is None:
            self._gripped_since = self.world.time
        return self.world.time - self._gripped_since >= GRIP_TIME

    def _fetch(
        self, tool: Pose, grip: float, grasp: Pose, width: float, top: float, after: list[Leg]
    ) -> Decision:
        """Above the thing, down, close; then `after`.

        Args:
            grasp: Where the tool closes round the thing.
            width: Of the thing between the fingers, metres.
            top: Height of the thing's top, metres.
        """
        closed = width / WIDTH
        if grip > OPEN:
            self._reopen = False
        elif grip < closed - 0.12:
            self._reopen = True
        over = Leg(top_down(_at(grasp.position, HIGH), yaw_of(grasp.quaternion)), 1.0, key=True)
        wait = max(0.0, grip - closed) / FINGER_RATE + GRIP_TIME + 0.1
        close = Leg(grasp, 0.0, stop=True, wait=wait)
        down = Leg(grasp, 1.0, slow=0.04, stop=True, event=Gripper.CLOSE, key=True)
        error = tool.position - grasp.position
        yaw = yaw_of(grasp.quaternion)
        ahead = abs(error[0] * math.cos(yaw) + error[1] * math.sin(yaw))
        aside = abs(error[1] * math.cos(yaw) - error[0] * math.sin(yaw))
        room = 0.55 * (WIDTH - width) / 2
        turned = angle_between(tool.quaternion, grasp.quaternion)
        closing = grip < 0.95 and not self._reopen
        near = 0.010 if closing else 0.004
        there = abs(error[2]) < near and max(ahead, aside) < near + 0.002 and turned < 2 * ANGLE
        if there and not self._reopen:
            return Decision([close, *after], "grasp")
        wide = min(OPEN, closed + 0.25)
        low = tool.position[2] < top + 0.06
        over_it = ahead < 0.015 and aside < (min(room, 0.012) if low else 0.015)
        if over_it and turned < 2 * ANGLE:
            if grip > wide:
                if not low:
                    near_it = top_down(_at(grasp.position, top + 0.045), yaw)
                    down_first = [Leg(near_it, 1.0), down]
                    return Decision([*down_first, close, *after], "descend")
                return Decision([down, close, *after], "descend")
            aloft = top_down(_at(grasp.position, max(top + 0.05, tool.position[2])), yaw)
            wait = (wide - grip) / FINGER_RATE + 0.05
            return Decision([Leg(aloft, 1.0, stop=True, wait=wait), down, close, *after], "open")
        return Decision([*_approach(tool, over, 1.0, top), down, close, *after], "approach")


class Place(Fetch):
    """Put the target on or in the goal; stacking is the same with less room for error."""

    interaction = Interaction.PLACE

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, target = self.world, self.world.target
        yaw, (_, width, height) = world.box(target)
        here = world.position(target.name)
        if self._gripped((target.name,), grip):
            if self._above_goal(here) and self._letting_go(grip, width):
                return self._retreat(tool, grip, width / WIDTH)
            return Decision(self._carry(tool, tool.position - here, height), "carry")
        if self._rests(here):
            near = float(np.linalg.norm((tool.position - here)[:2])) < 0.06
            return self._retreat(tool, grip, width / WIDTH if near else 0.0)
        self._releasing = False
        round_ones = ("cylinder", "ball", "cup", "bottle")
        if target.shape in round_ones and world.tilt(target.name) < 0.5:
            yaw = _middle_yaw(0.0, tool, math.pi)
        else:
            square = target.shape in ("block", "cross")
            yaw = _middle_yaw(yaw, tool, math.pi / 2 if square else math.pi)
        grasp = top_down(_at(here, max(FLOOR, here[2] - 0.005)), yaw)
        lifted = top_down(_at(here, HIGH), yaw)
        after = self._carry(lifted, grasp.position - here, height)
        up = Leg(lifted, 0.0)
        return self._fetch(tool, grip, grasp, width, here[2] + height / 2, [up, *after])

    def reset(self) -> None:
        super().reset()
        self._releasing = False

    def _letting_go(self, grip: float, width: float) -> bool:
        return self._releasing and grip > width / WIDTH + 0.05

    def _above_goal(self, here: Array) -> bool:
        assert self.world.goal is not None
        goal = self.world.position(self.world.goal.name)
        return float(np.hypot(*(here - goal)[:2])) < self.world.goal.size[0] / 2

    def _surface(self) -> float:
        """Height of what the target will rest on."""
        goal = self.world.goal
        assert goal is not None
        _, (_, _, height) = self.world.box(goal)
        middle = float(self.world.position(goal.name)[2])
        hollow = goal.shape in CONTAINERS
        return middle - height / 2 + 0.006 if hollow else middle + height / 2

    def _rests(self, here: Array) -> bool:
        """Whether the target is where it belongs, be the gripper still near."""
        world, goal = self.world, self.world.goal
        assert goal is not None
        height = world.box(world.target)[1][2]
        there = world.position(goal.name)
        away = float(np.hypot(*(here - there)[:2]))
        reach = goal.size[0] / 2 - 0.004
        rise = float(here[2]) - height / 2 - self._surface()
        touches = goal.shape == "zone" or goal.name in world.touching(world.target.name)
        return away < reach and -0.01 < rise < 0.03 and (touches or rise < 0.008)

    def _carry(self, tool: Pose, hang: Array, height: float) -> list[Leg]:
        """Up, over, down, open, home, with the thing held `hang` below the tool."""
        assert self.world.goal is not None
        goal = self.world.position(self.world.goal.name)
        yaw = yaw_of(tool.quaternion)
        spot = goal[:2] + hang[:2]
        release = np.array([*spot, self._surface() + height / 2 + hang[2] + 0.004])
        down = Leg(top_down(release, yaw), 0.0, slow=0.04, stop=True, event=Gripper.OPEN, key=True)
        let_go = Leg(down.pose, 1.0, stop=True, wait=0.2 / FINGER_RATE + 0.05)
        rest = [let_go, Leg(top_down(_at(release, HIGH), yaw), 1.0), Leg(top_down(HOME), 1.0)]
        away = tool.position - release
        aside = float(np.hypot(*away[:2]))
        tight = self.world.task.family == "stack"
        touches = self.world.goal.name in self.world.touching(self.world.target.name)
        floor = 0.012 if touches else 0.003
        if aside < (0.008 if tight else 0.015) and away[2] < floor:
            self._releasing = True
            return rest
        self._releasing = False
        over = Leg(top_down(_at(release, HIGH), yaw), 0.0, stop=tight, key=True)
        low = tool.position[2] < HIGH - 0.03
        if aside < ((0.010 if low else 0.005) if tight else 0.015):
            return [down, *rest]
        if low:
            return [Leg(top_down(_at(tool.position, HIGH), yaw), 0.0), over, down, *rest]
        return [over, down, *rest]


class OpenDrawer(Fetch):
    """Grasp the knob, pull, let go."""

    interaction = Interaction.OPEN

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, name = self.world, self.world.target.name
        box, axis = world.drawer(name)
        opening = world.opening(name)
        knob = _at(box + KNOB_MIDDLE * axis, 0.045)
        out = knob + axis * (0.97 * DRAWER_TRAVEL - opening)
        yaw = nearest_yaw(math.atan2(axis[1], axis[0]), 0.0, math.pi)
        width = 0.022
        pull = Leg(
            top_down(out, yaw), 0.0, 0.12, slow=0.03, stop=True, event=Gripper.OPEN, key=True
        )
        let_go = Leg(pull.pose, 1.0, stop=True, wait=0.2)
        rest = [let_go, Leg(top_down(_at(out, HIGH), yaw), 1.0), Leg(top_down(HOME), 1.0)]
        # Once open enough the fingers open, and go on opening, until they are out of the way.
        if opening > (0.93 if grip < 0.35 else 0.85) * DRAWER_TRAVEL:
            near = float(np.linalg.norm(tool.position - knob)) < 0.05
            return self._retreat(tool, grip, 0.3 if near else 0.0)
        if self._gripped((f"{name}_box",), grip):
            return Decision([pull, *rest], "pull")
        return self._fetch(tool, grip, top_down(knob, yaw), width, knob[2] + 0.025, [pull, *rest])


class Stroke(Skill):
    """What is done with closed fingers: down at a start, straight to an end, up, home."""

    def _stroke(
        self, tool: Pose, grip: float, start: Array, end: Array, speed: float, top: float
    ) -> Decision:
        """Above `start`, down, to `end`, up. `start` and `end` are at one height."""
        way = (end - start)[:2] / max(float(np.linalg.norm((end - start)[:2])), 1e-9)
        yaw = _middle_yaw(math.atan2(way[1], way[0]), tool, math.pi)
        over = Leg(top_down(_at(start, HIGH), yaw), 0.0, key=True)
        down = Leg(top_down(start, yaw), 0.0, slow=0.03, key=True)
        gentle = speed < 0.2
        sweep = Leg(
            top_down(end, yaw), 0.0, speed, stop=gentle, wait=0.1 if gentle else 0.0, key=True
        )
        rest = [
            Leg(top_down(_at(end, min(HIGH, top + 0.03)), yaw), 0.0),
            Leg(top_down(_at(end, HIGH + 0.02), yaw), 1.0),
            Leg(top_down(HOME), 1.0),
        ]
        error = (tool.position - start)[:2]
        along, across = float(error @ way), float(error[1] * way[0] - error[0] * way[1])
        turned = angle_between(tool.quaternion, over.pose.quaternion)
        low = tool.position[2] - start[2]
        straight = abs(across) < 0.012 and turned < 2 * ANGLE and grip < SHUT + 0.1
        length = float((end - start)[:2] @ way)
        if low < 0.012 and straight and -0.03 < along < length + 0.005 and self._clear(along):
            if abs(across) > 0.005 and along < ROOM - 0.01:
                aligned = np.array([*(start[:2] + along * way), start[2]])
                return Decision([Leg(top_down(aligned, yaw), 0.0), sweep, *rest], "stroke")
            return Decision([sweep, *rest], "stroke")
        aside = float(np.linalg.norm(error))
        above = tool.position[2] > HIGH - 0.04
        ready = turned < ANGLE and grip < SHUT + 0.1
        if low > 0 and aside < (0.012 if above else 0.015) and ready:
            return Decision([down, sweep, *rest], "descend")
        if aside < 0.015 and tool.position[2] < HIGH + 0.02:
            shut = max(0.0, grip - SHUT) / FINGER_RATE
            turn = Leg(top_down(_at(start, tool.position[2]), yaw), 0.0, stop=True, wait=shut)
            return Decision([turn, down, sweep, *rest], "approach")
        legs = _approach(tool, over, 0.0, HIGH)
        return Decision([*legs, down, sweep, *rest], "approach")

    def _clear(self, along: float) -> bool:
        """Whether the tool, `along` metres past the start, still has the thing before it."""
        return True

    def _leave(self, tool: Pose, grip: float, top: float) -> Decision:
        if tool.position[2] < top + 0.02 and grip < 0.5:
            yaw = yaw_of(tool.quaternion)
            clear = Leg(top_down(_at(tool.position, min(HIGH, top + 0.03)), yaw), 0.0)
            return Decision([clear, *self._retreat(tool, grip).legs], "retreat")
        return self._retreat(tool, grip)


class Push(Stroke):
    """Push the target onto the goal, or some way in a direction."""

    interaction = Interaction.PUSH
    distance = 0.115

    def reset(self) -> None:
        self._way: Array | None = None

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, target = self.world, self.world.target
        here = world.position(target.name)
        direction = np.array(world.task.direction)
        goal = world.goal
        if goal is not None:
            there = world.position(goal.name)[:2]
        else:
            there = world.start[:2] + self.distance * direction
        left = there - here[:2]
        away = float(np.linalg.norm(left))
        top = float(here[2]) + world.box(target)[1][2] / 2
        if self._way is None or away > 0.045:
            self._way = left / max(away, 1e-6)
        way = self._way
        if goal is not None:
            done = away < 0.015 or (float(left @ way) < 0.006 and away < 0.045)
        else:
            along = float((here - world.start)[:2] @ direction)
            done = along > self.distance - 0.006
        if done:
            return self._leave(tool, grip, top)
        half = world.half_extent(target, way) + FINGER
        z = max(0.012, 0.3 * top)
        start = np.array([*(here[:2] - way * (half + ROOM)), z])
        end = np.array([*(there - way * half), z])
        if float((end - start)[:2] @ way) < 0.01:
            end = np.array([*(start[:2] + way * 0.01), z])
        return self._stroke(tool, grip, start, end, 0.12, top)

    def _clear(self, along: float) -> bool:
        return along < ROOM + 0.012


class Knock(Stroke):
    """Sweep through the upper part of a bottle."""

    interaction = Interaction.KNOCK

    def reset(self) -> None:
        self._line: tuple[Array, Array] | None = None
        self._way: Array | None = None

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, target = self.world, self.world.target
        here = world.position(target.name)
        height = target.size[2]
        tilt = world.tilt(target.name)
        if tilt > math.radians(65):
            return self._leave(tool, grip, height)
        if tilt < 0.1 or self._line is None:
            if self._way is None:
                self._way = knock_way(world, tool.position)
            way = self._way
            half = target.size[0] / 4 + FINGER
            z = 0.72 * height
            start = np.array([*(here[:2] - way * (half + 0.025 + ROOM)), z])
            end = np.array([*(here[:2] + way * 0.105), z])
            self._line = start, end
        start, end = self._line
        return self._stroke(tool, grip, start, end, 0.36, height)


class Press(Stroke):
    """Press a button."""

    interaction = Interaction.PRESS

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, target = self.world, self.world.target
        here = world.position(target.name)
        top = target.size[2]
        aside = float(np.linalg.norm((tool.position - here)[:2]))
        yaw = _middle_yaw(0.0, tool, math.pi)
        if world.pressed(target.name) > 0.8:
            return self._retreat(tool, grip)
        rest = [Leg(top_down(_at(here, HIGH), yaw), 1.0), Leg(top_down(HOME), 1.0)]
        over = Leg(top_down(_at(here, HIGH), yaw), 0.0, key=True)
        # Deeper than the button goes, and a moment there, so that the tool's lag does not matter.
        deep = top_down(_at(here, top - 0.017), yaw)
        down = Leg(deep, 0.0, slow=0.03, stop=True, wait=0.15, key=True)
        shut = grip < SHUT + 0.1
        high = tool.position[2] > HIGH - 0.04
        if aside < (0.012 if high else 0.014) and shut:
            return Decision([down, *rest], "press")
        if aside < 0.02 and high and not shut:
            wait = (grip - SHUT) / FINGER_RATE
            return Decision([_waiting(over, wait), down, *rest], "approach")
        return Decision([*_approach(tool, over, 0.0, top), down, *rest], "approach")


def _waiting(leg: Leg, wait: float) -> Leg:
    """`leg` with a stop of `wait` seconds at its end."""
    return Leg(leg.pose, leg.grip, leg.speed, leg.slow, True, wait, leg.event, leg.key)


class CloseDrawer(Stroke):
    """Push the knob until the drawer is in."""

    interaction = Interaction.CLOSE

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, name = self.world, self.world.target.name
        box, axis = world.drawer(name)
        opening = world.opening(name)
        top = 0.09
        if opening < 0.008:
            return self._leave(tool, grip, top)
        tip = box + axis * (KNOB_TIP + FINGER)
        start = _at(tip + axis * ROOM, 0.045)
        end = _at(tip - axis * (opening + 0.006), 0.045)
        return self._stroke(tool, grip, start, end, 0.13, top)

    def _clear(self, along: float) -> bool:
        return along < ROOM + 0.015


def knock_way(world: World, tool: Array) -> Array:
    """The level unit vector ``(2,)`` along which most room is free before and behind the target."""
    target = world.target
    here = world.position(target.name)[:2]
    best, best_score = np.array([0.0, 1.0]), -np.inf
    for angle in np.arange(0, 2 * np.pi, np.pi / 4):
        way = np.array([np.cos(angle), np.sin(angle)])
        start, end = here - way * 0.10, here + way * (target.size[2] + 0.05)
        room = min(
            (
                segment_distance(world.position(t.name)[:2], start, end) - max(t.size[:2]) / 2
                for t in world.others()
            ),
            default=1.0,
        )
        inside = 0.28 < end[0] < 0.72 and abs(end[1]) < 0.38
        inside = inside and 0.25 < start[0] < 0.72 and abs(start[1]) < 0.40
        score = min(room, 0.08) + 0.01 * abs(way[1]) - (0 if inside else 1)
        score += 0.005 * float((here - tool[:2]) @ way > 0)
        if score > best_score:
            best, best_score = way, score
    return best


SKILLS: dict[str, type[Skill]] = {
    "place": Place,
    "stack": Place,
    "push": Push,
    "press": Press,
    "open_drawer": OpenDrawer,
    "close_drawer": CloseDrawer,
    "knock": Knock,
}
