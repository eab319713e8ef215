"""Two evaluations on the same episodes: who is better, by an exact paired test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.learning.statistics import share

Key = tuple[str, str, int]


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Success of both on the episodes that both had, over all and by axis.

    The p-value is McNemar's exact one (two-sided binomial test of the discordant pairs).

    Raises:
        ConfigError: A file is no evaluation, or the two have no episode in common.
    """
    a, b = _outcomes(first), _outcomes(second)
    both = sorted(a.keys() & b.keys())
    if not both:
        raise ConfigError(
            f"{first} and {second} have no episode in common: evaluate the same suite with the "
            "same seed."
        )
    axes = sorted({axis for _, axis, _ in both})
    return {
        "first": str(first),
        "second": str(second),
        **_paired(a, b, both),
        "per_axis": {axis: _paired(a, b, [k for k in both if k[1] == axis]) for axis in axes},
        "only_in_one": len(a.keys() ^ b.keys()),
        "test": "McNemar, exact, two-sided",
    }


def _paired(a: dict[Key, bool], b: dict[Key, bool], keys: list[Key]) -> dict[str, Any]:
    only_a = sum(a[k] and not b[k] for k in keys)
    only_b = sum(b[k] and not a[k] for k in keys)
    differ = only_a + only_b
    rate_a, rate_b = (sum(x[k] for k in keys) / len(keys) for x in (a, b))
    return {
        "episodes": len(keys),
        "first_result": share(sum(a[k] for k in keys), len(keys)),
        "second_result": share(sum(b[k] for k in keys), len(keys)),
        "only_first": only_a,
        "only_second": only_b,
        "difference": rate_a - rate_b,
        "relative": rate_a / rate_b - 1 if rate_b > 0 else None,
        "p": float(binomtest(only_a, differ, 0.5).pvalue) if differ else 1.0,
    }


def _outcomes(path: Path) -> dict[Key, bool]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["results"]
        return {(r["family"], r["axis"], int(r["seed"])): bool(r["success"]) for r in rows}
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: no results of 'hierarchy evaluate --json' ({type(error).__name__}: {error})."
        ) from error
