"""What is known of words before any training: which of them are colours, and which.

The colour names of CSS come from the package webcolors; what the grammar takes for another word
for a colour ("scarlet") counts as that colour. A colour may also be given as ``#rrggbb``.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import webcolors
from numpy.typing import NDArray

from hierarchy_nodes.planner import words

# Numbers that describe a word: 1 for a colour, its lightness, and where it lies in the a*b* plane.
SIZE = 4
RGB = tuple[float, float, float]


@lru_cache(maxsize=1)
def css_colors() -> dict[str, RGB]:
    """All CSS colour names with their RGB in [0, 1]."""
    found = {}
    for name in webcolors.names(webcolors.CSS3):
        red, green, blue = webcolors.name_to_rgb(name)
        found[name] = (red / 255, green / 255, blue / 255)
    return found


def color_of(word: str) -> RGB | None:
    """RGB in [0, 1] of a colour word, or None."""
    if len(word) == 7 and word.startswith("#"):
        try:
            red, green, blue = webcolors.hex_to_rgb(word)
        except ValueError:
            return None
        return red / 255, green / 255, blue / 255
    known = css_colors()
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
