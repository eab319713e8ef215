"""The compact planner on a table with two things, with a script in place of its network."""

from __future__ import annotations

import numpy as np
from scenes import RED, cube, picture, plate, robot_at

from hierarchy_nodes.geometry import project
from hierarchy_nodes.planner.compact.answer import Answer, Drawn, Spot
from hierarchy_nodes.planner.compact.inputs import STATUSES
from hierarchy_nodes.types import Gripper, Interaction

PUT = "put the red block on the blue plate"
EVERY = "put every red block on the blue plate"


class Script:
    """Answers as told, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple] = []

    def ask(self, text, corrections, look):
        self.asked.append((text, corrections, look))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @staticmethod
    def confidence(raw):
        return raw


def seen_at(frame, point):
    pixel, _ = project(np.array(point, float), frame.intrinsics, frame.camera_pose)
    return float(pixel[0, 0]), float(pixel[0, 1])


def placing(frame, status="plan", raw=0.9, **more):
    """What a good network says of a red cube at y = 0.1 and a plate at y = -0.1."""

    def drawn(point, event=Gripper.KEEP):
        return Drawn(*seen_at(frame, point), point[2], event)

    path = (
        drawn((0.35, 0.0, 0.40), Gripper.OPEN),
        drawn((0.5, 0.1, 0.2)),
        drawn((0.5, 0.1, 0.02), Gripper.CLOSE),
        drawn((0.5, -0.1, 0.2)),
        drawn((0.5, -0.1, 0.04), Gripper.OPEN),
        drawn((0.45, -0.1, 0.3)),
    )
    return Answer(
        status,
        dict.fromkeys(STATUSES, 0.02) | {status: 0.94},
        Interaction.PLACE,
        (Spot(*seen_at(frame, (0.5, 0.1, 0.04)), 0.9),),
        Spot(*seen_at(frame, (0.5, -0.1, 0.012)), 0.9),
        (),
        path,
        raw,
        more.pop("more", 0.0),
    )


def table():
    """Frame, which thing each pixel is of, and the arm: a red cube, and a blue plate."""
    frame, which = picture([cube(0.5, 0.1, RED), plate(0.5, -0.1)])
    return frame, which, robot_at(0.0)
