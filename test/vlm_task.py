"""A red block, a blue plate, a task, and what a model may reply."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from scenes import RED, cube, picture, plate, robot_at

from hierarchy_nodes.geometry import project
from hierarchy_nodes.parameters import from_mapping
from hierarchy_nodes.planner.base import PLANNERS, PlanRequest

BLOCK, PLATE = (0.45, 0.12, 0.04), (0.50, -0.12, 0.012)
TASK = "put the red block on the blue plate"


@cache
def frame():
    return picture([cube(*BLOCK[:2], RED), plate(*PLATE[:2])], stamp=100.0)[0]


def pixel(point):
    found, _ = project(np.array(point, float), frame().intrinsics, frame().camera_pose)
    return float(found[0, 0]), float(found[0, 1])


def request(text=TASK, **more):
    return PlanRequest(text, frame(), more.pop("robot", robot_at(100.0)), **more)


def planner(server, dialect="structured", **more):
    values = {"url": server.url, "model": "m", "dialect": dialect, "timeout": 5.0, "retries": 0}
    backend = PLANNERS.get("openai")
    return backend(from_mapping(backend.Options, values | more))


def thousand(point, y_first=False):
    x, y = (round(v * 1000) for v in pixel(point))
    return [y, x] if y_first else [x, y]


def structured(**more):
    whole = {
        "status": "plan",
        "question": "",
        "subtask": "put the red block on the blue plate",
        "more": False,
        "interaction": "place",
        "prompts": [
            {"role": "target", "label": "red block", "point": thousand(BLOCK)},
            {"role": "goal", "label": "blue plate", "point": thousand(PLATE)},
        ],
        "motion": "move arm forward and down",
        "path": [
            {"point": thousand((0.35, 0.0, 0.4)), "gripper": "keep"},
            {"point": thousand(BLOCK), "gripper": "close"},
            {"point": thousand((0.47, 0.0, 0.2)), "gripper": "keep"},
            {"point": thousand(PLATE), "gripper": "open"},
        ],
        "confidence": 0.9,
    }
    return json.dumps(whole | more)
