"""Parameters of the planner node."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class PlannerConfig:
    """How tasks are run."""

    backend: str = plugin("compact", "hierarchy_nodes.planner.base:PLANNERS", "Planner backend")
    fallback: str = param(
        "classical",
        "Planner backend that plans where the other one breaks down, does not understand, or its "
        "plan is refused; empty: none",
    )
    time_limit: float = param(
        120.0, "A task is given up after so long", unit="s", low=1.0, high=3600.0
    )
    max_attempts: int = param(3, "Plans tried for one step of a task", low=1, high=20)
    verify: bool = param(True, "Look at the result of each step, and plan anew where it failed")
    second_chance: float = param(
        60.0,
        "After a task failed, it is tried again for so long with what is said to be meant",
        unit="s",
        low=0.0,
        high=3600.0,
    )
    looks: int = param(3, "Images looked at before a thing counts as absent", low=1, high=20)
    aside: list[float] = param(
        [0.35, 0.0, 0.40],
        "Where the tool goes when the arm may hide what is looked for; empty: it stays",
        unit="m",
    )
    moved: float = param(
        0.06, "Plan anew where somebody moved a thing of the task so far; 0: never",
        unit="m", low=0.0, high=1.0,
    )  # fmt: skip
    off_path: float = param(
        0.25, "Plan anew where the tool stays so far off its path, image widths; 0: never",
        low=0.0, high=1.0,
    )  # fmt: skip
    max_events: int = param(
        5, "Plans of one step that are given up because the world changed", low=0, high=100
    )
    image_timeout: float = param(
        5.0, "A task ends if no camera image comes for so long", unit="s", low=0.2, high=60.0
    )
    node_timeout: float = param(
        3.0, "A task ends if a needed node is silent for so long", unit="s", low=0.1, high=30.0
    )
    start_timeout: float = param(
        5.0, "How long to wait for nodes that were never heard", unit="s", low=0.1, high=60.0
    )
    answer_timeout: float = param(
        3.0, "How long the controller may take to start on a plan", unit="s", low=0.1, high=60.0
    )
    renew_before: float = param(
        3.0, "A plan is renewed so long before it expires", unit="s", low=0.0, high=60.0
    )
    rest_speed: float = param(
        0.03, "The arm is at rest below this joint speed", unit="rad/s", low=0.001, high=1.0
    )
    rest_time: float = param(0.15, "... and if that holds for so long", unit="s", low=0.0, high=5.0)
    feedback_rate_hz: float = param(5.0, "Action feedback", unit="Hz", low=0.5, high=50.0)
    motion_rate_hz: float = param(10.0, "Language motion", unit="Hz", low=0.5, high=50.0)
    second_camera: str = param(
        "", "Plan with a second camera, too: the prefix of its topics, such as side_camera"
    )
    second_age: float = param(
        0.3, "Images of two cameras belong together if taken within", unit="s", low=0.01, high=5.0
    )
    reliable_images: bool = param(False, "Subscribe to images as reliable")

    def __post_init__(self) -> None:
        if len(self.aside) not in (0, 3):
            raise ConfigError(f"aside: {self.aside} must be x, y and z in metres, or empty.")
