"""What the network's numbers mean: points, status, path, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hierarchy_nodes.planner.compact.inputs import INTERACTIONS, ROLES, STATUSES
from hierarchy_nodes.types import Gripper, Interaction

# What has so much of the best thing's share may be meant as well.
_ALSO = 0.25
# Most that are asked about, or kept away from.
_MOST = 4
_TARGET, _GOAL, _AVOID = range(len(ROLES))


@dataclass(frozen=True)
class Spot:
    """A place that the network points at: normalised x, y, and its share of all attention."""

    x: float
    y: float
    share: float


@dataclass(frozen=True)
class Drawn:
    """A path point: normalised x, y, height over the table in metres, event.

    `exact`: this very place, not the middle of what is there.
    """

    x: float
    y: float
    height: float
    event: Gripper
    exact: bool = False


@dataclass(frozen=True)
class Answer:
    """Of one question.

    Attributes:
        status: One of ``inputs.STATUSES``; statuses: the probability of each.
        targets: Best first, at least one. goal: Or None. avoid: What stands near the way.
        raw: How sure the network is, not calibrated: of status, target and goal together.
        more: Probability that something is left after this.
    """

    status: str
    statuses: dict[str, float]
    interaction: Interaction
    targets: tuple[Spot, ...]
    goal: Spot | None
    avoid: tuple[Spot, ...]
    path: tuple[Drawn, ...]
    raw: float
    more: float


def sureness(found: dict[str, Tensor]) -> Tensor:
    """``(N,)``: probability of the status, times the shares of the best target and goal."""
    status = found["status"].softmax(1)
    sure, chosen = status.max(1)
    points = (chosen == STATUSES.index("plan")).float()
    shares = found["roles"][:, [_TARGET, _GOAL]].softmax(2).amax(2)
    needs = torch.stack([points, points * (found["flags"][:, 1] > 0)], dim=1)
    return sure * (1 - needs + needs * shares).prod(1)


def read_answer(found: dict[str, Tensor], points: Tensor) -> Answer:
    """The network's output of one question.

    Args:
        found: As ``CompactNetwork.forward`` gives it, N = 1.
        points: ``(K, 2)`` normalised x, y of the things that it was asked about, K at least 1.
    """
    status = found["status"][0].softmax(0)
    roles = found["roles"][0]
    flags = found["flags"][0].sigmoid()
    ambiguous = STATUSES[int(status.argmax())] == "ambiguous"
    targets = _best(roles[_TARGET], points, _MOST if ambiguous else 1)
    avoid = _best(roles[_AVOID], points, _MOST) if flags[2] > 0.5 else ()
    there = found["there"][0] > 0
    path = tuple(
        Drawn(
            min(max(float(x), 0.0), 1.0),
            min(max(float(y), 0.0), 1.0),
            max(float(height), 0.0),
            Gripper(int(event)),
        )
        for (x, y), height, event in zip(
            found["points"][0][there],
            found["heights"][0][there],
            found["events"][0][there].argmax(-1),
            strict=True,
        )
    )
    return Answer(
        status=STATUSES[int(status.argmax())],
        statuses={name: float(p) for name, p in zip(STATUSES, status, strict=True)},
        interaction=INTERACTIONS[int(found["interaction"][0].argmax())],
        targets=targets,
        goal=_best(roles[_GOAL], points, 1)[0] if flags[1] > 0.5 else None,
        avoid=avoid,
        path=path,
        raw=float(sureness(found)[0]),
        more=float(flags[0]),
    )


def _best(logits: Tensor, points: Tensor, most: int) -> tuple[Spot, ...]:
    """The things with the largest shares, up to `most`, of ``(K,)`` logits."""
    shares, order = logits.softmax(0).sort(descending=True)
    kept = int((shares[:most] >= _ALSO * shares[0]).sum())
    return tuple(
        Spot(float(points[i, 0]), float(points[i, 1]), float(share))
        for i, share in zip(order[:kept].tolist(), shares[:kept], strict=True)
    )
