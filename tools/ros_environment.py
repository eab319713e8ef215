"""Enters the ROS 2 that the virtual environment was set up with, where none is sourced.

As a script: ``ros_environment.py FILE`` writes the sourced environment to FILE. Imported when
Python starts: goes on in that environment, because the loader reads it only at a process's start.
"""

import json
import os
import sys

PATHS = ("AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
NAMES = (*PATHS, "ROS_DISTRO", "ROS_VERSION", "ROS_PYTHON_VERSION")
RECORD = os.path.join(sys.prefix, "ros_environment.json")
LIBRARIES = os.path.join(sys.prefix, "lib")


def write(path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({name: os.environ[name] for name in NAMES if name in os.environ}, file, indent=2)


def enter() -> None:
    if "HIERARCHY_OUTSIDE_ROS" in os.environ:
        return
    if LIBRARIES in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        return
    with open(RECORD, encoding="utf-8") as file:
        recorded = json.load(file)
    environment = dict(os.environ)
    for name, value in recorded.items():
        if name in PATHS:
            parts = [*value.split(os.pathsep), *os.environ.get(name, "").split(os.pathsep)]
            environment[name] = os.pathsep.join(dict.fromkeys(filter(None, parts)))
        else:
            environment.setdefault(name, value)
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(
        filter(None, [LIBRARIES, environment.get("LD_LIBRARY_PATH")])
    )
    os.execve(sys.executable, sys.orig_argv, environment)


if __name__ == "__main__":
    write(sys.argv[1])
elif os.path.isfile(RECORD):
    enter()
