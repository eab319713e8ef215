"""Where the tool is, and how the joints must move to bring it elsewhere."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import daqp
import mink
import mujoco
import numpy as np

from hardware.base import ArmState
from hierarchy_nodes.arm.description import load_description
from hierarchy_nodes.errors import ConfigError, HierarchyError
from hierarchy_nodes.geometry import matrix
from hierarchy_nodes.types import Array, Pose, RobotState

# Rate in 1/s at which the redundant joint drifts towards home, and its price beside the tool's.
_POSTURE_RATE = 1.0
_POSTURE_COST = 1e-2


class NoSolution(HierarchyError):
    """The quadratic program of one inverse kinematics step has no solution."""


class Kinematics:
    """Forward kinematics and differential inverse kinematics (mink) of the arm in a URDF.

    Args:
        urdf_path: With a YAML file of the same name beside it; default: the stack's own arm.

    Attributes:
        joint_names: N names, in the order of every joint array.
        lower, upper, home: ``(N,)`` radians.
        max_velocity: ``(N,)`` rad/s.
        max_acceleration: ``(N,)`` rad/s^2.
        hand_corners: ``(M, 3)`` metres in the tool frame, corners of the boxes around everything
            that is beyond the last joint, the fingers both open and closed.

    Raises:
        ConfigError: The URDF or the YAML is malformed.
    """

    def __init__(self, urdf_path: str | Path | None = None) -> None:
        self.description = load_description(urdf_path)
        self.joint_names = self.description.joint_names
        self.lower, self.upper = self.description.lower, self.description.upper
        self.max_velocity = self.description.max_velocity
        self.max_acceleration = self.description.max_acceleration
        self.home = self.description.home
        full = mujoco.MjModel.from_xml_path(str(self.description.path))
        self._model = self._arm_only()
        self._data = mujoco.MjData(self._model)
        self._tool = self._model.body(self.description.tool_frame).id
        self.hand_corners = self._corners(full)
        self._configuration = mink.Configuration(self._model)
        self._frame = mink.FrameTask(
            self.description.tool_frame, "body", position_cost=1.0, orientation_cost=0.3
        )
        joints = len(self.joint_names)
        self._posture_weights = _POSTURE_COST**2 * np.eye(joints)
        # No constraint of the quadratic program but the bounds of each joint, which may be active.
        self._no_rows, self._inactive = np.zeros((0, joints)), np.zeros(joints, np.int32)

    def forward(self, positions: Array) -> Pose:
        """The tool frame in the base frame at joint angles ``(N,)``, radians."""
        self._data.qpos[:] = positions
        mujoco.mj_kinematics(self._model, self._data)
        return Pose(self._data.xpos[self._tool].copy(), self._data.xquat[self._tool].copy())

    def robot_state(self, state: ArmState) -> RobotState:
        """A reading of the arm with the pose of the tool."""
        tool = self.forward(state.positions)
        return RobotState(state.stamp, state.positions, state.velocities, state.gripper, tool)

    def velocities_towards(
        self, positions: Array, target: Pose, dt: float, lower: Array, upper: Array
    ) -> Array:
        """Joint velocities ``(N,)`` in rad/s that bring the tool to `target` within `dt` seconds.

        The best in the least-squares sense among those between `lower` and `upper`, ``(N,)``
        rad/s; what freedom is left moves the joints towards home.

        Raises:
            NoSolution: No velocity satisfies the bounds, or an input is not finite.
        """
        # As mink.solve_ik does with a FrameTask and a PostureTask, in a fifth of its time.
        self._configuration.update(positions)
        self._frame.set_target(mink.SE3(np.concatenate([target.quaternion, target.position])))
        hessian, gradient = self._frame.compute_qp_objective(self._configuration)
        hessian = hessian + self._posture_weights
        gradient = gradient - _POSTURE_COST**2 * _POSTURE_RATE * dt * (self.home - positions)
        step, _, flag, _ = daqp.solve(
            hessian, gradient, self._no_rows, upper * dt, lower * dt, self._inactive
        )
        if flag <= 0 or not np.isfinite(step).all():
            raise NoSolution(f"inverse kinematics: daqp found no joint velocities (flag {flag}).")
        return np.minimum(np.maximum(step / dt, lower), upper)

    def solve(self, target: Pose, start: Array | None = None, iterations: int = 300) -> Array:
        """Joint angles ``(N,)`` that put the tool at `target`, from `start` (default: home).

        Raises:
            NoSolution: Not within 1 mm and 0.5 degrees after `iterations` steps.
        """
        q = (self.home if start is None else np.asarray(start, dtype=float)).copy()
        dt = 0.05
        for _ in range(iterations):
            low = np.maximum(-self.max_velocity, (self.lower - q) / dt)
            high = np.minimum(self.max_velocity, (self.upper - q) / dt)
            q = q + dt * self.velocities_towards(q, target, dt, low, high)
            reached = self.forward(q)
            distance = float(np.linalg.norm(reached.position - target.position))
            if distance < 1e-3 and abs(float(reached.quaternion @ target.quaternion)) > 0.99999:
                return q
        raise NoSolution(f"no joint angles reach {np.round(target.position, 3)}.")

    def lowest(self, pose: Pose) -> float:
        """Height in metres above the base frame's origin of the hand's lowest corner."""
        return float(pose.position[2] + (self.hand_corners @ _third_row(pose.quaternion)).min())

    def _arm_only(self) -> mujoco.MjModel:
        """The model without the joints of the gripper, which the tool frame does not need."""
        spec = mujoco.MjSpec.from_file(str(self.description.path))
        for equality in list(spec.equalities):
            spec.delete(equality)
        for joint in list(spec.joints):
            if joint.name not in self.joint_names:
                spec.delete(joint)
        model = spec.compile()
        found = tuple(model.joint(i).name for i in range(model.njnt))
        if found != self.joint_names:
            raise ConfigError(
                f"{self.description.path}: joints {found} do not match {self.joint_names}."
            )
        return model

    def _corners(self, model: mujoco.MjModel) -> Array:
        data = mujoco.MjData(model)
        beyond = self._beyond_last_joint(model)
        fingers = [model.joint(name) for name in self.description.finger_joints]
        corners = []
        for end in (0, 1):
            for finger in fingers:
                data.qpos[finger.qposadr[0]] = finger.range[end]
            mujoco.mj_kinematics(model, data)
            tool = model.body(self.description.tool_frame).id
            base = matrix(Pose(data.xpos[tool], data.xquat[tool]))
            for geom in range(model.ngeom):
                if model.geom_bodyid[geom] not in beyond:
                    continue
                rotation = data.geom_xmat[geom].reshape(3, 3)
                half = _half_sizes(model, geom)
                for signs in product((-1, 1), repeat=3):
                    world = data.geom_xpos[geom] + rotation @ (half * signs)
                    corners.append(base[:3, :3].T @ (world - base[:3, 3]))
        return np.unique(np.round(corners, 5), axis=0)

    def _beyond_last_joint(self, model: mujoco.MjModel) -> set[int]:
        bodies = {int(model.joint(self.joint_names[-1]).bodyid[0])}
        for body in range(model.nbody):
            if int(model.body_parentid[body]) in bodies:
                bodies.add(body)
        return bodies


def _half_sizes(model: mujoco.MjModel, geom: int) -> Array:
    """Half lengths ``(3,)`` of the box around a shape, along the shape's own axes."""
    size, kind = model.geom_size[geom], model.geom_type[geom]
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return np.full(3, size[0])
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return np.array([size[0], size[0], size[1]])
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return np.array([size[0], size[0], size[0] + size[1]])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        return np.asarray(model.geom_aabb[geom][3:])
    return np.asarray(size)


def _third_row(quaternion: Array) -> Array:
    """The base z axis seen from the frame: third row of its rotation matrix."""
    w, x, y, z = quaternion.tolist()
    return np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])
