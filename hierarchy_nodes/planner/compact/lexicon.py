"""What is known of words before any training: which of them are colours, and which.

The names are those of CSS. How they look is what people who were shown colours called so, in the
survey of xkcd; a name that few gave there looks as CSS has it. Both come with matplotlib. What the
grammar takes for another word for a colour ("scarlet") counts as that colour. A colour may also be
given as ``#rrggbb``.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from matplotlib.colors import CSS4_COLORS, XKCD_COLORS, is_color_like, to_rgb
from numpy.typing import NDArray

from hierarchy_nodes.planner import words

# Numbers that describe a word: 1 for a colour, its lightness, and where it lies in the a*b* plane.
SIZE = 4
RGB = tuple[float, float, float]


@lru_cache(maxsize=1)
def named_colors() -> dict[str, RGB]:
    """All colour names of CSS, with the RGB in [0, 1] of what people call so."""
    seen = {name: XKCD_COLORS.get(f"xkcd:{name.replace('gray', 'grey')}") for name in CSS4_COLORS}
    return {name: to_rgb(seen[name] or CSS4_COLORS[name]) for name in CSS4_COLORS}


def color_of(word: str) -> RGB | None:
    """RGB in [0, 1] of a colour word, or None."""
    if len(word) == 7 and word.startswith("#"):
        return to_rgb(word) if is_color_like(word) else None
    known = named_colors()
    return known.get(word) or known.get(words.COLORS.get(word, ""))


def lab(rgb: RGB) -> NDArray[np.float32]:
    """``(3,)`` CIE L*a*b* of an sRGB colour in [0, 1]."""
    pixel = np.array([[rgb]], dtype=np.float32)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_RGB2Lab)[0, 0], dtype=np.float32)


@lru_cache(maxsize=4096)
def describe(word: str) -> tuple[float, float, float, float]:
    """`SIZE` numbers about `word`; zeros if it is no colour."""
    rgb = color_of(word)
    if rgb is None:
        return (0.0, 0.0, 0.0, 0.0)
    lightness, a, b = (float(v) for v in lab(rgb))
    return (1.0, lightness / 50 - 1, a / 50, b / 50)
