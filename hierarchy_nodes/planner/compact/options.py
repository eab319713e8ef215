"""Options of the compact planner."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param


@dataclass(frozen=True)
class CompactOptions:
    """Weights, and when to ask instead of acting."""

    weights: str = param(
        "",
        "Weights file; empty: what was learned from corrections ('hierarchy learn'), else the one "
        "that comes with the package",
    )
    threads: int = param(1, "CPU threads; more are slower where cores are busy", low=1, high=64)
    plan_lifetime: float = param(60.0, "A plan is valid for so long", unit="s", low=1.0, high=600.0)
    min_confidence: float = param(
        0.3, "Below this confidence the planner asks instead of acting", low=0.0, high=1.0
    )
    depth: bool = param(
        True, "Give path points away from things their depths, from the heights that were learned"
    )
    verify: float = param(
        0.85, "How sure it must be of done or not done; else it abstains", low=0.5, high=1.0
    )
    reach: float = param(0.80, "Farthest the tool goes from the base", unit="m", low=0.2, high=2.0)
    reach_min: float = param(0.20, "Nearest the tool goes to the base", unit="m", low=0.0, high=1.0)
