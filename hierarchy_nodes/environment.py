"""Process environment that the stack needs before ROS or MuJoCo are imported."""

from __future__ import annotations

import os
import sys


def prepare() -> None:
    """Fill in what the user's environment leaves open; what is set stays."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if sys.prefix not in prefixes:
        os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join(filter(None, [sys.prefix, *prefixes]))
