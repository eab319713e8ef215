"""From a SceneSpec to a MuJoCo model."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hardware.cell.scene import (
    BUTTON_TRAVEL,
    CAMERAS,
    COLORS,
    DRAWER_TRAVEL,
    FIELD_OF_VIEW,
    FIXED,
    KNOB_REACH,
    ObjectSpec,
    SceneSpec,
)
from hierarchy_nodes.arm.description import ArmDescription, load_arm

TIMESTEP = 0.002
STIFFNESS = np.array([20000.0, 20000.0, 12000.0, 12000.0, 6000.0, 6000.0, 3000.0])
DAMPING = np.array([900.0, 900.0, 500.0, 500.0, 120.0, 120.0, 50.0])
ARMATURE = np.array([0.30, 0.30, 0.20, 0.20, 0.08, 0.08, 0.05])  # rotor inertia behind the gears
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE = 3000.0, 60.0, 25.0
# Robot geoms meet the world but not each other: bits (contype, conaffinity).
ROBOT_BITS, WORLD_BITS = (2, 1), (1, 3)
VISUAL_GROUP, HIDDEN_GROUP = 1, 3
FRICTION = (1.0, 0.01, 0.0005)
PAD_FRICTION = (1.6, 0.02, 0.0005)
DENSITY = 600.0
TABLE_MIDDLE, TABLE_HALF = (0.40, 0.0), (0.65, 0.75)
BOX, CYLINDER, SPHERE, PLANE = (
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_PLANE,
)


def build(scene: SceneSpec, arm: ArmDescription | None = None) -> mujoco.MjModel:
    """The compiled model: arm, actuators, table, cameras, lamp and the scene's objects.

    Bodies have the objects' names; a button's cap and a drawer's box slide along the joints
    ``<name>_cap`` and ``<name>_slide``.
    """
    arm = arm or load_arm()
    spec = mujoco.MjSpec.from_file(str(arm.path))
    spec.modelname = "cell"
    _options(spec)
    _arm(spec, arm)
    _surroundings(spec, scene)
    for thing in scene.objects:
        _object(spec, thing)
    return spec.compile()


def _options(spec: mujoco.MjSpec) -> None:
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    spec.stat.extent = 1.0
    spec.stat.center = (0.45, 0.0, 0.2)
    spec.visual.map.znear = 0.05
    spec.visual.map.zfar = 5.0
    spec.visual.quality.offsamples = 0
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960


def _arm(spec: mujoco.MjSpec, arm: ArmDescription) -> None:
    names = arm.joint_names
    for geom in spec.geoms:
        if geom.contype:
            geom.contype, geom.conaffinity = ROBOT_BITS
            geom.group = HIDDEN_GROUP
            geom.friction = PAD_FRICTION if "finger" in geom.parent.name else FRICTION
            geom.solref = (0.006, 1.0)
        else:
            geom.group = VISUAL_GROUP
    for body in spec.bodies:
        body.gravcomp = 1.0  # as the controller of a real arm does
    for equality in list(spec.equalities):
        spec.delete(equality)
    # The pinion would be a second, stiff way to say the same as the coupling below.
    spec.delete(spec.joint(arm.gripper_joint))
    left, right = arm.finger_joints
    coupling = spec.add_equality(
        name="fingers", type=mujoco.mjtEq.mjEQ_JOINT, name1=left, name2=right
    )
    coupling.data[:5] = (0, 1, 0, 0, 0)
    coupling.solref = (0.004, 1.0)
    for index, name in enumerate(names):
        joint = spec.joint(name)
        joint.armature = ARMATURE[index]
        _servo(spec, name, STIFFNESS[index], DAMPING[index], arm.effort[index])
    for name in arm.finger_joints:
        spec.joint(name).armature = 0.05
        _servo(spec, name, FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE)


def _servo(spec: mujoco.MjSpec, joint: str, kp: float, kv: float, force: float) -> None:
    actuator = spec.add_actuator(name=joint, target=joint)
    actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    gain, bias = np.zeros(10), np.zeros(10)
    gain[0], bias[1], bias[2] = kp, -kp, -kv
    actuator.gainprm, actuator.biasprm = gain, bias
    actuator.forcelimited, actuator.forcerange = True, (-force, force)
    actuator.ctrllimited = False


def _surroundings(spec: mujoco.MjSpec, scene: SceneSpec) -> None:
    world = spec.worldbody
    no_contact = {"contype": 0, "conaffinity": 0, "group": VISUAL_GROUP}
    world.add_geom(
        name="table_top",
        type=BOX,
        pos=(*TABLE_MIDDLE, -0.02),
        size=(*TABLE_HALF, 0.02),
        rgba=(*scene.table_color, 1.0),
        **no_contact,
    )
    world.add_geom(
        name="floor",
        type=PLANE,
        pos=(0, 0, -0.75),
        size=(4, 4, 0.1),
        rgba=(0.30, 0.31, 0.33, 1.0),
        **no_contact,
    )
    # Contacts with a plane are exact and cheap, those between boxes and cylinders are not.
    world.add_geom(
        name="table",
        type=PLANE,
        size=(2, 2, 0.1),
        contype=WORLD_BITS[0],
        conaffinity=WORLD_BITS[1],
        friction=FRICTION,
        group=HIDDEN_GROUP,
    )
    direction = np.asarray(scene.light_direction, dtype=float)
    direction /= np.linalg.norm(direction)
    world.add_light(
        name="lamp",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.5, 0, 2.0),
        dir=direction,
        diffuse=(0.55 * scene.light,) * 3,
        specular=(0.05,) * 3,
        castshadow=False,
    )
    spec.visual.headlight.ambient = (0.42 * scene.light,) * 3
    spec.visual.headlight.diffuse = (0.18 * scene.light,) * 3
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    for name in scene.cameras:
        pose = CAMERAS[name]
        # MuJoCo looks along -z with y up, an optical frame along +z with y down.
        rotation = quaternions.quat2mat(pose.quaternion) @ np.diag([1.0, -1.0, -1.0])
        world.add_camera(
            name=name, pos=pose.position, quat=quaternions.mat2quat(rotation), fovy=FIELD_OF_VIEW
        )


def _object(spec: mujoco.MjSpec, thing: ObjectSpec) -> None:
    x, y = thing.position
    height = thing.size[2]
    body = spec.worldbody.add_body(
        name=thing.name, pos=(x, y, height / 2), quat=euler2quat(0, 0, thing.yaw)
    )
    if thing.shape not in FIXED:
        body.add_freejoint(name=thing.name)
    _SHAPES[thing.shape](body, thing)
    for part in body.bodies:
        # MuJoCo does not filter a body against a parent that is fixed to the world.
        spec.add_exclude(bodyname1=thing.name, bodyname2=part.name)


def _geom(body, kind, size, pos=(0, 0, 0), color="white", **more) -> None:  # type: ignore[no-untyped-def]
    values = {
        "contype": WORLD_BITS[0],
        "conaffinity": WORLD_BITS[1],
        "density": DENSITY,
        "friction": FRICTION,
        "condim": 4,
        "solref": (0.006, 1.0),
        "group": VISUAL_GROUP,
    } | more
    rgb = COLORS[color] if isinstance(color, str) else color
    body.add_geom(type=kind, size=size, pos=pos, rgba=(*rgb, 1.0), **values)


def _block(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    _geom(body, BOX, [s / 2 for s in thing.size], color=thing.color)


def _cylinder(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    length, _, height = thing.size
    _geom(body, CYLINDER, (length / 2, height / 2, 0), color=thing.color)


def _ball(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    # Rolling friction: a felt-like ball that comes to rest on a flat table.
    rolling = (1.0, 0.01, 0.004)
    _geom(body, SPHERE, (thing.size[0] / 2, 0, 0), color=thing.color, condim=6, friction=rolling)


def _cross(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    length, width, height = (s / 2 for s in thing.size)
    _geom(body, BOX, (length, 0.014, height), color=thing.color)
    _geom(body, BOX, (0.014, width, height), color=thing.color)


def _bottle(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    length, _, height = thing.size
    low, high = 0.7 * height, 0.3 * height
    _geom(body, CYLINDER, (length / 2, low / 2, 0), (0, 0, (low - height) / 2), thing.color)
    _geom(body, CYLINDER, (length / 4, high / 2, 0), (0, 0, (height - high) / 2), thing.color)


def _plate(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    length, _, height = thing.size
    _geom(body, CYLINDER, (length / 2, height / 2, 0), color=thing.color)


def _bowl(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    """A floor and a ring of upright boards."""
    length, _, height = thing.size
    radius, wall, floor, boards = length / 2, 0.005, 0.006, 16
    _geom(body, CYLINDER, (radius - wall, floor / 2, 0), (0, 0, (floor - height) / 2), thing.color)
    half = radius * math.tan(math.pi / boards)
    for k in range(boards):
        angle = 2 * math.pi * k / boards
        reach = radius - wall / 2
        _geom(
            body,
            BOX,
            (wall / 2, half, height / 2 - 0.001),
            (reach * math.cos(angle), reach * math.sin(angle), 0.001),
            thing.color,
            quat=euler2quat(0, 0, angle),
        )


def _tray(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    length, width, height = thing.size
    floor, wall = 0.006, 0.006
    half = height / 2 - 0.001
    _geom(body, BOX, (length / 2, width / 2, floor / 2), (0, 0, (floor - height) / 2), thing.color)
    for sign in (-1, 1):
        along, across = sign * (length - wall) / 2, sign * (width - wall) / 2
        _geom(body, BOX, (wall / 2, width / 2, half), (along, 0, 0.001), thing.color)
        _geom(body, BOX, (length / 2, wall / 2, half), (0, across, 0.001), thing.color)


def _zone(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    size = (thing.size[0] / 2, thing.size[2] / 2, 0)
    _geom(body, CYLINDER, size, color=thing.color, contype=0, conaffinity=0)


def _button(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    length, width, height = thing.size
    base, cap = 0.6 * height, 0.4 * height
    box = (length / 2, width / 2, base / 2)
    _geom(body, BOX, box, (0, 0, (base - height) / 2), (0.35, 0.35, 0.37))
    moving = body.add_body(name=f"{thing.name}_cap", pos=(0, 0, (height - cap) / 2))
    moving.add_joint(
        name=f"{thing.name}_cap",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(0, 0, -1),
        range=(0, BUTTON_TRAVEL),
        limited=True,
        stiffness=250.0,  # about 3 N at the bottom
        springref=0.0,
        damping=4.0,
        armature=0.02,
    )
    moving.gravcomp = 1.0
    _geom(moving, CYLINDER, (0.026, cap / 2, 0), color=thing.color)


def _drawer(body, thing: ObjectSpec) -> None:  # type: ignore[no-untyped-def]
    """A low cabinet, open at its +x side, with a box that slides out of it by a knob."""
    length, width, height = (s / 2 for s in thing.size)
    wood, wall = (0.72, 0.70, 0.66), 0.004
    _geom(body, BOX, (length, width, wall), (0, 0, height - wall), wood)
    _geom(body, BOX, (wall, width, height), (wall - length, 0, 0), wood)
    for sign in (-1, 1):
        _geom(body, BOX, (length, wall, height), (0, sign * (width - wall), 0), wood)
    box = body.add_body(name=f"{thing.name}_box", pos=(0.002, 0, 0))
    box.add_joint(
        name=f"{thing.name}_slide",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(1, 0, 0),
        range=(0, DRAWER_TRAVEL),
        limited=True,
        damping=6.0,
        frictionloss=1.0,
        armature=0.1,
    )
    inner, low = width - 2 * wall - 0.004, height - 2 * wall - 0.006
    _geom(box, BOX, (length - 0.01, inner, 0.003), (0, 0, -low), wood)
    _geom(box, BOX, (0.003, inner, low), (0.02 - length, 0, 0), wood)
    for sign in (-1, 1):
        _geom(box, BOX, (length - 0.01, 0.003, low), (0, sign * inner, 0), wood)
    _geom(box, BOX, (0.004, width, height - 0.004), (length, 0, 0.002), thing.color)
    knob = (length + KNOB_REACH / 2 + 0.004, 0, 0.005)
    _geom(box, BOX, (KNOB_REACH / 2, 0.011, 0.02), knob, thing.color)


_SHAPES = {
    "block": _block,
    "cylinder": _cylinder,
    "ball": _ball,
    "bar": _block,
    "cross": _cross,
    "cup": _bowl,
    "bottle": _bottle,
    "plate": _plate,
    "bowl": _bowl,
    "tray": _tray,
    "zone": _zone,
    "button": _button,
    "drawer": _drawer,
}
