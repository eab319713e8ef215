"""Process environment that the stack needs before ROS or MuJoCo are imported.

`HIERARCHY_DDS` says how nodes talk where Fast DDS is the middleware: ``shm`` (one host, the
default), ``lan`` (several hosts) or ``default`` (the profile that Fast DDS has built in). A
profile file that the user names in `FASTRTPS_DEFAULT_PROFILES_FILE` goes before all of them.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from hierarchy_nodes.errors import ConfigError, UnknownNameError

PACKAGE = "hierarchy_nodes"
DDS_CHOICES = ("shm", "lan", "default")
# Fast DDS 3 reads the second name, Fast DDS 2 the first.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")

SHARED_MEMORY = Path("/dev/shm")
# 32 MB for each process; containers often have 64 MB in all.
SHARED_MEMORY_NEEDED = 512e6


def share_folder() -> Path:
    """The folder that holds ``launch``, ``config`` and ``urdf``.

    That is the source tree where the code runs from one, else the installed share folder.

    Raises:
        ConfigError: Neither is there.
    """
    source = Path(__file__).resolve().parent.parent
    if (source / "package.xml").is_file():
        return source
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    # .../lib/python3.x/site-packages/hierarchy_nodes/environment.py, where nothing is sourced.
    prefixes += [str(parent) for parent in source.parents[:3]]
    for prefix in filter(None, prefixes):
        found = Path(prefix) / "share" / PACKAGE
        if (found / "package.xml").is_file():
            return found
    raise ConfigError(f"No share folder of {PACKAGE} in {', '.join(filter(None, prefixes))}.")


def prepare() -> None:
    """Fill in what the user's environment leaves open; what is set stays."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    dds = os.environ.get("HIERARCHY_DDS", "shm")
    if dds not in DDS_CHOICES:
        raise UnknownNameError("value of HIERARCHY_DDS", dds, DDS_CHOICES)
    reach = "SUBNET" if dds == "lan" else "LOCALHOST"
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", reach)
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if sys.prefix not in prefixes:
        os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join(filter(None, [sys.prefix, *prefixes]))
    if os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps"):
        _choose_profile(dds)


def _choose_profile(dds: str) -> None:
    ours = share_folder() / "config" / "dds"
    given = {Path(os.environ[name]).parent for name in PROFILE_VARIABLES if os.environ.get(name)}
    # One of ours was put there by a parent process and gives way to what was asked of this one.
    if given - {ours}:
        return
    if dds == "shm":
        free = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0
        if free < SHARED_MEMORY_NEEDED:
            print(
                f"warning: {SHARED_MEMORY} has {free / 1e6:.0f} MB free, "
                f"{SHARED_MEMORY_NEEDED / 1e6:.0f} MB are needed for HIERARCHY_DDS=shm: "
                "using 'default', which may lose large images.",
                file=sys.stderr,
            )
            dds = "default"
    for name in PROFILE_VARIABLES:
        if dds == "default":
            os.environ.pop(name, None)
        else:
            os.environ[name] = str(ours / f"{dds}.xml")
