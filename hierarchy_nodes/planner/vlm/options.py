"""Options that all planners with a vision-language model have."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.vlm.dialects.base import AXES_CHOICES, COORDINATE_CHOICES
from hierarchy_nodes.planner.vlm.grounding import GroundingSettings


@dataclass(frozen=True)
class VlmOptions:
    """How a model is asked, and what is made of its answers."""

    dialect: str = param(
        "structured",
        "How the model writes points: structured (any model that follows instructions), hamster, "
        "peek, gemini, molmo, waypoints or my_package.module:Class",
    )
    prompt_file: str = param("", "Text file with a prompt instead of the dialect's own")
    coordinates: str = param(
        "dialect", "How the model counts, if not as its dialect does", choices=COORDINATE_CHOICES
    )
    axes: str = param(
        "dialect", "Which coordinate comes first, if not as in its dialect", choices=AXES_CHOICES
    )
    image_size: int = param(
        640,
        "Longer side of the image that is sent; smaller ones are left",
        unit="px",
        low=32,
        high=4096,
    )
    jpeg_quality: int = param(90, "Of the image that is sent", low=10, high=100)
    max_tokens: int = param(1024, "Longest answer", unit="tokens", low=16, high=32768)
    temperature: float = param(0.0, "Randomness of the answer", low=0.0, high=2.0)
    plan_lifetime: float = param(60.0, "A plan is valid for so long", unit="s", low=1.0, high=600.0)
    min_confidence: float = param(
        0.3, "Below it the person is asked instead of guessing", low=0.0, high=1.0
    )
    assumed_confidence: float = param(
        0.7, "Confidence where the model tells none", low=0.0, high=1.0
    )
    remembered: int = param(
        4,
        "So many earlier instructions that a person corrected are told to the model",
        low=0,
        high=50,
    )
    verify: bool = param(True, "Ask the model whether a task is done")
    reach: float = param(0.80, "Farthest target from the base", unit="m", low=0.2, high=2.0)
    reach_min: float = param(0.20, "Nearest target to the base", unit="m", low=0.0, high=1.0)
    home_x: float = param(0.35, "Where the tool goes in the end", unit="m", low=0.1, high=1.0)
    home_z: float = param(0.40, "Where the tool goes in the end", unit="m", low=0.1, high=1.0)
    record: str = param("", "Folder for all requests and replies; empty: none is kept")
    replay: str = param("", "Folder of a recording that answers instead of the model")

    def grounding(self) -> GroundingSettings:
        """The part that concerns making plans of replies."""
        return GroundingSettings(
            self.plan_lifetime,
            self.min_confidence,
            self.assumed_confidence,
            self.reach,
            self.reach_min,
            (self.home_x, 0.0, self.home_z),
        )
