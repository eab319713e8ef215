"""All figures of a run: one JSON file and one table."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from benchmarks.lerobot.variants import OURS, VARIANTS, Variant
from hierarchy_nodes.files import write_json
from hierarchy_nodes.learning.evaluation import EpisodeResult
from hierarchy_nodes.learning.statistics import grouped, latency, machine, share

RESULTS, TABLE = "results.json", "results.md"


def evaluation(results: list[EpisodeResult], ours: list[EpisodeResult]) -> dict[str, Any]:
    """Success of a variant, and beside ours on the same episodes (McNemar's exact test)."""
    before = {r.seed: r.success for r in ours}
    pairs = [(before[r.seed], r.success) for r in results if r.seed in before]
    only_ours = sum(a and not b for a, b in pairs)
    only_this = sum(b and not a for a, b in pairs)
    differ = only_ours + only_this
    seconds = [s for r in results for s in r.latencies["chunk"]]
    rows = [{k: v for k, v in asdict(r).items() if k != "latencies"} for r in results]
    return {
        **share(sum(r.success for r in results), len(results)),
        "per_family": grouped((r.family, r.success) for r in results),
        "beside_ours": {
            "episodes": len(pairs),
            "only_ours": only_ours,
            "only_this": only_this,
            "p": float(binomtest(only_ours, differ, 0.5).pvalue) if differ else 1.0,
        },
        "chunk_ms_during_episodes": latency(seconds),
        "rejected_chunks": sum(r.rejected for r in results),
        "results": rows,
    }


def save(out: Path, found: dict[str, Any]) -> str:
    """Write both files; returns the table."""
    write_json(out / RESULTS, found | {"machine": machine()})
    text = table(found)
    (out / TABLE).write_text(text, encoding="utf-8")
    return text


def load(out: Path) -> dict[str, Any]:
    """What an earlier command of the same run has found."""
    path = out / RESULTS
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def table(found: dict[str, Any]) -> str:
    """Markdown: training, time for a chunk, success."""
    lines: list[str] = []
    trained = found.get("training", {})
    if trained:
        lines += [
            "| trained | parameters | minutes | steps | s a step | held out, mm: 1st, 8th, 16th |",
            "|---|---|---|---|---|---|",
        ]
        for name, facts in trained.items():
            away = facts["held_out"]["all"]["position_mm"]
            lines.append(
                f"| {_policy(name)} | {facts['parameters'] / 1e6:.1f} M "
                f"| {facts['seconds'] / 60:.1f} | {facts['steps']} | {facts['seconds_a_step']:.3f} "
                f"| {away[0]:.1f}, {away[7]:.1f}, {away[15]:.1f} |"
            )
        lines.append("")
    timing = found.get("timing", {})
    if timing:
        threads = list(timing)
        heads = [f"p50 / p99 ms (n), {n} thread{'s' * (n != '1')}" for n in threads]
        lines += [f"| one chunk | {' | '.join(heads)} |", "|---|" + "---|" * len(threads)]
        for title in timing[threads[0]]:
            rows = [timing[n][title] for n in threads]
            cells = [f"{r['p50']:.1f} / {r['p99']:.1f} ({r['n']})" for r in rows]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        lines.append("")
    evaluated = found.get("evaluation", {})
    if evaluated:
        lines += [
            "| acts | success | 95% interval | only ours / only this, p | rejected chunks |",
            "|---|---|---|---|---|",
        ]
        for name, row in evaluated.items():
            low, high = row["interval"]
            beside = row["beside_ours"]
            paired = f"{beside['only_ours']} / {beside['only_this']}, p = {beside['p']:.2g}"
            lines.append(
                f"| {_title(name)} | {row['successes']} of {row['episodes']} "
                f"| {low:.0%} to {high:.0%} | {'' if name == OURS else paired} "
                f"| {row['rejected_chunks']} |"
            )
    return "\n".join(lines) + "\n"


def _policy(name: str) -> str:
    return name if name == OURS else f"LeRobot {name}"


def _title(name: str) -> str:
    found: Variant | None = VARIANTS.get(name)
    return found.title if found is not None else name
