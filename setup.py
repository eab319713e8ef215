import sys
from glob import glob

from setuptools import find_packages, setup

NAME = "hierarchy_nodes"
NODES = [
    "arm",
    "camera",
    "planner",
    "segmenter",
    "controller",
    "correction",
    "microphone",
    "speech",
    "recorder",
    "console",
]

data_files = [
    ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
    (f"share/{NAME}", ["package.xml"]),
    (f"share/{NAME}/launch", glob("launch/*.xml")),
    (f"share/{NAME}/config", glob("config/*.*")),
    (f"share/{NAME}/config/dds", glob("config/dds/*.xml")),
    (f"share/{NAME}/config/weights", glob("config/weights/*.*")),
    (f"share/{NAME}/urdf", glob("urdf/*.*")),
]

setup(
    name=NAME,
    version="0.1.0",
    description="Talk to a robot arm, watch it work, and correct it while it moves.",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*", "hardware", "hardware.*"]),
    package_data={
        f"{NAME}.console": ["static/*"],
        f"{NAME}.planner.vlm.dialects": ["*.txt"],
    },
    # An editable install is used from the source tree; copies of its files would go stale.
    data_files=[] if "editable_wheel" in sys.argv else data_files,
    extras_require={
        "realsense": ["pyrealsense2>=2.55"],
        "learning": ["torch>=2.5", "safetensors>=0.4", "onnx>=1.17", "onnxruntime>=1.20"],
        "transformers": ["transformers>=4.57", "torch>=2.4", "pillow"],
        "sam2": ["sam2>=1.1", "torch>=2.4", "hydra-core", "iopath"],
    },
    entry_points={
        "console_scripts": [
            f"hierarchy = {NAME}.cli.main:main",
            *[f"{node} = {NAME}.{node}.node:main" for node in NODES],
        ],
    },
)
