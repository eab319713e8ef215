"""The cell's RGB-D cameras."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from hardware.cell.scene import FIELD_OF_VIEW, FRAME_IDS
from hierarchy_nodes.errors import DriverError, UnknownNameError
from hierarchy_nodes.types import Array, CameraIntrinsics, Pose, RgbdFrame

NEAREST, FARTHEST = 0.15, 2.5  # metres; as a depth sensor, nothing outside of this
MAX_GEOMS = 1000


def intrinsics(width: int, height: int) -> CameraIntrinsics:
    """Of the cell's cameras: square pixels, principal point in the middle."""
    focal = height / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
    return CameraIntrinsics(width, height, focal, focal, width / 2, height / 2)


def _gl_context(width: int, height: int) -> Any:
    """EGL unless MUJOCO_GL asks for something else; whatever was imported first."""
    if os.environ.get("MUJOCO_GL", "egl").lower() in ("", "egl"):
        from mujoco.egl import GLContext

        return GLContext(width, height)
    return mujoco.GLContext(width, height)


class Eye:
    """Renders frames of one model; belongs to the thread that made it (the GL context does).

    It works on a state of its own, so that physics need not wait for a picture. Colour and depth
    come out of one rendering pass, which mujoco.Renderer would do twice.

    Args:
        model: Of the cell.
        width, height: Of the images, pixels.
        poses: Of the optical frames by camera, base frame, as told with each image; who moves a
            camera changes them.

    Raises:
        DriverError: Off-screen rendering does not work here.
    """

    def __init__(
        self, model: mujoco.MjModel, width: int, height: int, poses: Mapping[str, Pose]
    ) -> None:
        self._model, self._poses = model, poses
        self._data = mujoco.MjData(model)
        self._intrinsics = intrinsics(width, height)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        try:
            self._gl = _gl_context(width, height)
            self._gl.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        except Exception as error:
            raise DriverError(
                f"Cell camera: no off-screen rendering ({error}). Install libegl1 and "
                "libgl1-mesa-dri, or libosmesa6 with MUJOCO_GL=osmesa."
            ) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        mujoco.mjr_resizeOffscreen(width, height, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        self._scene.flags[:] = 0  # no shadows, no reflections
        # The insides of things are never seen, and take a fifth of the time.
        self._scene.flags[mujoco.mjtRndFlag.mjRND_CULL_FACE.value] = 1
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[:2] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def capture(self, qpos: Array, stamp: float, camera: str = "front") -> RgbdFrame:
        """The frame of the configuration `qpos` ``(nq,)``.

        Raises:
            UnknownNameError: The scene has no such camera.
        """
        self._pose(qpos, camera)
        size = (self._intrinsics.height, self._intrinsics.width)
        color, buffer = np.empty((*size, 3), np.uint8), np.empty(size, np.float32)
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(color, buffer, self._rectangle, self._context)
        return RgbdFrame(
            stamp,
            FRAME_IDS[camera],
            np.ascontiguousarray(np.flipud(color)),
            self._metres(buffer),
            self._intrinsics,
            self._poses[camera],
        )

    def geoms(self, qpos: Array, camera: str = "front") -> NDArray[np.int32]:
        """``(H, W)``: which geom of the model each pixel shows, -1 for none.

        Raises:
            UnknownNameError: As :meth:`capture`.
        """
        self._pose(qpos, camera)
        scene = self._scene
        flags = (mujoco.mjtRndFlag.mjRND_SEGMENT.value, mujoco.mjtRndFlag.mjRND_IDCOLOR.value)
        color = np.empty((self._intrinsics.height, self._intrinsics.width, 3), np.uint8)
        for flag in flags:
            scene.flags[flag] = 1
        mujoco.mjr_render(self._rectangle, scene, self._context)
        mujoco.mjr_readPixels(color, None, self._rectangle, self._context)
        for flag in flags:
            scene.flags[flag] = 0
        numbers = np.flipud(color).astype(np.int32) @ np.array([1, 256, 65536], np.int32) - 1
        found = np.full(scene.ngeom + 1, -1, np.int32)  # the last entry is for pixels of nothing
        kind = mujoco.mjtObj.mjOBJ_GEOM.value
        for geom in scene.geoms[: scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == kind:
                found[geom.segid] = geom.objid
        return found[numbers]

    def _pose(self, qpos: Array, camera: str) -> None:
        """Bring the scene to be drawn to the configuration `qpos`."""
        model, data = self._model, self._data
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        if index < 0:
            raise UnknownNameError(
                "camera", camera, [model.camera(i).name for i in range(model.ncam)]
            )
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        self._camera.fixedcamid = index
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            model, data, self._option, None, self._camera, everything, self._scene
        )
        self._gl.make_current()

    def _metres(self, buffer: np.ndarray) -> np.ndarray:
        """Depth buffer (1 at the near plane, 0 at the far one) to metres, upright."""
        extent = self._model.stat.extent
        near, far = self._model.vis.map.znear * extent, self._model.vis.map.zfar * extent
        # In float32 throughout: exact to a micrometre, in a third of the time of doubles.
        depth = np.flipud(buffer) * np.float32(far - near)
        depth += np.float32(near)
        np.divide(np.float32(near * far), depth, out=depth)
        np.copyto(depth, np.float32(0.0), where=(depth < NEAREST) | (depth > FARTHEST))
        return depth

    def close(self) -> None:
        """Free the GL context; harmless when done twice."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._context = None
