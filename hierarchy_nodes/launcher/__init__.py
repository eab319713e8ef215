"""Starts the processes of a ROS 2 launch file where the ros2 command line is not installed.

It understands a subset of the XML format (see `interpreter.ELEMENTS` and `substitutions`) and
starts what ``ros2 launch`` starts from the same file. Nothing here needs ROS::

    launch = load("bringup.launch.xml", {"arm": "mock"})
    with Launcher(launch.processes) as running:
        while running.alive():
            running.poll()
"""

from hierarchy_nodes.launcher.interpreter import Argument, Launch, find_file, load
from hierarchy_nodes.launcher.processes import Event, Launcher, ProcessSpec

__all__ = ["Argument", "Event", "Launch", "Launcher", "ProcessSpec", "find_file", "load"]
