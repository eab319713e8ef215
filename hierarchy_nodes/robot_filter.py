"""Take the robot's own body out of a point cloud."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hierarchy_nodes.environment import share_folder
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.types import RobotState

_ROUND = {
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
}


class RobotFilter:
    """Tells which points lie on the arm, from the collision shapes of its URDF.

    Primitive shapes are exact; a mesh counts as its bounding box. The links below the hand are
    inflated less than the arm, so that a held object stays visible.

    Args:
        urdf_path: Robot description whose root link is the base frame.
        link_margin: Inflation of the arm's links, metres.
        hand_margin: Inflation of the hand and the fingers, metres.
        hand_links: Links whose name starts with one of these take `hand_margin`.

    Raises:
        ConfigError: The URDF cannot be loaded or has no collision shapes.
    """

    def __init__(
        self,
        urdf_path: str | Path | None = None,
        link_margin: float = 0.025,
        hand_margin: float = 0.008,
        hand_links: Sequence[str] = ("hand", "finger", "pinion", "gripper"),
    ) -> None:
        path = Path(urdf_path or share_folder() / "urdf" / "arm.urdf")
        try:
            self._model = mujoco.MjModel.from_xml_path(str(path))
            description = ElementTree.parse(path).getroot()
        except (ValueError, OSError, ElementTree.ParseError) as error:
            raise ConfigError(f"{path}: cannot be loaded as a URDF: {error}") from error
        self._data = mujoco.MjData(self._model)
        self._mimics = _mimics(description)
        model = self._model
        followers = {name for name, _, _, _ in self._mimics}
        leaders = {leader for _, leader, _, _ in self._mimics}
        joints = [model.joint(i).name for i in range(model.njnt)]
        self.joint_names = tuple(j for j in joints if j not in followers | leaders)
        self._gripper = tuple(j for j in joints if j in leaders)
        # Visual shapes are loaded too, with contacts switched off.
        self._geoms = [i for i in range(model.ngeom) if model.geom_contype[i]]
        if not self._geoms:
            raise ConfigError(f"{path}: no link has a collision shape.")
        names = [model.body(model.geom_bodyid[i]).name for i in self._geoms]
        self._margins = [
            hand_margin if name.startswith(tuple(hand_links)) else link_margin for name in names
        ]
        self._boxes = model.geom_aabb[self._geoms]
        # As plain floats, next to which float32 arrays stay so.
        self._sizes = model.geom_size[self._geoms].tolist()
        self._reach = np.linalg.norm(self._boxes[:, 3:], axis=1) + self._margins
        address = {name: int(model.joint(name).qposadr[0]) for name in joints}
        self._arm = [address[name] for name in self.joint_names]
        self._fingers = [address[name] for name in self._gripper]
        self._following = [address[name] for name, *_ in self._mimics]
        self._leading = [address[leader] for _, leader, *_ in self._mimics]
        self._factors = np.array([factor for *_, factor, _ in self._mimics])
        self._offsets = np.array([offset for *_, offset in self._mimics])

    def mask(self, points: ArrayLike, robot: RobotState) -> NDArray[np.bool_]:
        """Which of `points` ``(N, 3)`` (base frame, metres) are on the robot, ``(N,)`` bool."""
        # Coordinate by coordinate: rows of N numbers are much faster than N rows of three.
        cloud = np.ascontiguousarray(np.asarray(points, dtype=np.float32).T)
        found = np.zeros(cloud.shape[1], dtype=bool)
        if not len(found):
            return found
        self._pose(robot)
        turns = self._data.geom_xmat[self._geoms].reshape(-1, 3, 3)
        origins = self._data.geom_xpos[self._geoms]
        middles = origins + np.einsum("gij,gj->gi", turns, self._boxes[:, :3])
        # Squared distances to all bounding spheres at once, less their radii.
        square = np.einsum("ij,ij->j", cloud, cloud) - (2 * middles.astype("f4")) @ cloud
        radius = self._reach**2 - np.einsum("gi,gi->g", middles, middles)
        near = square < radius.astype("f4")[:, None]
        for which in np.flatnonzero(near.any(axis=1)).tolist():
            index = np.flatnonzero(near[which] & ~found)
            away = cloud[:, index] - origins[which, :, None].astype("f4")
            local = turns[which].T.astype("f4") @ away
            found[index[self._inside(which, local)]] = True
        return found

    def _pose(self, robot: RobotState) -> None:
        angles = self._data.qpos
        angles[self._arm] = robot.joint_positions
        angles[self._fingers] = robot.gripper
        angles[self._following] = angles[self._leading] * self._factors + self._offsets
        mujoco.mj_kinematics(self._model, self._data)

    def _inside(self, which: int, local: NDArray) -> NDArray[np.bool_]:
        """Which of the points ``(3, N)`` in a shape's frame are in the shape, inflated."""
        kind = self._model.geom_type[self._geoms[which]]
        size, margin = self._sizes[which], self._margins[which]
        if kind not in _ROUND:
            center, half = self._boxes[which].astype("f4").reshape(2, 3, 1)
            return np.all(np.abs(local - center) <= half + margin, axis=0)
        radius = size[0] + margin
        along = np.abs(local[2])
        across = local[0] ** 2 + local[1] ** 2
        if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            return (across <= radius**2) & (along <= size[1] + margin)
        length = size[1] if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        return across + np.maximum(along - length, 0.0) ** 2 <= radius**2


def _mimics(description: ElementTree.Element) -> list[tuple[str, str, float, float]]:
    """(joint, joint it follows, multiplier, offset) of every mimic joint of a URDF."""
    found = []
    for joint in description.iter("joint"):
        mimic = joint.find("mimic")
        if mimic is not None:
            factor, offset = (float(mimic.get(k, d)) for k, d in (("multiplier", 1), ("offset", 0)))
            found.append((joint.get("name", ""), mimic.get("joint", ""), factor, offset))
    return found


@lru_cache(maxsize=1)
def default_filter() -> RobotFilter:
    """The filter of the arm in ``urdf/arm.urdf``, loaded once a process.

    Not for use from two threads at once.
    """
    return RobotFilter()
