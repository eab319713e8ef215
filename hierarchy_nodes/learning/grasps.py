"""Skills that begin with a grasp: place, stack, open a drawer."""

from __future__ import annotations

import math

import numpy as np

from hardware.cell.scene import CONTAINERS, DRAWER_TRAVEL
from hierarchy_nodes.controller.lifting import nearest_yaw
from hierarchy_nodes.geometry import angle_between, top_down, yaw_of
from hierarchy_nodes.learning.legs import Leg
from hierarchy_nodes.learning.skill import (
    ANGLE,
    FINGER_RATE,
    FLOOR,
    GRIP_TIME,
    HIGH,
    HOME,
    OPEN,
    WIDTH,
    Decision,
    Skill,
    approach,
    at,
    middle_yaw,
)
from hierarchy_nodes.learning.world import KNOB_MIDDLE
from hierarchy_nodes.types import Array, Gripper, Interaction, Pose


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
        over = Leg(top_down(at(grasp.position, HIGH), yaw_of(grasp.quaternion)), 1.0, key=True)
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
                    near_it = top_down(at(grasp.position, top + 0.045), yaw)
                    down_first = [Leg(near_it, 1.0), down]
                    return Decision([*down_first, close, *after], "descend")
                return Decision([down, close, *after], "descend")
            aloft = top_down(at(grasp.position, max(top + 0.05, tool.position[2])), yaw)
            wait = (wide - grip) / FINGER_RATE + 0.05
            return Decision([Leg(aloft, 1.0, stop=True, wait=wait), down, close, *after], "open")
        return Decision([*approach(tool, over, 1.0, top), down, close, *after], "approach")


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
            yaw = middle_yaw(0.0, tool, math.pi)
        else:
            square = target.shape in ("block", "cross")
            yaw = middle_yaw(yaw, tool, math.pi / 2 if square else math.pi)
        grasp = top_down(at(here, max(FLOOR, here[2] - 0.005)), yaw)
        lifted = top_down(at(here, HIGH), yaw)
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
        rest = [let_go, Leg(top_down(at(release, HIGH), yaw), 1.0), Leg(top_down(HOME), 1.0)]
        away = tool.position - release
        aside = float(np.hypot(*away[:2]))
        tight = self.world.task.family == "stack"
        touches = self.world.goal.name in self.world.touching(self.world.target.name)
        floor = 0.012 if touches else 0.003
        if aside < (0.008 if tight else 0.015) and away[2] < floor:
            self._releasing = True
            return rest
        self._releasing = False
        over = Leg(top_down(at(release, HIGH), yaw), 0.0, stop=tight, key=True)
        low = tool.position[2] < HIGH - 0.03
        if aside < ((0.010 if low else 0.005) if tight else 0.015):
            return [down, *rest]
        if low:
            return [Leg(top_down(at(tool.position, HIGH), yaw), 0.0), over, down, *rest]
        return [over, down, *rest]


class OpenDrawer(Fetch):
    """Grasp the knob, pull, let go."""

    interaction = Interaction.OPEN

    def decide(self, tool: Pose, grip: float) -> Decision:
        world, name = self.world, self.world.target.name
        box, axis = world.drawer(name)
        opening = world.opening(name)
        knob = at(box + KNOB_MIDDLE * axis, 0.045)
        out = knob + axis * (0.97 * DRAWER_TRAVEL - opening)
        yaw = nearest_yaw(math.atan2(axis[1], axis[0]), 0.0, math.pi)
        width = 0.022
        pull = Leg(
            top_down(out, yaw), 0.0, 0.12, slow=0.03, stop=True, event=Gripper.OPEN, key=True
        )
        let_go = Leg(pull.pose, 1.0, stop=True, wait=0.2)
        rest = [let_go, Leg(top_down(at(out, HIGH), yaw), 1.0), Leg(top_down(HOME), 1.0)]
        # Once open enough the fingers open, and go on opening, until they are out of the way.
        if opening > (0.93 if grip < 0.35 else 0.85) * DRAWER_TRAVEL:
            near = float(np.linalg.norm(tool.position - knob)) < 0.05
            return self._retreat(tool, grip, 0.3 if near else 0.0)
        if self._gripped((f"{name}_box",), grip):
            return Decision([pull, *rest], "pull")
        return self._fetch(tool, grip, top_down(knob, yaw), width, knob[2] + 0.025, [pull, *rest])
