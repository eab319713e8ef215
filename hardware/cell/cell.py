"""The simulated work cell in-process: an arm controller, a table with objects, cameras."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hardware.base import ArmState, JointCommand
from hardware.cell.build import DAMPING, STIFFNESS, TIMESTEP, build
from hardware.cell.eye import Eye
from hardware.cell.limits import limited
from hardware.cell.scene import CAMERAS, DRAWER_TRAVEL, FIXED, SceneSpec
from hierarchy_nodes.arm.description import load_arm
from hierarchy_nodes.errors import UnknownNameError
from hierarchy_nodes.types import Array, Pose, RgbdFrame

# A setpoint is carried on along its feed-forward velocity for this long, so that a late one
# does not jerk the arm; then the arm waits where it is.
EXTRAPOLATION = 0.024
BRAKING = 5.0  # the servo may follow (and brake) this much harder than max_acceleration
FINGER_SPEED = 0.1  # metres per second and finger


def _clip(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


class Cell:
    """One arm, one table, `scene` on it; time moves only in :meth:`step`.

    Args:
        scene: What stands on the table.
        width, height: Of the cameras' images, pixels.
        joints: ``(7,)`` where the arm stands at first, home if not given.
        gripper: Opening at first.
        settle: Simulated seconds for the objects to come to rest before time 0.
        time_scale: Simulated seconds per second of the caller's clock, which is the one that the
            watchdog and setpoint velocities are measured with.

    Attributes:
        scene: What it was built from.
        model, data: MuJoCo's; for the referee and tests.
        capabilities: Of the arm's controller.
        camera_poses: Of the optical frames, base frame.
        peaks: Largest displacement so far of each sliding joint (buttons, drawers), metres.
    """

    def __init__(
        self,
        scene: SceneSpec,
        width: int = 320,
        height: int = 240,
        *,
        joints: Array | None = None,
        gripper: float = 1.0,
        settle: float = 0.3,
        time_scale: float = 1.0,
    ) -> None:
        self.scene = scene
        self._scale = time_scale
        self._size = (width, height)
        self._arm = load_arm()
        self.capabilities = self._arm.capabilities()
        self.model = build(scene, self._arm)
        self.data = mujoco.MjData(self.model)
        found = [self.model.joint(name) for name in self.capabilities.joint_names]
        self._q = np.array([joint.qposadr[0] for joint in found])
        self._v = np.array([joint.dofadr[0] for joint in found])
        self._fingers = np.array([self.model.joint(n).qposadr[0] for n in self._arm.finger_joints])
        self._tool = self.model.body(self._arm.tool_frame).id
        hardest = BRAKING * self.capabilities.max_acceleration
        self._limits = list(
            zip(hardest.tolist(), self.capabilities.max_velocity.tolist(), strict=True)
        )
        self._lead = (DAMPING / STIFFNESS).tolist()
        self._eye: Eye | None = None
        self.camera_poses = dict(CAMERAS)
        self._sliders = {
            self.model.joint(i).name: int(self.model.jnt_qposadr[i])
            for i in range(self.model.njnt)
            if self.model.joint(i).name.endswith(("_cap", "_slide"))
        }
        self.peaks = dict.fromkeys(self._sliders, 0.0)
        self._place(self._arm.home if joints is None else joints, gripper)
        self.step(settle)
        self.data.time = 0.0
        self.peaks = dict.fromkeys(self._sliders, 0.0)

    @property
    def time(self) -> float:
        """Simulated seconds since the start."""
        return float(self.data.time)

    @property
    def holding(self) -> bool:
        """True after a stop, or where no command came for the watchdog's time."""
        return self._held

    def _place(self, joints: Array, gripper: float) -> None:
        finger = gripper * self.capabilities.gripper_width / 2
        self.data.qpos[self._q] = joints
        self.data.qpos[self._fingers] = finger
        for thing in self.scene.objects:
            if thing.shape == "drawer":
                self.data.joint(f"{thing.name}_slide").qpos[0] = thing.opening * DRAWER_TRAVEL
        start = [float(angle) for angle in joints]
        self._goal, self._reference = list(start), list(start)
        self._forward, self._speed = [0.0] * len(start), [0.0] * len(start)
        self._control = [0.0] * self.model.nu
        self._finger_goal = self._finger_reference = finger
        self._last_command = -math.inf
        self._held = True
        mujoco.mj_forward(self.model, self.data)

    def arm_state(self) -> ArmState:
        """The measured arm; the stamp is simulated time."""
        data = self.data
        left, right = data.qpos[self._fingers].tolist()
        opening = (left + right) / self.capabilities.gripper_width
        return ArmState(
            self.time,
            data.qpos[self._q].copy(),
            data.qvel[self._v] * self._scale,
            _clip(opening, 0.0, 1.0),
        )

    def command(self, command: JointCommand) -> JointCommand:
        """Take a setpoint; returns it as limited.

        Raises:
            DriverError: It is not finite or has another number of joints.
        """
        sent = limited(command, self.capabilities)
        self._goal = sent.positions.tolist()
        self._forward = (sent.velocities / self._scale).tolist()
        self._finger_goal = sent.gripper * self.capabilities.gripper_width / 2
        self._last_command = self.time
        self._held = False
        return sent

    def stop(self) -> None:
        """Brake as hard as the servo may and hold there."""
        lower, upper = self.capabilities.lower, self.capabilities.upper
        for k, (hardest, _) in enumerate(self._limits):
            brake = self._speed[k] * abs(self._speed[k]) / (2 * hardest)
            self._goal[k] = float(np.clip(self._reference[k] + brake, lower[k], upper[k]))
        self._forward = [0.0] * len(self._goal)
        self._held = True

    def tool_position(self) -> Array:
        """Where the tool frame is, ``(3,)`` metres."""
        return self.data.xpos[self._tool].copy()

    def move_object(self, name: str, position: tuple[float, float, float], yaw: float) -> None:
        """Put a free object somewhere else, at rest, as a passer-by might.

        Raises:
            UnknownNameError: No object of that name can be moved.
        """
        movable = [thing.name for thing in self.scene.objects if thing.shape not in FIXED]
        if name not in movable:
            raise UnknownNameError("movable object", name, movable)
        joint = self.data.joint(name)
        joint.qpos[:] = (*position, *euler2quat(0, 0, yaw))
        joint.qvel[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def move_camera(self, name: str, pose: Pose) -> None:
        """Put a camera elsewhere; later images tell its new pose.

        Args:
            name: One of the scene's cameras.
            pose: Of the optical frame (z forward, x right, y down), base frame.

        Raises:
            UnknownNameError: The scene has no such camera.
        """
        if name not in self.scene.cameras:
            raise UnknownNameError("camera", name, self.scene.cameras)
        # MuJoCo looks along -z with y up.
        rotation = quaternions.quat2mat(pose.quaternion) @ np.diag([1.0, -1.0, -1.0])
        camera = self.model.camera(name)
        camera.pos[:], camera.quat[:] = pose.position, quaternions.mat2quat(rotation)
        self.camera_poses[name] = pose

    def step(self, seconds: float) -> None:
        """Move time on by (the nearest number of physics steps to) `seconds`."""
        steps = round(seconds / TIMESTEP)
        for _ in range(steps):
            self._servo()
            mujoco.mj_step(self.model, self.data)
            for name, address in self._sliders.items():
                self.peaks[name] = max(self.peaks[name], float(self.data.qpos[address]))

    def _servo(self) -> None:
        """Move the reference towards the goal within velocity and acceleration limits.

        Plain floats: with seven joints that is several times faster than arrays.
        """
        dt = TIMESTEP
        age = (self.data.time - self._last_command) / self._scale
        if age > self.capabilities.watchdog and not self._held:
            self.stop()
        moving = age < EXTRAPOLATION
        ahead = min(age, EXTRAPOLATION) * self._scale
        for k, (hardest, fastest) in enumerate(self._limits):
            forward, speed = self._forward[k], self._speed[k]
            error = self._goal[k] - self._reference[k]
            if forward:
                error += forward * ahead
            elif not error and not speed:
                self._control[k] = self._reference[k]
                continue
            # Never faster than what can still be braked before the target.
            wanted = math.copysign(min(abs(error) / dt, math.sqrt(2 * hardest * abs(error))), error)
            if moving:
                wanted += forward
            speed = _clip(wanted, speed - hardest * dt, speed + hardest * dt)
            speed = _clip(speed, -fastest, fastest)
            self._speed[k] = speed
            self._reference[k] += speed * dt
            self._control[k] = self._reference[k] + self._lead[k] * speed
        step = FINGER_SPEED * dt
        self._finger_reference += _clip(self._finger_goal - self._finger_reference, -step, step)
        self._control[-2:] = (self._finger_reference, self._finger_reference)
        self.data.ctrl[:] = self._control

    def qpos(self) -> Array:
        """A copy of the whole configuration, for an :class:`Eye` of another thread."""
        return self.data.qpos.copy()

    def capture(self, camera: str = "front") -> RgbdFrame:
        """What `camera` sees now; call it from one thread only."""
        return self._looking().capture(self.data.qpos, self.time, camera)

    def geoms(self, camera: str = "front") -> NDArray[np.int32]:
        """``(H, W)``: which geom of the model `camera` sees where, -1 for none; as `capture`."""
        return self._looking().geoms(self.data.qpos, camera)

    def _looking(self) -> Eye:
        if self._eye is None:
            self._eye = Eye(self.model, *self._size, self.camera_poses)
        return self._eye

    def close(self) -> None:
        """Free the renderer; harmless when done twice."""
        if self._eye is not None:
            self._eye.close()
            self._eye = None
