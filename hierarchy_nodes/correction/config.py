"""Parameters of the correction node, and of its grammar."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class CorrectionConfig:
    """What words are worth, and how long a spoken motion holds."""

    frame: str = param(
        "robot",
        "Whose left and right are meant: the robot's, or the viewer's who stands opposite",
        choices=("robot", "viewer"),
    )
    distance: float = param(
        0.03, "Motion where nobody named a distance", unit="m", low=0.001, high=0.15
    )
    distance_bit: float = param(0.015, "'a bit'", unit="m", low=0.001, high=0.15)
    distance_tiny: float = param(0.005, "'a tiny bit'", unit="m", low=0.001, high=0.15)
    distance_lot: float = param(0.06, "'a lot'", unit="m", low=0.001, high=0.15)
    max_distance: float = param(0.15, "Longer motions are refused", unit="m", low=0.01, high=0.5)
    angle: float = param(15.0, "Turn where nobody named an angle", unit="deg", low=1.0, high=90.0)
    angle_bit: float = param(10.0, "Turning 'a bit'", unit="deg", low=1.0, high=90.0)
    angle_tiny: float = param(5.0, "Turning 'a tiny bit'", unit="deg", low=1.0, high=90.0)
    angle_lot: float = param(45.0, "Turning 'a lot'", unit="deg", low=1.0, high=90.0)
    max_angle: float = param(90.0, "Larger turns are refused", unit="deg", low=1.0, high=180.0)
    motion_speed: float = param(
        0.05,
        "Speed expected of a spoken motion; gives its duration",
        unit="m/s",
        low=0.01,
        high=0.5,
    )
    turn_speed: float = param(
        0.8, "Speed expected of a spoken turn", unit="rad/s", low=0.05, high=3.0
    )
    margin: float = param(
        0.5, "Added to the duration before a spoken motion expires", unit="s", low=0.0, high=2.0
    )
    max_hold: float = param(
        10.0,
        "A motion spoken while the arm is stopped is forgotten after this time",
        unit="s",
        low=0.0,
        high=60.0,
    )
    min_confidence: float = param(
        0.4, "Transcripts below this are not acted on, except to stop", low=0.0, high=1.0
    )
    resume_resets_stop: bool = param(
        True, "Whether 'continue' also lifts a stop that a spoken word caused"
    )
    rewording: str = plugin(
        "none",
        "hierarchy_nodes.correction.rewording.base:REWORDINGS",
        "Rewords what the grammar does not understand: none, openai or embedding",
    )
    max_thought: float = param(
        5.0, "What is understood later than this after it was said counts no more",
        unit="s", low=0.1, high=60.0,
    )  # fmt: skip
