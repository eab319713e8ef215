"""What an autonomous stack fails at, and a person beside it could tell it in a few words.

- ``calibration``: the camera is not where the stack believes it to be, by a few centimetres.
- ``twins``: a thing of the target's kind stands there, too, in nearly the same colour.
- ``nickname``: the target has a name that nobody has told the stack, and stands among others that
  it might mean. The same name always means the same kind of thing, so that it can be learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hardware.cell.cell import Cell
from hardware.cell.draft import TableDraft
from hardware.cell.scene import COLORS, ObjectSpec, SceneSpec
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.types import Array, Pose, RgbdFrame

HARDNESSES = ("calibration", "twins", "nickname")
# Tasks that a thing's name and place decide about.
FAMILIES = ("place", "stack", "press")
# How far the camera is off, metres: level, and up or down.
_OFF, _OFF_UP = (0.025, 0.04), 0.004
# A colour, and what is nearest to it; each of a pair has so much of the other one.
_NEAR = {
    "red": "orange",
    "orange": "yellow",
    "yellow": "orange",
    "green": "cyan",
    "blue": "purple",
    "purple": "blue",
}
_MIXED = (0.38, 0.46)
# So many more things stand beside what has a nickname.
_OTHERS = 4
_KINDS = ("block", "cylinder", "button")
_NAMES = (
    "zorp", "blicket", "dax", "wug", "toma", "fep", "kiki", "bouba", "modi", "lorp", "riff",
    "tulver", "gazzer", "pim", "sefo", "vash", "nooly", "quib",
)  # fmt: skip
NICKNAMES = {
    (color, kind): _NAMES[len(_NEAR) * i + j]
    for i, kind in enumerate(_KINDS)
    for j, color in enumerate(_NEAR)
}


@dataclass(frozen=True)
class Hard:
    """A scene and a task that were made hard.

    Attributes:
        paints: New colours of things, RGB in [0, 1], by name.
        camera_off: ``(3,)`` metres, base frame: from where the camera is to where it is believed
            to be.
    """

    scene: SceneSpec
    task: TaskSpec
    paints: dict[str, tuple[float, float, float]]
    camera_off: Array

    def prepare(self, cell: Cell) -> None:
        """Paint the things in a cell of this scene."""
        for name, rgb in self.paints.items():
            _paint(cell, self.scene.object(name), rgb)

    def misplace(self, frame: RgbdFrame) -> RgbdFrame:
        """`frame` with the camera where it is believed to be."""
        pose = frame.camera_pose
        return replace(frame, camera_pose=Pose(pose.position + self.camera_off, pose.quaternion))


def harden(kind: str, scene: SceneSpec, task: TaskSpec, rng: np.random.Generator) -> Hard:
    """Make a task of one of `FAMILIES` hard in the way `kind`.

    Raises:
        UnknownNameError: No such way.
        ConfigError: There is no room for a twin, or no nickname for the target.
    """
    if kind not in HARDNESSES:
        raise UnknownNameError("hardness", kind, HARDNESSES)
    if kind == "calibration":
        angle, far = rng.uniform(-math.pi, math.pi), rng.uniform(*_OFF)
        up = rng.uniform(-_OFF_UP, _OFF_UP)
        return Hard(scene, task, {}, np.array([far * np.cos(angle), far * np.sin(angle), up]))
    target = scene.object(task.target)
    if kind == "nickname":
        words, key = f"{target.color} {target.shape}", (target.color, target.shape)
        if key not in NICKNAMES or words not in task.instruction:
            raise ConfigError(f"'{task.instruction}': nobody has a nickname for the {words}.")
        named = task.instruction.replace(words, NICKNAMES[key], 1)
        return Hard(_crowded(scene, rng), replace(task, instruction=named), {}, np.zeros(3))
    return _with_twin(scene, task, target, rng)


def _crowded(scene: SceneSpec, rng: np.random.Generator) -> SceneSpec:
    """With more things that have nicknames, each of another kind, as far as there is room."""
    draft = _draft(scene, rng)
    there = {(thing.color, thing.shape) for thing in scene.objects}
    others = [key for key in NICKNAMES if key not in there]
    for index in rng.permutation(len(others))[:_OTHERS]:
        color, shape = others[index]
        draft.add(shape, color)
    return replace(scene, objects=tuple(draft.things))


def _draft(scene: SceneSpec, rng: np.random.Generator) -> TableDraft:
    """`scene`, to be added to."""
    draft = TableDraft(rng)
    draft.things = list(scene.objects)
    draft.taken = [(*t.position, max(t.size[:2]) / 2) for t in scene.objects]
    return draft


def _with_twin(
    scene: SceneSpec, task: TaskSpec, target: ObjectSpec, rng: np.random.Generator
) -> Hard:
    draft = _draft(scene, rng)
    near = _NEAR[target.color]
    twin = draft.add(target.shape, near)
    if twin is None:
        raise ConfigError(f"'{task.instruction}': there is no room for a second {target.shape}.")
    share = float(rng.uniform(*_MIXED))
    paints = {
        thing.name: _mixed(thing.color, other, share)
        for thing, other in ((target, near), (twin, target.color))
    }
    return Hard(replace(scene, objects=tuple(draft.things)), task, paints, np.zeros(3))


def _mixed(color: str, other: str, share: float) -> tuple[float, float, float]:
    """`color` with a `share` of `other`."""
    red, green, blue = (1 - share) * np.array(COLORS[color]) + share * np.array(COLORS[other])
    return float(red), float(green), float(blue)


def _paint(cell: Cell, thing: ObjectSpec, rgb: tuple[float, float, float]) -> None:
    """What has the thing's colour gets another one: a button's cap, but not its box."""
    model = cell.model
    own = {thing.name, f"{thing.name}_cap"}
    for geom in range(model.ngeom):
        body = model.body(int(model.geom_bodyid[geom])).name
        if body in own and np.allclose(model.geom_rgba[geom, :3], COLORS[thing.color], atol=1e-3):
            model.geom_rgba[geom, :3] = rgb
