"""Answers of a planner as pictures, for people who would rather look."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.console.overlay import ROLE_COLORS, draw_overlay
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.types import Plan, Role

_COLUMNS, _SCALE, _LINE, _STRIP = 4, 2, 20, 68
_WRITING, _RIGHT, _WRONG = (235, 235, 235), (20, 90, 40), (130, 25, 25)


def draw_answer(
    color: NDArray[np.uint8],
    masks: Mapping[Role, NDArray[np.bool_]],
    plan: Plan | None,
    result: Mapping[str, Any],
    right: bool,
) -> bytes:
    """JPEG: outlines of the true things, the plan's path, rings at its points, words below.

    Args:
        color: ``(H, W, 3)`` RGB.
        masks: ``(H, W)`` of the true things.
        plan: The answer, if it is one.
        result: Fields of a ``PointingResult``.
        right: Becomes the colour below.
    """
    canvas = draw_overlay(color, plan, scale=_SCALE)
    height, width = canvas.shape[:2]
    for role, mask in masks.items():
        large = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        edges, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, edges, -1, ROLE_COLORS[role], 2, cv2.LINE_AA)
    for prompt in plan.prompts if plan is not None else ():
        at = (round(prompt.x * width), round(prompt.y * height))
        cv2.circle(canvas, at, 9, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.circle(canvas, at, 9, ROLE_COLORS[prompt.role], 2, cv2.LINE_AA)
    strip = np.full((_STRIP, width, 3), _RIGHT if right else _WRONG, np.uint8)
    sure = "" if result["confidence"] is None else f", sure {result['confidence']:.2f}"
    end = "" if result["end"] is None else f", end off {result['end']:.3f}"
    lines = textwrap.wrap(f"{result['axis']}: {result['instruction']}", 70)[:2]
    came = "plan" if plan is not None else result["code"].lower().replace("_", " ")
    lines.append(f"{came}{sure}{end}")
    for row, line in enumerate(lines):
        place = (8, 18 + row * _LINE)
        cv2.putText(strip, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _WRITING, 1, cv2.LINE_AA)
    whole = np.vstack([canvas, strip])
    _, found = cv2.imencode(".jpg", cv2.cvtColor(whole, cv2.COLOR_RGB2BGR))
    return found.tobytes()


def write_sheet(path: Path, wrong: Sequence[bytes], right: Sequence[bytes], most: int = 24) -> int:
    """Tile up to `most` pictures, half of them wrong ones if there are so many; returns how many.

    Raises:
        ConfigError: The file cannot be written.
    """
    first = list(wrong[: max(most // 2, most - len(right))])
    chosen = [*first, *right[: most - len(first)]]
    if not chosen:
        return 0
    decoded = (cv2.imdecode(np.frombuffer(c, np.uint8), cv2.IMREAD_COLOR) for c in chosen)
    tiles = [np.asarray(tile) for tile in decoded]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = cv2.imwrite(str(path), np.vstack(rows))
    except cv2.error:
        written = False
    if not written:
        raise ConfigError(f"{path}: no such picture can be written; name a .jpg or .png file.")
    return len(chosen)
