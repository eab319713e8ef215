"""Skills with closed fingers: push, press, close a drawer, knock over."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hierarchy_nodes.geometry import angle_between, segment_distance, top_down, yaw_of
from hierarchy_nodes.learning.legs import Leg
from hierarchy_nodes.learning.skill import (
    ANGLE,
    FINGER_RATE,
    HIGH,
    HOME,
    ROOM,
    SHUT,
    Decision,
    Skill,
    approach,
    at,
    middle_yaw,
)
from hierarchy_nodes.learning.world import KNOB_TIP, World
from hierarchy_nodes.planner.routes import FINGER
from hierarchy_nodes.types import Array, Interaction, Pose

# Beside the way of a sweep, metres: it is higher than most things.
_ROOM_TO_FALL = 0.03


class Stroke(Skill):
    """What is done with closed fingers: down at a start, straight to an end, up, home."""

    def _stroke(
        self, tool: Pose, grip: float, start: Array, end: Array, speed: float, top: float
    ) -> Decision:
        """Above `start`, down, to `end`, up. `start` and `end` are at one height."""
        way = (end - start)[:2] / max(float(np.linalg.norm((end - start)[:2])), 1e-9)
        yaw = middle_yaw(math.atan2(way[1], way[0]), tool, math.pi)
        over = Leg(top_down(at(start, HIGH), yaw), 0.0, key=True)
        down = Leg(top_down(start, yaw), 0.0, slow=0.03, key=True)
        gentle = speed < 0.2
        sweep = Leg(
            top_down(end, yaw), 0.0, speed, stop=gentle, wait=0.1 if gentle else 0.0, key=True
        )
        rest = [
            Leg(top_down(at(end, min(HIGH, top + 0.03)), yaw), 0.0),
            Leg(top_down(at(end, HIGH + 0.02), yaw), 1.0),
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
            turn = Leg(top_down(at(start, tool.position[2]), yaw), 0.0, stop=True, wait=shut)
            return Decision([turn, down, sweep, *rest], "approach")
        legs = approach(tool, over, 0.0, HIGH)
        return Decision([*legs, down, sweep, *rest], "approach")

    def _clear(self, along: float) -> bool:
        """Whether the tool, `along` metres past the start, still has the thing before it."""
        return True

    def _leave(self, tool: Pose, grip: float, top: float) -> Decision:
        if tool.position[2] < top + 0.02 and grip < 0.5:
            yaw = yaw_of(tool.quaternion)
            clear = Leg(top_down(at(tool.position, min(HIGH, top + 0.03)), yaw), 0.0)
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
        yaw = middle_yaw(0.0, tool, math.pi)
        if world.pressed(target.name) > 0.8:
            return self._retreat(tool, grip)
        rest = [Leg(top_down(at(here, HIGH), yaw), 1.0), Leg(top_down(HOME), 1.0)]
        over = Leg(top_down(at(here, HIGH), yaw), 0.0, key=True)
        # Deeper than the button goes, and a moment there, so that the tool's lag does not matter.
        deep = top_down(at(here, top - 0.017), yaw)
        down = Leg(deep, 0.0, slow=0.03, stop=True, wait=0.15, key=True)
        shut = grip < SHUT + 0.1
        high = tool.position[2] > HIGH - 0.04
        if aside < (0.012 if high else 0.014) and shut:
            return Decision([down, *rest], "press")
        if aside < 0.02 and high and not shut:
            wait = (grip - SHUT) / FINGER_RATE
            return Decision([replace(over, stop=True, wait=wait), down, *rest], "approach")
        return Decision([*approach(tool, over, 0.0, top), down, *rest], "approach")


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
        start = at(tip + axis * ROOM, 0.045)
        end = at(tip - axis * (opening + 0.006), 0.045)
        return self._stroke(tool, grip, start, end, 0.13, top)

    def _clear(self, along: float) -> bool:
        return along < ROOM + 0.015


def knock_way(world: World, tool: Array) -> Array:
    """The level unit vector ``(2,)`` of the sweep: to the side that leads away from the tool.

    Where that has no room, the next one in an order that an onlooker can guess; where none has,
    that with the most.
    """
    target = world.target
    here = world.position(target.name)[:2]
    side = 1.0 if here[1] >= tool[1] else -1.0
    best, best_room = np.array([0.0, side]), -np.inf
    for turns in (0, 4, -1, 1, 3, -3, -2, 2):
        angle = side * (np.pi / 2 + turns * np.pi / 4)
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
        room -= 0.0 if inside else 1.0
        if room > _ROOM_TO_FALL:
            return way
        if room > best_room:
            best, best_room = way, room
    return best
