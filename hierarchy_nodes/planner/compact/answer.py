"""What the network's numbers mean: points, status, path, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hierarchy_nodes.planner.compact.inputs import INTERACTIONS, MAPS, STATUSES
from hierarchy_nodes.planner.compact.network import GRID, centers
from hierarchy_nodes.types import Gripper, Interaction

# Cells this near to a peak belong to it.
_NEAR = 3
# A second peak with so much of the first one's height may be meant as well.
_ALSO = 0.25
_TARGET, _GOAL, _AVOID = range(len(MAPS))


@dataclass(frozen=True)
class Spot:
    """A place that the network points at: normalised x, y, and its share of all attention."""

    x: float
    y: float
    share: float


@dataclass(frozen=True)
class Drawn:
    """A path point: normalised x, y, height over the table in metres, event."""

    x: float
    y: float
    height: float
    event: Gripper


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


def best_cells(maps: Tensor) -> Tensor:
    """``(..., 60, 80)`` logits to ``(..., 2)`` x, y of the best cell, normalised.

    A cell counts with its neighbours: the middle of a thing is a better point than its edge.
    """
    shape = maps.shape[:-2]
    shares = maps.flatten(-2).softmax(-1).unflatten(-1, GRID).reshape(-1, 1, *GRID)
    smooth = functional.avg_pool2d(shares, 3, 1, 1)
    index = smooth.flatten(1).argmax(1)
    return centers(*GRID).to(maps.device).flatten(0, 1)[index].reshape(*shape, 2)


def sureness(found: dict[str, Tensor]) -> Tensor:
    """``(N,)``: probability of the status, times how much attention is at the best points."""
    status = found["status"].softmax(1)
    sure, chosen = status.max(1)
    points = (chosen == STATUSES.index("plan")).float()
    shares = torch.stack([_share(found["maps"][:, i]) for i in (_TARGET, _GOAL)], dim=1)
    needs = torch.stack([points, points * (found["flags"][:, 1] > 0)], dim=1)
    return sure * (1 - needs + needs * shares).prod(1)


def read_answer(found: dict[str, Tensor]) -> Answer:
    """The network's output of one question.

    Args:
        found: As ``CompactNetwork.forward`` gives it, N = 1.
    """
    status = found["status"][0].softmax(0)
    maps = found["maps"][0]
    flags = found["flags"][0].sigmoid()
    ambiguous = STATUSES[int(status.argmax())] == "ambiguous"
    targets = _peaks(maps[_TARGET], 4 if ambiguous else 1)
    avoid = _peaks(maps[_AVOID], 4) if flags[2] > 0.5 else ()
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
        goal=_peaks(maps[_GOAL], 1)[0] if flags[1] > 0.5 else None,
        avoid=avoid,
        path=path,
        raw=float(sureness(found)[0]),
        more=float(flags[0]),
    )


def _share(maps: Tensor) -> Tensor:
    """``(N,)`` of ``(N, 60, 80)``: attention within `_NEAR` cells of the best one."""
    shares = maps.flatten(1).softmax(1)
    best = best_cells(maps)
    grid = centers(*GRID).to(maps.device).flatten(0, 1)
    scale = torch.tensor([GRID[1], GRID[0]], device=maps.device)
    near = ((grid[None] - best[:, None]) * scale).norm(dim=2) <= _NEAR + 2
    return (shares * near).sum(1)


def _peaks(logits: Tensor, most: int) -> tuple[Spot, ...]:
    """The highest places of ``(60, 80)`` logits that are apart from each other."""
    shares = logits.flatten().softmax(0).unflatten(0, GRID)
    smooth = functional.avg_pool2d(shares[None, None], 3, 1, 1)[0, 0]
    middles = centers(*GRID)
    rows = torch.arange(GRID[0])[:, None]
    columns = torch.arange(GRID[1])[None]
    spots: list[Spot] = []
    first = float(smooth.max())
    for _ in range(most):
        value, index = smooth.flatten().max(0)
        if spots and float(value) < _ALSO * first:
            break
        row, column = divmod(int(index), GRID[1])
        near = (rows - row) ** 2 + (columns - column) ** 2 <= (_NEAR + 2) ** 2
        x, y = middles[row, column].tolist()
        spots.append(Spot(x, y, float(shares[near].sum())))
        smooth = smooth.masked_fill(near, -1.0)
        shares = shares.masked_fill(near, 0.0)
    return tuple(spots)
