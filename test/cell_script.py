"""A blind expert for tests: knows where things are and moves the cell's arm by mink."""

from __future__ import annotations

import math

import mink
import mujoco
import numpy as np

from hardware.base import JointCommand
from hardware.cell.cell import Cell
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.arm.description import load_arm
from hierarchy_nodes.geometry import slerp, top_down
from hierarchy_nodes.types import Pose

PERIOD = 0.008
SPEED = 0.30  # m/s
HIGH = 0.20


class Script:
    """Moves the tool of `cell` along straight lines and works the gripper."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        arm = load_arm()
        model = mujoco.MjModel.from_xml_path(str(arm.path))
        self._arm = arm
        self._configuration = mink.Configuration(model)
        self._tool = mink.FrameTask("tool0", "body", 1.0, 1.0, lm_damping=1e-6)
        self._posture = mink.PostureTask(model, cost=1e-3)
        q = np.zeros(model.nq)
        q[:7] = arm.home
        self._posture.set_target(q)
        self._configuration.update(q)
        self._limits = [mink.ConfigurationLimit(model)]
        self.pose = top_down((0.35, 0.0, 0.40))
        self.grip = 1.0

    def _send(self, pose: Pose) -> None:
        before = self._configuration.q[:7].copy()
        self._tool.set_target(mink.SE3(wxyz_xyz=np.r_[pose.quaternion, pose.position]))
        velocity = mink.solve_ik(
            self._configuration,
            [self._tool, self._posture],
            PERIOD,
            "daqp",
            limits=self._limits,
            damping=1e-4,
        )
        self._configuration.integrate_inplace(velocity, PERIOD)
        q = self._configuration.q[:7].copy()
        self.cell.command(JointCommand(q, (q - before) / PERIOD, self.grip))
        self.cell.step(PERIOD)

    def move(self, x: float, y: float, z: float, yaw: float = 0.0, speed: float = SPEED) -> None:
        """In a straight line to (x, y, z) with the tool pointing down."""
        start, end = self.pose, top_down((x, y, z), yaw)
        turn = 2 * math.acos(min(1.0, abs(float(start.quaternion @ end.quaternion))))
        seconds = max(np.linalg.norm(end.position - start.position) / speed, turn / 1.5, PERIOD)
        steps = math.ceil(1.5 * seconds / PERIOD)
        for k in range(1, steps + 1):
            s = k / steps
            s = s * s * (3 - 2 * s)
            self._send(
                Pose(
                    start.position + s * (end.position - start.position),
                    slerp(start.quaternion, end.quaternion, s),
                )
            )
        self.pose = end

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD)):
            self._send(self.pose)

    def gripper(self, opening: float, seconds: float = 0.6) -> None:
        self.grip = opening
        self.wait(seconds)

    # -- skills -------------------------------------------------------------------------------

    def do(self, task: TaskSpec) -> None:
        """Carry out a task with what only a test may know."""
        {
            "place": self._place,
            "stack": self._place,
            "push": self._push,
            "press": self._press,
            "open_drawer": self._open,
            "close_drawer": self._close,
            "knock": self._knock,
        }[task.family](task)

    def _where(self, name: str) -> np.ndarray:
        return np.array(self.cell.data.body(name).xpos)

    def grasp(self, name: str) -> None:
        thing = self.cell.scene.object(name)
        x, y, z = self._where(name)
        yaw = 0.0
        if thing.shape in ("block", "bar", "cross"):
            yaw = thing.yaw  # fingers close across the y extent
        self.move(x, y, HIGH, yaw)
        self.move(x, y, max(0.008, z - 0.005), yaw, 0.15)
        self.gripper(0.0)
        self.move(x, y, HIGH, yaw)

    def _place(self, task: TaskSpec) -> None:
        self.grasp(task.target)
        low = self.pose
        x, y, z = self._where(task.goal)
        thing, goal = self.cell.scene.object(task.target), self.cell.scene.object(task.goal)
        hang = low.position[2] - self._where(task.target)[2]
        top = z + goal.size[2] / 2 if task.relation == "on" else z - goal.size[2] / 2 + 0.006
        self.move(x, y, HIGH)
        self.move(x, y, top + thing.size[2] / 2 + hang + 0.004, 0.0, 0.15)
        self.gripper(1.0)
        self.move(x, y, HIGH)
        self.wait(0.5)

    def _push(self, task: TaskSpec) -> None:
        x, y, _ = self._where(task.target)
        if task.goal:
            step = self._where(task.goal)[:2] - (x, y)
            distance = float(np.linalg.norm(step))
            dx, dy = step / distance
        else:
            (dx, dy), distance = task.direction, 0.11
        yaw = math.atan2(dy, dx)
        if abs(yaw) > math.pi / 2:
            yaw -= math.copysign(math.pi, yaw)
        self.gripper(0.0)
        self.move(x - 0.08 * dx, y - 0.08 * dy, HIGH, yaw)
        self.move(x - 0.08 * dx, y - 0.08 * dy, 0.012, yaw)
        reach = distance - 0.03
        self.move(x + reach * dx, y + reach * dy, 0.012, yaw, 0.10)
        self.move(x + reach * dx, y + reach * dy, HIGH, yaw)
        self.wait(0.5)

    def _press(self, task: TaskSpec) -> None:
        x, y, _ = self._where(task.target)
        self.gripper(0.0)
        self.move(x, y, 0.10)
        self.move(x, y, 0.036, 0.0, 0.10)
        self.move(x, y, HIGH)

    def _knob(self, name: str) -> tuple[np.ndarray, float]:
        body = self.cell.data.body(f"{name}_box")
        yaw = self.cell.scene.object(name).yaw
        axis = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        return np.array(body.xpos) + 0.115 * axis, yaw

    def _open(self, task: TaskSpec) -> None:
        (x, y, _), yaw = self._knob(task.target)
        self.move(x, y, HIGH, yaw)
        self.move(x, y, 0.045, yaw, 0.15)
        self.gripper(0.0)
        x, y = x + 0.11 * math.cos(yaw), y + 0.11 * math.sin(yaw)
        self.move(x, y, 0.045, yaw, 0.10)
        self.gripper(1.0)
        self.move(x, y, HIGH, yaw)

    def _close(self, task: TaskSpec) -> None:
        (x, y, _), yaw = self._knob(task.target)
        dx, dy = math.cos(yaw), math.sin(yaw)
        self.gripper(0.0)
        self.move(x + 0.06 * dx, y + 0.06 * dy, HIGH, yaw)
        self.move(x + 0.06 * dx, y + 0.06 * dy, 0.045, yaw)
        self.move(x - 0.085 * dx, y - 0.085 * dy, 0.045, yaw, 0.10)
        self.move(x + 0.02 * dx, y + 0.02 * dy, HIGH, yaw)

    def _knock(self, task: TaskSpec) -> None:
        x, y, _ = self._where(task.target)
        self.gripper(0.0)
        self.move(x - 0.07, y, 0.25)
        self.move(x - 0.07, y, 0.11)
        self.move(x + 0.05, y, 0.11, 0.0, 0.20)
        self.move(x + 0.05, y, 0.30)
        self.wait(0.5)
