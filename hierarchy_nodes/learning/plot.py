"""Curves as a PNG, drawn with what is installed anyway."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, MARGIN = 900, 500, 70
_COLORS = ((180, 90, 20), (30, 100, 220), (40, 140, 40), (160, 40, 160))
_FONT = cv2.FONT_HERSHEY_SIMPLEX
Curve = tuple[str, Sequence[float], Sequence[float]]


def draw(path: Path, curves: Sequence[Curve], x_label: str) -> None:
    """Curves (name, x, y) over a linear x and a logarithmic y axis.

    What is not positive is left out; nothing is written where there is nothing to draw.
    """
    kept = []
    for name, xs, ys in curves:
        pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y) and y > 0]
        if pairs:
            kept.append((name, np.array(pairs)))
    if not kept:
        return
    every = np.concatenate([points for _, points in kept])
    right = max(float(every[:, 0].max()), 1.0)
    low = math.floor(math.log10(every[:, 1].min()))
    high = max(math.ceil(math.log10(every[:, 1].max())), low + 1)
    image = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)

    def place(points: np.ndarray) -> np.ndarray:
        x = MARGIN + points[:, 0] / right * (WIDTH - 2 * MARGIN)
        share = (np.log10(points[:, 1]) - low) / (high - low)
        return np.stack([x, HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)], 1).round().astype(int)

    for power in range(low, high + 1):
        ends = place(np.array([[0, 10.0**power], [right, 10.0**power]]))
        cv2.line(image, ends[0].tolist(), ends[1].tolist(), (220, 220, 220), 1)
        _write(image, f"1e{power}", (8, int(ends[0, 1]) + 5))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = MARGIN + share * (WIDTH - 2 * MARGIN)
        _write(image, f"{share * right:.0f}", (int(x) - 15, HEIGHT - MARGIN + 22))
    _write(image, x_label, (WIDTH // 2 - 20, HEIGHT - 15))
    for index, (name, points) in enumerate(kept):
        color = _COLORS[index % len(_COLORS)]
        cv2.polylines(image, [place(points).reshape(-1, 1, 2)], False, color, 1, cv2.LINE_AA)
        _write(image, name, (WIDTH - MARGIN - 220, MARGIN + 20 * index), color)
    done, data = cv2.imencode(".png", image)
    if done:
        path.write_bytes(data.tobytes())


def _write(
    image: np.ndarray, text: str, at: tuple[int, int], color: tuple[int, int, int] = (60, 60, 60)
) -> None:
    cv2.putText(image, text, at, _FONT, 0.45, color, 1, cv2.LINE_AA)
