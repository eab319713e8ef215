"""Whether weights may be used: before and after learning on the same questions, paired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from hierarchy_nodes.learning.lessons.store import HELD_OUT, LEARNED
from hierarchy_nodes.learning.lessons.training import LessonTrainer, everything
from hierarchy_nodes.learning.planner.training import look
from hierarchy_nodes.learning.pointing import NEAR_END
from hierarchy_nodes.learning.statistics import resampled, share
from hierarchy_nodes.types import Array

# What is judged, for a person.
RIGHT, PATH = "right", "path"
MEANING = {RIGHT: "status, target and goal right", PATH: "work ends where it should"}


def judged(trainer: LessonTrainer) -> dict[str, Any]:
    """The weights before and after, on held-out base images and on the lessons.

    Returns:
        ``base``, ``lessons_learned`` and, where some were held out, ``lessons_held_out``: of each
        `RIGHT` and `PATH` as :func:`paired` gives them.
    """
    o = trainer.options
    sets = {"base": (trainer.data, trainer.kept[: o.evaluate_records])}
    for name in (LEARNED, HELD_OUT):
        if name in trainer.lessons:
            data = trainer.lessons[name]
            sets[f"lessons_{name}"] = (data, everything(data))
    found: dict[str, Any] = {}
    for name, (data, images) in sets.items():
        before, after = (
            look(network, data, images, o.seed, trainer.device)
            for network in (trainer.first, trainer.average)
        )
        planned = before["planned"]
        ends = [(f["end"] <= NEAR_END)[planned] for f in (before, after)]
        found[name] = {
            RIGHT: paired(before["right"], after["right"], before["image"]),
            PATH: paired(ends[0], ends[1], before["image"][planned]),
        }
    return found


def refusal(found: dict[str, Any], worse: float, ancestors: Sequence[dict[str, Any]] = ()) -> str:
    """Why the weights are not to be used; "" if they may be.

    Args:
        found: Of :func:`judged`.
        worse: By how many percentage points the base may get worse, all in all.
        ancestors: The same of the versions that they come from, which may have lost some already.
    """
    for name, meaning in MEANING.items():
        figure = found["base"][name]
        lost = -100 * figure["difference"]
        earlier = -100 * sum(judged["base"][name]["difference"] for judged in ancestors)
        if lost > worse or (lost > 0 and lost + earlier > worse):
            since = f", {lost + earlier:.1f} since the package's weights" if ancestors else ""
            return (
                f"what was known before got worse by {lost:.1f} points{since} ({meaning}: "
                f"{figure['before']['successes']} of {figure['n']} before, "
                f"{figure['after']['successes']} after; at most {worse:g} points are allowed)."
            )
    return ""


def paired(before: Tensor, after: Tensor, images: Tensor) -> dict[str, Any]:
    """Two answers to each of ``(n,)`` questions, right or not.

    Returns:
        ``n``; ``before`` and ``after`` as :func:`statistics.share`; the ``difference`` of the
        shares with its 95% ``interval``, for which whole images are drawn anew (questions about
        one image are no independent trials); and ``p``, McNemar's exact one.
    """
    a, b = before.numpy().astype(bool), after.numpy().astype(bool)
    count = len(a)
    lost, won = int((a & ~b).sum()), int((b & ~a).sum())
    change = b.astype(float) - a.astype(float)
    of = torch.unique(images, return_inverse=True)[1].numpy()
    rows = np.stack([np.bincount(of, change), np.bincount(of).astype(float)], axis=1)
    return {
        "n": count,
        "before": share(int(a.sum()), count),
        "after": share(int(b.sum()), count),
        "lost": lost,
        "won": won,
        "difference": float(change.mean()) if count else 0.0,
        "interval": resampled(rows, _mean),
        "p": float(binomtest(lost, lost + won, 0.5).pvalue) if lost + won else 1.0,
    }


def _mean(rows: Array) -> float:
    return float(rows[:, 0].sum() / rows[:, 1].sum())
