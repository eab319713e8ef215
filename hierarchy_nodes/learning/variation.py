"""What makes one episode unlike another, drawn from its seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transforms3d.euler import euler2quat
from transforms3d.quaternions import qmult

from hardware.cell.cell import Cell
from hardware.cell.scene import CAMERAS, FIXED
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.arm.kinematics import Kinematics, NoSolution
from hierarchy_nodes.controller.diffusion.remaining import DEFAULT_DISTANCE
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.motions import direction_words
from hierarchy_nodes.types import Array, Gripper, LanguageMotion, Pose

# Where the tool may stand at first: x, y, z, metres. Nothing on the table reaches so high.
_START = ((0.30, 0.60), (-0.28, 0.28), (0.20, 0.46))
_AREA = ((0.34, 0.62), (-0.26, 0.26))
# A correction is in force for as long as its way takes at this speed, and a little longer.
_SPEED, _EXTRA, _LEAST = 0.15, 0.6, 1.0


@dataclass(frozen=True)
class VariationOptions:
    """How often, and how much. Probabilities are per episode; lengths are metres.

    `noise` and `shove_size` are added to chunks, each of which starts at the measured tool: over
    a second they grow to about four times as much.
    """

    start: float = param(0.5, "The arm begins somewhere else", low=0.0, high=1.0)
    camera: float = param(0.4, "The camera stands elsewhere", low=0.0, high=1.0)
    camera_shift: float = param(0.20, "... by at most", unit="m", low=0.0, high=0.5)
    camera_turn: float = param(20.0, "... by at most", unit="deg", low=0.0, high=60.0)
    noise: list[float] = param(
        [0.0, 0.001, 0.002, 0.004], "Of what is executed: one of these", unit="m", low=0, high=0.05
    )
    pause: float = param(0.3, "Hesitations", low=0.0, high=1.0)
    shove: float = param(0.25, "A push against the arm", low=0.0, high=1.0)
    shove_size: list[float] = param([0.015, 0.04], "... least and most", unit="m", low=0, high=0.2)
    move: float = param(0.2, "Somebody moves a thing", low=0.0, high=1.0)
    drop: float = param(0.15, "What was gripped slips", low=0.0, high=1.0)
    corrections: float = param(0.5, "A person corrects", low=0.0, high=1.0)
    corrections_most: int = param(3, "... so often at most", low=1, high=20)
    distance: list[float] = param([0.01, 0.12], "... least and most", unit="m", low=0, high=0.3)


@dataclass(frozen=True)
class Variation:
    """What happens in one episode; times are seconds since the plan came.

    Attributes:
        start: Where the arm stands at first and how far the gripper is open, or None.
        camera: Pose of the front camera, or None for the usual one.
        noise: Standard deviation of what is added to executed poses, metres.
        pauses: Times of hesitation.
        shove: Time and offset ``(3,)`` of a push against the arm, or None.
        move: Time at which somebody moves a thing, or None.
        drop: Seconds after a grasp at which the gripper loses what it holds, or None.
        corrections: Time and motion of each correction.
    """

    start: tuple[Array, float] | None = None
    camera: Pose | None = None
    noise: float = 0.0
    pauses: tuple[float, ...] = ()
    shove: tuple[float, Array] | None = None
    move: float | None = None
    drop: float | None = None
    corrections: tuple[tuple[float, LanguageMotion], ...] = ()


def draw(rng: np.random.Generator, options: VariationOptions, kinematics: Kinematics) -> Variation:
    """One episode's."""
    o = options
    start = random_start(rng, kinematics) if rng.random() < o.start else None
    camera = None
    if rng.random() < o.camera:
        camera = shifted_camera(rng, o.camera_shift, o.camera_turn)
    noise = float(rng.choice(o.noise))
    pauses = tuple(rng.uniform(0.5, 8.0, 2)) if rng.random() < o.pause else ()
    shove = None
    if rng.random() < o.shove:
        way = rng.normal(size=3) * (1.0, 1.0, 0.6)
        size = rng.uniform(o.shove_size[0], o.shove_size[1])
        shove = (float(rng.uniform(0.5, 6.0)), way / np.linalg.norm(way) * size)
    move = float(rng.uniform(0.3, 3.0)) if rng.random() < o.move else None
    drop = float(rng.uniform(0.3, 1.5)) if rng.random() < o.drop else None
    spoken: tuple[tuple[float, LanguageMotion], ...] = ()
    if rng.random() < o.corrections:
        count = int(rng.integers(1, o.corrections_most + 1))
        times = np.sort(rng.uniform(0.3, 7.0, count))
        spoken = tuple((float(t), random_motion(rng, o.distance)) for t in times)
    return Variation(start, camera, noise, pauses, shove, move, drop, spoken)


def random_start(rng: np.random.Generator, kinematics: Kinematics) -> tuple[Array, float] | None:
    """Joint angles ``(7,)`` and opening; None where the pose drawn is out of reach."""
    low, high = np.array(_START).T
    pose = top_down(rng.uniform(low, high), float(rng.uniform(-0.7, 0.7)))
    opening = 1.0 if rng.random() < 0.7 else float(rng.choice((0.0, 0.5)))
    try:
        return kinematics.solve(pose), opening
    except NoSolution:
        return None


def shifted_camera(
    rng: np.random.Generator, shift: float, turn: float, exact: bool = False
) -> Pose:
    """The front camera elsewhere.

    It goes round the middle of the table and up or down, so that the table stays in sight; what
    is then left of its turn is random, up to a few degrees.

    Args:
        shift: Metres, at most; `exact`: just so.
        turn: Degrees, likewise.
    """
    usual = CAMERAS["front"]
    middle = np.array([0.45, 0.0, 0.02])
    share = 1.0 if exact else float(rng.uniform(0.2, 1.0))
    angle = math.radians(turn) * share * float(rng.choice((-1.0, 1.0)))
    turned = euler2quat(0.0, 0.0, angle)
    arm = usual.position - middle
    cos, sin = math.cos(angle), math.sin(angle)
    position = middle + np.array([cos * arm[0] - sin * arm[1], sin * arm[0] + cos * arm[1], arm[2]])
    quaternion = qmult(turned, usual.quaternion)
    moved = position - usual.position
    size = float(np.linalg.norm(moved))
    if size > shift * share:
        # Nearer to the usual place than the turn alone would bring it.
        position = usual.position + moved / size * shift * share
    position = position + np.array([0.0, 0.0, float(rng.uniform(-0.04, 0.04)) * (not exact)])
    return Pose(position, quaternion)


def random_motion(
    rng: np.random.Generator,
    distance: Sequence[float],
    duration: float | None = None,
    plain: bool = False,
) -> LanguageMotion:
    """A correction as people give them, stamped 0; see :func:`spoken`.

    Args:
        distance: Least and greatest, metres.
        duration: How long it is in force; default: as long as it takes.
        plain: Only a direction and a distance.
    """
    way = np.zeros(3)
    kind = "move" if plain else str(rng.choice(("move", "turn", "grip"), p=(0.8, 0.12, 0.08)))
    far, turn, gripper = 0.0, 0.0, Gripper.KEEP
    if kind == "move":
        if rng.random() < 0.75:
            way[rng.integers(3)] = rng.choice((-1.0, 1.0))
        else:
            way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        named = plain or rng.random() < 0.75
        far = float(rng.uniform(distance[0], distance[1])) if named else 0.0
    elif kind == "turn":
        turn = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.1, 0.8))
    else:
        gripper = Gripper(int(rng.choice((Gripper.OPEN, Gripper.CLOSE))))
    needs = max(far or DEFAULT_DISTANCE, abs(turn) * 0.12) / _SPEED + _EXTRA
    weight = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.5, 3.0))
    text = direction_words(way) if kind == "move" else f"{kind} correction"
    return LanguageMotion(
        stamp=0.0,
        text=text,
        direction=way,
        distance=far,
        rotation=turn,
        gripper=gripper,
        valid_until=duration or max(_LEAST, needs),
        source="correction",
        weight=weight,
    )


def movable(
    cell: Cell,
    task: TaskSpec,
    rng: np.random.Generator,
    away: tuple[float, float] = (0.03, 0.08),
    goals: Sequence[str] = ("place",),
) -> tuple[str, Array] | None:
    """A thing of the task that may be moved now, and a free place `away` metres; None if none is.

    The arm must be away from it, and nothing may lie on it. Goals are moved in the families of
    `goals` only.
    """
    names = [task.target]
    if task.goal and task.family in goals:
        names.append(task.goal)
    names = [n for n in names if cell.scene.object(n).shape not in FIXED]
    if not names:
        return None
    name = str(rng.choice(names))
    here = np.array(cell.data.body(name).xpos)
    size = max(cell.scene.object(name).size[:2]) / 2
    if here[2] > cell.scene.object(name).size[2] or here[2] < 0:
        return None
    if np.linalg.norm(cell.tool_position()[:2] - here[:2]) < size + 0.08:
        return None
    others = [t for t in cell.scene.objects if t.name != name]
    spots = {t.name: np.array(cell.data.body(t.name).xpos)[:2] for t in others}
    if any(np.linalg.norm(spots[t.name] - here[:2]) < size for t in others):
        return None
    for _ in range(20):
        angle, far = rng.uniform(-math.pi, math.pi), rng.uniform(*away)
        spot = here[:2] + far * np.array([math.cos(angle), math.sin(angle)])
        inside = all(a <= x <= b for x, (a, b) in zip(spot, _AREA, strict=True))
        room = (np.linalg.norm(spot - spots[t.name]) - size - max(t.size[:2]) / 2 for t in others)
        if inside and min(room, default=1.0) > 0.04:
            return name, np.array([*spot, here[2]])
    return None
