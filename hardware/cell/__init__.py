"""The simulated work cell. Headless rendering must be chosen before MuJoCo is imported."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
