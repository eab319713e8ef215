"""One simulated cell whose things are dressed anew for every image: nothing is ever rebuilt.

Building a model and its renderer takes a second, an image some milliseconds. So all bodies that
may be needed stand ready, and an image's seed says which of them are there, where, how large, of
which shape and colour, how the light falls, where the camera and the arm are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray
from transforms3d.euler import euler2quat

from hardware.cell.cell import Cell
from hardware.cell.scene import CAMERAS, COLORS, DRAWER_TRAVEL, ObjectSpec, SceneSpec
from hierarchy_nodes.arm.description import load_arm
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.learning.planner.kinds import CAST, KINDS, Kind, Look
from hierarchy_nodes.learning.planner.texture import Texture, paint
from hierarchy_nodes.types import Array, Pose, RgbdFrame, RobotState

_AWAY = 5.0  # metres below the table: out of sight
ROBOT = 255


@dataclass(frozen=True)
class Item:
    """One thing in an image.

    Attributes:
        name: Of its body.
        kind: A key of `KINDS`.
        color: Word for its colour, a key of `kinds.palette`.
        rgb: Its very colour.
        size: Of its box, metres.
        position: ``(3,)`` of its middle.
        yaw: About z; a lying bottle's axis points along it.
        on: Name of the thing that it lies on or in.
        beside: Name of the thing that it was to be put on, and that it only lies beside.
        opening: Of a drawer, in [0, 1].
        lying: A bottle that has been knocked over.
        looks: The geoms of its body, where each of its kind has others.
    """

    name: str
    kind: str
    color: str
    rgb: tuple[float, float, float]
    size: tuple[float, float, float]
    position: tuple[float, float, float]
    yaw: float = 0.0
    on: str = ""
    beside: str = ""
    opening: float = 0.0
    lying: bool = False
    looks: tuple[Look, ...] = ()

    @property
    def what(self) -> Kind:
        return KINDS[self.kind]


@dataclass(frozen=True)
class Setting:
    """All that makes an image.

    Attributes:
        items: What stands there.
        joints: ``(7,)`` of the arm. opening: Of the gripper.
        held: Name of the thing between the fingers.
        camera: Pose of the optical frame.
        table, floor: RGB. texture: On the table.
        light: Brightness. slant: ``(2,)`` of the lamp. fill: Share of light from all sides.
    """

    items: tuple[Item, ...]
    joints: Array
    opening: float = 1.0
    held: str = ""
    camera: Pose = field(default_factory=lambda: CAMERAS["front"])
    table: tuple[float, float, float] = (0.62, 0.60, 0.56)
    floor: tuple[float, float, float] = (0.30, 0.31, 0.33)
    texture: Texture | None = None
    light: float = 1.0
    slant: tuple[float, float] = (-0.25, 0.15)
    fill: float = 0.42


@dataclass(frozen=True)
class Picture:
    """A rendered setting.

    Attributes:
        frame: As the camera gives it.
        things: ``(H, W)`` uint8: 0, or the item's place in the setting + 1, or `ROBOT`. Of a
            drawer and a button only the coloured parts count.
        robot: The arm.
    """

    frame: RgbdFrame
    things: NDArray[np.uint8]
    robot: RobotState


class Stage:
    """The cell and its wardrobe. Belongs to one process; `close` frees the renderer."""

    def __init__(self) -> None:
        self.kinematics = Kinematics()
        objects: list[ObjectSpec] = []
        for shape, count in CAST.items():
            for i in range(count):
                spot = (0.45 + 0.4 * len(objects), 3.0)
                objects.append(ObjectSpec.make("red", shape, spot, name=f"{shape}_{i}"))
        self.names = {t.name: t.shape for t in objects}
        self.cell = Cell(SceneSpec(tuple(objects), cameras=("front",)), settle=0.0)
        model = self.cell.model
        arm = load_arm()
        self._arm = [int(model.joint(n).qposadr[0]) for n in self.cell.capabilities.joint_names]
        self._fingers = [int(model.joint(n).qposadr[0]) for n in arm.finger_joints]
        self._wide = self.cell.capabilities.gripper_width
        self._kept = {
            name: getattr(model, name).copy()
            for name in ("geom_type", "geom_size", "geom_pos", "geom_rgba", "body_pos", "body_quat")
        }
        self._geoms = {name: self._geoms_of(name) for name in self.names}
        for geoms in self._geoms.values():
            # Else those in the middle of their body stay there, wherever they are put.
            model.geom_sameframe[geoms] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
        painted = np.abs(model.geom_rgba[:, :3] - COLORS["red"]).max(axis=1) < 1e-3
        self._painted = {name: [g for g in gs if painted[g]] for name, gs in self._geoms.items()}
        self._table = model.geom("table_top").id
        self._floor = model.geom("floor").id
        known = {g for gs in self._geoms.values() for g in gs}
        scenery = {self._table, self._floor, model.geom("table").id}
        self._robot = [g for g in range(model.ngeom) if g not in known | scenery]

    def _geoms_of(self, name: str) -> list[int]:
        model = self.cell.model
        own = model.body(name).id
        bodies = [i for i in range(model.nbody) if i == own or model.body_parentid[i] == own]
        return [g for g in range(model.ngeom) if model.geom_bodyid[g] in bodies]

    def show(self, setting: Setting, pictures: bool = True) -> Picture | None:
        """Dress the cell as `setting` says, and look; without `pictures` only the former."""
        cell, model = self.cell, self.cell.model
        for name, values in self._kept.items():
            getattr(model, name)[:] = values
        there = {item.name: item for item in setting.items}
        for i, (name, shape) in enumerate(self.names.items()):
            if name in there:
                self._dress(there[name])
            else:
                self._put(name, shape, (0.4 * i, 3.0, -_AWAY), (1.0, 0.0, 0.0, 0.0))
        data = cell.data
        data.qpos[self._arm] = setting.joints
        data.qpos[self._fingers] = setting.opening * self._wide / 2
        model.geom_rgba[self._table, :3] = setting.table
        model.geom_rgba[self._floor, :3] = setting.floor
        direction = np.array([*setting.slant, -1.0])
        model.light_dir[0] = direction / np.linalg.norm(direction)
        model.light_diffuse[0] = 0.55 * setting.light
        model.vis.headlight.ambient[:] = setting.fill * setting.light
        model.vis.headlight.diffuse[:] = (0.60 - setting.fill) * setting.light
        cell.move_camera("front", setting.camera)
        cell.scene = SceneSpec(tuple(_spec(item) for item in setting.items), cameras=("front",))
        mujoco.mj_kinematics(model, data)
        if not pictures:
            return None
        frame = cell.capture("front")
        geoms = cell.geoms("front")
        if setting.texture is not None:
            paint(frame, geoms == self._table, setting.texture)
        lookup = np.zeros(model.ngeom + 1, dtype=np.uint8)
        lookup[self._robot] = ROBOT
        for i, item in enumerate(setting.items):
            lookup[self._painted[item.name]] = i + 1
        # The last entry is "nothing".
        things = lookup[geoms]
        return Picture(frame, things, self.robot())

    def robot(self) -> RobotState:
        """The arm as it stands."""
        return self.kinematics.robot_state(self.cell.arm_state())

    def _dress(self, item: Item) -> None:
        model, kind, geoms = self.cell.model, item.what, self._geoms[item.name]
        looks = kind.looks(item.size) if kind.looks is not None else item.looks
        if looks:
            for geom, (form, size, middle) in zip(geoms, looks, strict=True):
                model.geom_type[geom], model.geom_size[geom] = form, size
                model.geom_pos[geom] = middle
        elif item.size != kind.size:
            # All of it grows alike.
            scale = item.size[2] / kind.size[2]
            model.geom_size[geoms] *= scale
            model.geom_pos[geoms] *= scale
            own = model.body(item.name).id
            for body in range(model.nbody):
                if model.body_parentid[body] == own:
                    model.body_pos[body] *= scale
        model.geom_rgba[self._painted[item.name], :3] = item.rgb
        tilt = math.pi / 2 if item.lying else 0.0
        self._put(item.name, kind.base, item.position, euler2quat(0.0, tilt, item.yaw))
        if kind.base == "drawer":
            slide = self.cell.data.joint(f"{item.name}_slide")
            slide.qpos[0] = item.opening * DRAWER_TRAVEL

    def _put(self, name: str, shape: str, position: tuple[float, ...], turn: Array | tuple) -> None:
        body = self.cell.model.body(name)
        if body.jntnum[0]:
            self.cell.data.joint(name).qpos[:] = (*position, *turn)
        else:
            body.pos[:], body.quat[:] = position, turn

    def close(self) -> None:
        """Free the renderer."""
        self.cell.close()


def _spec(item: Item) -> ObjectSpec:
    """For those who ask the cell what stands in it; the colour is not looked at."""
    x, y, _ = item.position
    return ObjectSpec(
        item.name, item.what.base, "red", item.size, (x, y), item.yaw, opening=item.opening
    )
