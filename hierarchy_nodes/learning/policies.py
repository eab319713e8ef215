"""Who can act in an evaluation: of which backends it is made, and what it may look at."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.controller.diffusion.features import CHANNELS
from hierarchy_nodes.errors import UnknownNameError


@dataclass(frozen=True)
class PolicyKind:
    """Backends of the three parts, and the channels that the controller is ever shown."""

    planner: str
    segmenter: str
    controller: str
    channels: tuple[str, ...] = CHANNELS


POLICIES = {
    "hierarchical": PolicyKind("compact", "depth", "diffusion"),
    "flat": PolicyKind("classical", "depth", "diffusion", ("text",)),
    "classical": PolicyKind("classical", "depth", "path_follower"),
    "expert": PolicyKind("classical", "depth", "path_follower"),
}
TRAINED = tuple(name for name, kind in POLICIES.items() if kind.controller == "diffusion")
# What only the simulator makes possible.
PRIVILEGED = ("expert",)


def channels_of(policy: str) -> tuple[str, ...]:
    """What the policy called `policy` is trained with."""
    if policy not in TRAINED:
        raise UnknownNameError("policy to train", policy, TRAINED)
    return POLICIES[policy].channels
