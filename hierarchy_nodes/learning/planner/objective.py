"""What the compact planner is trained for, and how far it got on held-out images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.learning.planner.data import Batch
from hierarchy_nodes.planner.compact.answer import sureness
from hierarchy_nodes.planner.compact.inputs import HEIGHT, ROLES, STATUSES, WIDTH
from hierarchy_nodes.planner.compact.network import CompactNetwork

PLAN = STATUSES.index("plan")
# How much each part of the loss counts.
WEIGHTS = {
    "target": 1.0, "goal": 0.7, "avoid": 0.15, "status": 1.0, "interaction": 0.3, "flags": 0.3,
    "heading": 0.3, "there": 0.3, "points": 10.0, "heights": 5.0, "events": 0.3,
}  # fmt: skip


def outputs(
    network: CompactNetwork, batch: Batch, heading: Tensor | None = None
) -> dict[str, Tensor]:
    """The network on a batch: each image is encoded once."""
    seen = network.see(
        batch["crops"].float() / 255, batch["geometry"], batch["shades"], batch["seen"]
    )
    names = ("ids", "colors", "segments", "state", "before")
    return network(seen.of(batch["image_of"]), *(batch[name] for name in names), heading=heading)


class PlannerObjective(nn.Module):
    """The loss of a batch and its parts."""

    def __init__(self, network: CompactNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        found = outputs(self.network, batch, batch["heading"])
        parts: dict[str, Tensor] = {}
        for i, role in enumerate(ROLES):
            meant = batch["roles"][:, i]
            there = meant.sum(1) > 0
            surprise = -(meant * found["roles"][:, i].log_softmax(1)).sum(1)
            # Less the entropy of what is meant: what a perfect answer would still cost.
            least = -(meant * meant.clamp(min=1e-9).log()).sum(1)
            parts[str(role)] = _mean(surprise - least, there)
        parts["status"] = functional.cross_entropy(found["status"], batch["status"])
        parts["interaction"] = functional.cross_entropy(found["interaction"], batch["interaction"])
        parts["flags"] = functional.binary_cross_entropy_with_logits(found["flags"], batch["flags"])
        planned, there = batch["status"] == PLAN, batch["path_there"]
        parts["there"] = _mean(
            functional.binary_cross_entropy_with_logits(
                found["there"], there, reduction="none"
            ).mean(1),
            planned,
        )
        parts["heading"] = _mean(
            functional.cross_entropy(found["heading"], batch["heading"], reduction="none"), planned
        )
        used = there > 0
        path = batch["path"]
        parts["points"] = _mean((found["points"] - path[..., :2]).abs().sum(-1), used)
        parts["heights"] = _mean((found["heights"] - path[..., 2]).abs(), used)
        events = functional.cross_entropy(
            found["events"].flatten(0, 1), path[..., 3].long().flatten(), reduction="none"
        )
        parts["events"] = _mean(events.unflatten(0, used.shape), used)
        total = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Over what counts; 0 where nothing does."""
    kept = where.to(values.dtype)
    return (values * kept).sum() / kept.sum().clamp(min=1.0)


@torch.no_grad()
def judge(network: CompactNetwork, batch: Batch) -> dict[str, Tensor]:
    """Of each question: what was right, how sure the network was, how far the path was off.

    Returns:
        ``(N,)`` each: ``status`` (right), ``target`` and ``goal`` (the right thing; true where none
        is meant), ``end`` (how far off the work ends, widths; NaN without a plan),
        ``interaction``, ``raw``, ``right`` (what a confidence is about), ``planned``, and ``said``
        and ``true``, numbers of the statuses.
    """
    found = outputs(network, batch)
    planned = batch["status"] == PLAN
    best = found["roles"].argmax(2, keepdim=True)
    right = batch["roles"].gather(2, best)[..., 0] > 0
    said = found["status"].argmax(1)
    last = batch["work_end"]
    place = last[:, None, None].expand(-1, 1, 2)
    off = found["points"].gather(1, place) - batch["path"][..., :2].gather(1, place)
    end = (off[:, 0] * torch.tensor([1.0, HEIGHT / WIDTH], device=off.device)).norm(dim=1)
    status = said == batch["status"]
    target, goal = (right[:, i] | ~batch["wanted"][:, i] for i in range(2))
    nan = torch.full_like(end, torch.nan)
    return {
        "status": status,
        "target": target,
        "goal": goal,
        "end": torch.where(planned, end, nan),
        "interaction": found["interaction"].argmax(1) == batch["interaction"],
        "raw": sureness(found),
        "right": status & (~planned | (target & goal)),
        "planned": planned,
        "said": said,
        "true": batch["status"],
    }


def summarise(found: dict[str, Tensor]) -> dict[str, Any]:
    """Figures of :func:`judge` for many questions."""
    planned = found["planned"]
    absent = STATUSES.index("not there")
    said, true = found["said"] == absent, found["true"] == absent
    both = float((said & true).sum())

    def share(values: Tensor, where: Tensor) -> float:
        return round(float(values[where].float().mean()), 4) if where.any() else 0.0

    everywhere = torch.ones_like(planned)
    return {
        "n": len(planned),
        "plans": int(planned.sum()),
        "target": share(found["target"], planned),
        "goal": share(found["goal"], planned),
        "end_widths": share(found["end"], planned),
        "status": share(found["status"], everywhere),
        "interaction": share(found["interaction"], everywhere),
        "absent_precision": round(both / max(float(said.sum()), 1.0), 4),
        "absent_recall": round(both / max(float(true.sum()), 1.0), 4),
    }


def fit_calibration(raw: Tensor, right: Tensor, steps: int = 200) -> tuple[float, float]:
    """Slope and offset of the logistic that makes `raw` a probability of `right`."""
    logits = torch.logit(raw.double().clamp(1e-6, 1 - 1e-6))
    values = torch.tensor([1.0, 0.0], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([values], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        slope = functional.softplus(values[0])
        # As strong as one answer: it decides only where there are few, or all are right.
        pull = ((slope - 1) ** 2 + values[1] ** 2) / len(logits)
        total = functional.binary_cross_entropy_with_logits(
            slope * logits + values[1], right.double()
        )
        (total + pull).backward()
        return total

    optimizer.step(loss)
    slope, offset = functional.softplus(values[0]).item(), values[1].item()
    return float(slope), float(offset)
