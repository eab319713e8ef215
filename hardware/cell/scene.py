"""What stands on the table, as data: no simulator needed to read or write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.geometry import look_at
from hierarchy_nodes.types import Pose

# What a person would call them; linear enough under the cell's lamp to be told apart.
COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.08, 0.08),
    "green": (0.10, 0.58, 0.14),
    "blue": (0.08, 0.20, 0.80),
    "yellow": (0.92, 0.80, 0.08),
    "purple": (0.45, 0.10, 0.62),
    "orange": (0.95, 0.45, 0.05),
    "pink": (0.96, 0.45, 0.70),
    "cyan": (0.10, 0.75, 0.80),
    "brown": (0.38, 0.20, 0.09),
    "white": (0.95, 0.95, 0.95),
    "black": (0.06, 0.06, 0.06),
}
BASIC_COLORS = ("red", "green", "blue", "yellow", "purple", "orange")
NOVEL_COLORS = ("pink", "cyan", "brown", "white", "black")

# Bounding box (length, width, height) in metres at yaw 0.
SIZES: dict[str, tuple[float, float, float]] = {
    "block": (0.04, 0.04, 0.04),
    "cylinder": (0.04, 0.04, 0.05),
    "ball": (0.045, 0.045, 0.045),
    "bar": (0.09, 0.03, 0.03),
    "cross": (0.07, 0.07, 0.035),
    "cup": (0.06, 0.06, 0.06),
    "bottle": (0.05, 0.05, 0.14),
    "plate": (0.16, 0.16, 0.012),
    "bowl": (0.16, 0.16, 0.045),
    "tray": (0.17, 0.17, 0.025),
    "zone": (0.14, 0.14, 0.001),
    "button": (0.09, 0.09, 0.05),
    "drawer": (0.18, 0.16, 0.09),
}
FIXED = frozenset({"zone", "button", "drawer"})
CONTAINERS = frozenset({"bowl", "tray", "cup"})
BUTTON_TRAVEL = 0.012
DRAWER_TRAVEL = 0.12
KNOB_REACH = 0.035

CAMERAS: dict[str, Pose] = {
    "front": look_at((1.10, 0.0, 0.75), (0.45, 0.0, 0.02)),
    "side": look_at((0.45, 0.85, 0.70), (0.45, 0.0, 0.02)),
}
FRAME_IDS = {
    "front": "camera_color_optical_frame",
    "side": "side_camera_color_optical_frame",
}
FIELD_OF_VIEW = 45.0  # vertical, degrees


@dataclass(frozen=True)
class ObjectSpec:
    """One thing on the table.

    Attributes:
        name: Unique in the scene, e.g. ``red_block``.
        shape: A key of `SIZES`.
        color: A key of `COLORS`.
        size: ``(length, width, height)`` of the bounding box, metres.
        position: ``(x, y)`` of its middle, base frame, metres.
        yaw: About z, radians. A drawer opens along its own +x.
        opening: A drawer's opening at the start, in [0, 1].
    """

    name: str
    shape: str
    color: str
    size: tuple[float, float, float]
    position: tuple[float, float]
    yaw: float = 0.0
    opening: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in SIZES:
            raise UnknownNameError(f"shape of object '{self.name}':", self.shape, SIZES)
        if self.color not in COLORS:
            raise UnknownNameError(f"color of object '{self.name}':", self.color, COLORS)
        if min(self.size) <= 0:
            raise ConfigError(f"Object '{self.name}': size {self.size} must be positive.")

    @classmethod
    def make(
        cls,
        color: str,
        shape: str,
        position: tuple[float, float],
        yaw: float = 0.0,
        name: str = "",
        opening: float = 0.0,
    ) -> ObjectSpec:
        """An object of the usual size of its shape."""
        size = SIZES.get(shape, (0.04, 0.04, 0.04))
        return cls(name or f"{color}_{shape}", shape, color, size, position, yaw, opening)


@dataclass(frozen=True)
class SceneSpec:
    """Everything that makes a scene; equal specs make equal simulations, bit for bit.

    Attributes:
        objects: What stands on the table.
        seed: The seed that it was drawn with.
        table_color: RGB in [0, 1].
        light: Brightness of the lamp, 1 is the usual one.
        light_direction: Where the lamp shines to.
        cameras: Names out of `CAMERAS`.
    """

    objects: tuple[ObjectSpec, ...] = ()
    seed: int = 0
    table_color: tuple[float, float, float] = (0.62, 0.60, 0.56)
    light: float = 1.0
    light_direction: tuple[float, float, float] = (-0.25, 0.15, -1.0)
    cameras: tuple[str, ...] = field(default=("front", "side"))

    def __post_init__(self) -> None:
        names = [thing.name for thing in self.objects]
        if len(set(names)) != len(names):
            raise ConfigError(f"Scene: object names must be unique, got {', '.join(names)}.")
        for camera in self.cameras:
            if camera not in CAMERAS:
                raise UnknownNameError("camera", camera, CAMERAS)

    def object(self, name: str) -> ObjectSpec:
        """The object called `name`; UnknownNameError otherwise."""
        for thing in self.objects:
            if thing.name == name:
                return thing
        raise UnknownNameError("object", name, [thing.name for thing in self.objects])

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and mappings, for YAML or the wire."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SceneSpec:
        """The inverse of :meth:`to_dict`; ConfigError where it is malformed."""
        try:
            objects = tuple(ObjectSpec(**_tuples(thing)) for thing in values.get("objects", ()))
            return cls(
                objects=objects, **_tuples({k: v for k, v in values.items() if k != "objects"})
            )
        except TypeError as error:
            raise ConfigError(f"Scene: {error}.") from error


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists (which is what the wire makes of tuples) back to tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
