"""The simulated work cell in-process: an arm controller, a table with objects, cameras."""

from __future__ import annotations

import mujoco
import numpy as np

from hardware.base import ArmCapabilities, ArmState, JointCommand
from hardware.cell.arm_model import load_arm
from hardware.cell.build import DAMPING, STIFFNESS, build
from hardware.cell.eye import Eye
from hardware.cell.scene import DRAWER_TRAVEL, SceneSpec
from hierarchy_nodes.errors import DriverError
from hierarchy_nodes.types import Array, RgbdFrame

# A setpoint is carried on along its feed-forward velocity for this long, so that a late one
# does not jerk the arm; then the arm waits where it is.
EXTRAPOLATION = 0.024
BRAKING = 5.0  # the servo may follow (and brake) this much harder than max_acceleration
FINGER_SPEED = 0.1  # metres per second and finger


def limited(command: JointCommand, capabilities: ArmCapabilities) -> JointCommand:
    """`command` within position and velocity limits.

    Raises:
        DriverError: It is not finite or has another number of joints.
    """
    count = len(capabilities.joint_names)
    positions = np.asarray(command.positions, dtype=float)
    velocities = np.asarray(command.velocities, dtype=float)
    if positions.shape != (count,) or velocities.shape != (count,):
        raise DriverError(
            f"Joint command: expected {count} positions and velocities, got "
            f"{positions.shape} and {velocities.shape}."
        )
    if not (
        np.isfinite(positions).all()
        and np.isfinite(velocities).all()
        and np.isfinite(command.gripper)
    ):
        raise DriverError(f"Joint command is not finite: {command}.")
    fastest = capabilities.max_velocity
    return JointCommand(
        np.clip(positions, capabilities.lower, capabilities.upper),
        np.clip(velocities, -fastest, fastest),
        float(np.clip(command.gripper, 0.0, 1.0)),
    )


class Cell:
    """One arm, one table, `scene` on it; time moves only in :meth:`step`.

    Attributes:
        scene: What it was built from.
        model, data: MuJoCo's; for the referee and tests.
        peaks: Largest displacement so far of each sliding joint (buttons, drawers), metres.
    """

    def __init__(
        self, scene: SceneSpec, width: int = 320, height: int = 240, settle: float = 0.3
    ) -> None:
        self.scene = scene
        self._size = (width, height)
        self._arm = load_arm()
        self.model = build(scene, self._arm)
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in self.capabilities.joint_names]
        self._q = np.array([joint.qposadr[0] for joint in joints])
        self._v = np.array([joint.dofadr[0] for joint in joints])
        self._fingers = np.array([self.model.joint(n).qposadr[0] for n in self._arm.finger_joints])
        self._tool = self.model.body(self._arm.tool_frame).id
        self._hardest = BRAKING * self.capabilities.max_acceleration
        self._lead = DAMPING / STIFFNESS
        self._eye: Eye | None = None
        self._sliders = {
            self.model.joint(i).name: int(self.model.jnt_qposadr[i])
            for i in range(self.model.njnt)
            if self.model.joint(i).name.endswith(("_cap", "_slide"))
        }
        self.peaks = dict.fromkeys(self._sliders, 0.0)
        self._place()
        self.step(settle)
        self.data.time = 0.0
        self._last_command = -np.inf
        self.peaks = dict.fromkeys(self._sliders, 0.0)

    @property
    def capabilities(self) -> ArmCapabilities:
        """Of the arm's controller."""
        return self._arm.capabilities

    @property
    def time(self) -> float:
        """Simulated seconds since the start."""
        return float(self.data.time)

    @property
    def holding(self) -> bool:
        """True where no command came for the watchdog's time."""
        return self.time - self._last_command > self.capabilities.watchdog

    def _place(self) -> None:
        self.data.qpos[self._q] = self._arm.home
        self.data.qpos[self._fingers] = self.capabilities.gripper_width / 2
        for thing in self.scene.objects:
            if thing.shape == "drawer":
                self.data.joint(f"{thing.name}_slide").qpos[0] = thing.opening * DRAWER_TRAVEL
        self._goal = self._arm.home.copy()
        self._forward = np.zeros(len(self._goal))
        self._reference = self._goal.copy()
        self._speed = np.zeros(len(self._goal))
        self._finger_goal = self._finger_reference = self.capabilities.gripper_width / 2
        self._last_command = -np.inf
        mujoco.mj_forward(self.model, self.data)

    def arm_state(self) -> ArmState:
        """The measured arm; the stamp is simulated time."""
        data = self.data
        opening = data.qpos[self._fingers].sum() / self.capabilities.gripper_width
        return ArmState(
            self.time,
            data.qpos[self._q].copy(),
            data.qvel[self._v].copy(),
            float(np.clip(opening, 0.0, 1.0)),
        )

    def command(self, command: JointCommand) -> JointCommand:
        """Take a setpoint; returns it as limited.

        Raises:
            DriverError: It is not finite or has another number of joints.
        """
        sent = limited(command, self.capabilities)
        self._goal, self._forward = sent.positions.copy(), sent.velocities.copy()
        self._finger_goal = sent.gripper * self.capabilities.gripper_width / 2
        self._last_command = self.time
        return sent

    def stop(self) -> None:
        """Brake as hard as the servo may and hold there."""
        brake = self._speed * np.abs(self._speed) / (2 * self._hardest)
        self._goal = np.clip(
            self._reference + brake, self.capabilities.lower, self.capabilities.upper
        )
        self._forward = np.zeros_like(self._forward)

    def step(self, seconds: float) -> None:
        """Move time on by (the nearest number of physics steps to) `seconds`."""
        steps = round(seconds / self.model.opt.timestep)
        for _ in range(steps):
            self._servo()
            mujoco.mj_step(self.model, self.data)
            for name, address in self._sliders.items():
                self.peaks[name] = max(self.peaks[name], float(self.data.qpos[address]))

    def _servo(self) -> None:
        """Move the reference towards the goal within velocity and acceleration limits."""
        dt = self.model.opt.timestep
        age = self.data.time - self._last_command
        if age > self.capabilities.watchdog and self._forward.any():
            self.stop()
        moving = age < EXTRAPOLATION
        target = self._goal + self._forward * min(age, EXTRAPOLATION) if age >= 0 else self._goal
        hardest = self._hardest
        error = target - self._reference
        gap = np.abs(error)
        # Never faster than what can still be braked before the target.
        chase = np.copysign(np.minimum(gap / dt, np.sqrt(2 * hardest * gap)), error)
        wanted = chase + self._forward if moving else chase
        speed = np.clip(wanted, self._speed - hardest * dt, self._speed + hardest * dt)
        fastest = self.capabilities.max_velocity
        self._speed = np.clip(speed, -fastest, fastest)
        self._reference = self._reference + self._speed * dt
        step = FINGER_SPEED * dt
        self._finger_reference += min(step, max(-step, self._finger_goal - self._finger_reference))
        count = len(self._goal)
        self.data.ctrl[:count] = self._reference + self._lead * self._speed
        self.data.ctrl[count:] = self._finger_reference

    def qpos(self) -> Array:
        """A copy of the whole configuration, for an :class:`Eye` of another thread."""
        return self.data.qpos.copy()

    def capture(self, camera: str = "front") -> RgbdFrame:
        """What `camera` sees now; call it from one thread only."""
        if self._eye is None:
            self._eye = Eye(self.model, *self._size)
        return self._eye.capture(self.data.qpos, self.time, camera)

    def close(self) -> None:
        """Free the renderer; harmless when done twice."""
        if self._eye is not None:
            self._eye.close()
            self._eye = None
