"""The cell's RGB-D cameras."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from hardware.cell.scene import CAMERAS, FIELD_OF_VIEW, FRAME_IDS
from hierarchy_nodes.errors import DriverError, UnknownNameError
from hierarchy_nodes.types import Array, CameraIntrinsics, RgbdFrame

NEAREST, FARTHEST = 0.15, 2.5  # metres; as a depth sensor, nothing outside of this


def intrinsics(width: int, height: int) -> CameraIntrinsics:
    """Of the cell's cameras: square pixels, principal point in the middle."""
    focal = height / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
    return CameraIntrinsics(width, height, focal, focal, width / 2, height / 2)


class Eye:
    """Renders frames of one model; belongs to the thread that made it (the GL context does).

    It works on a state of its own, so that physics need not wait for a picture.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._intrinsics = intrinsics(width, height)
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:
            raise DriverError(
                f"Cell camera: no off-screen rendering ({error}). Set MUJOCO_GL=egl before mujoco is "
                "imported and install libegl1 libgl1-mesa-dri, or MUJOCO_GL=osmesa and libosmesa6."
            ) from error
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[:2] = 1

    def capture(self, qpos: Array, stamp: float, camera: str = "front") -> RgbdFrame:
        """The frame of the configuration `qpos` ``(nq,)``."""
        if mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, camera) < 0:
            present = [self._model.camera(i).name for i in range(self._model.ncam)]
            raise UnknownNameError("camera", camera, present)
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        renderer = self._renderer
        renderer.update_scene(self._data, camera, self._option)
        for flag in ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_SKYBOX", "mjRND_HAZE"):
            renderer.scene.flags[getattr(mujoco.mjtRndFlag, flag)] = False
        color = renderer.render().copy()
        renderer.enable_depth_rendering()
        depth: NDArray[np.float32] = renderer.render().copy()
        renderer.disable_depth_rendering()
        depth[(depth < NEAREST) | (depth > FARTHEST)] = 0.0
        return RgbdFrame(stamp, FRAME_IDS[camera], color, depth, self._intrinsics, CAMERAS[camera])

    def close(self) -> None:
        self._renderer.close()
