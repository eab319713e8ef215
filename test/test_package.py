"""The packages as build tools see them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hierarchy_nodes.launcher import find_file, load

ROOT = Path(__file__).resolve().parent.parent
NODES = ("arm", "camera", "planner", "segmenter", "controller", "correction", "recorder", "console")


def test_package_files_are_sound():
    check = subprocess.run(
        [sys.executable, ROOT / "tools" / "check_packages.py"], capture_output=True, text=True
    )
    assert (check.returncode, check.stderr) == (0, "")


def test_every_message_is_built():
    listed = (ROOT / "hierarchy_interfaces" / "CMakeLists.txt").read_text()
    for folder in ("msg", "srv", "action"):
        for path in (ROOT / "hierarchy_interfaces" / folder).glob(f"*.{folder}"):
            assert f"{folder}/{path.name}" in listed


def test_every_node_of_the_launch_files_is_installed():
    setup = (ROOT / "setup.py").read_text()
    launched = {
        process.command[2].split(".")[1]
        for process in load(find_file("bringup"), {"record": "true"}).processes
        if process.ros
    }
    assert launched == set(NODES)
    assert all(f'"{node}"' in setup for node in launched)


def test_every_topic_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    topics = set()
    for path in (ROOT / "hierarchy_nodes").glob("*/node.py"):
        pattern = r'create_(?:publisher|subscription|service)\(\s*[\w.]+,\s*"([^"]+)"'
        topics |= set(re.findall(pattern, path.read_text()))
    assert len(topics) > 10
    assert [topic for topic in sorted(topics) if f"`{topic}`" not in readme] == []


def test_colcon_finds_and_installs_both_packages(tmp_path):
    """A real build of the Python package; the messages are built by the set-up."""
    colcon = shutil.which("colcon", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if colcon is None:
        pytest.skip("colcon is not installed")
    # colcon leaves folders behind, and what is ignored here is not the package's.
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns(".*", "build", "install", "log", "runs", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignore)
    settings = os.environ | {
        "COLCON_DEFAULTS_FILE": str(source / "colcon_defaults.yaml"),
        "COLCON_LOG_PATH": str(tmp_path / "log"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(*words):
        done = subprocess.run(
            [colcon, *words], cwd=source, env=settings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert set(run("list", "--names-only").split()) == {"hierarchy_interfaces", "hierarchy_nodes"}
    run("build", "--base-paths", ".", "--packages-select", "hierarchy_nodes")
    prefix = source / "install" / "hierarchy_nodes"
    for name in (*NODES, "hierarchy"):
        assert os.access(prefix / "lib" / "hierarchy_nodes" / name, os.X_OK), name
    share = prefix / "share" / "hierarchy_nodes"
    for name in ("package.xml", "launch/bringup.launch.xml", "config/params.yaml", "urdf/arm.urdf"):
        assert (share / name).is_file(), name
    assert (share / "config" / "dds" / "shm.xml").is_file()
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    assert (index / "hierarchy_nodes").is_file()
