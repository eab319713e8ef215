"""Throws damaged replies at every dialect: ``python -m hierarchy_nodes.planner.vlm.fuzz``.

Each text must give a Reply whose numbers are in range, or a ReplyError with a reason.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections import Counter

from tqdm import tqdm

from hierarchy_nodes.planner.vlm.dialects import DIALECTS
from hierarchy_nodes.planner.vlm.dialects.base import AXES_CHOICES, COORDINATE_CHOICES, Dialect
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError
from hierarchy_nodes.planner.vlm.scan import MAX_POINTS

SEEDS = {
    "hamster": (
        "<ans>[(0.25, 0.32), <action>Open Gripper</action>, (0.32, 0.17), "
        "<action>Close Gripper</action>, (0.13, 0.24), (0.74, 0.21)]</ans>",
        "Sure! <ans>[<action>Close Gripper</action>, (0.1, 0.9), (0.5, 0.5)]</ans>",
    ),
    "peek": ("TRAJECTORY: <ans>[(0.25, 0.32), (0.32, 0.17)]</ans> MASK: <ans>[(0.2, 0.3)]</ans>",),
    "gemini": (
        '```json\n[{"point": [389, 252], "label": "target: red block"},'
        ' {"point": [727, 659], "label": "0"},'
        ' {"point": [10, 20], "label": "1 close gripper"}]\n```',
    ),
    "molmo": (
        '<point x="61.5" y="40.6" alt="the block">the block</point>',
        'Counting <points x1="9.1" y1="11.7" x2="17.2" y2="41.3" alt="cups">cups</points>',
        '<points coords="1 1 308 305 2 752 377">ramp</points>',
        "There are none.",
    ),
    "waypoints": (
        '[{"point_3d": [250, 320, 0.71], "label": "a", "gripper": "none"},'
        ' {"point_3d": [300, 420, 0.81], "label": "b", "gripper": "close"}]',
    ),
    "structured": (
        '{"status": "plan", "question": "", "subtask": "pick up", "more": true, "interaction": '
        '"place", "prompts": [{"role": "target", "label": "red block", "point": [410, 520]}], '
        '"motion": "move arm down", "path": [{"point": [500, 300], "gripper": "keep"}, '
        '{"point": [410, 520], "gripper": "close"}], "confidence": 0.9}',
        '{"status": "ambiguous", "question": "Which red block?"}',
    ),
}
PIECES = (
    *"()[]{}<>,:;\"'\\/$%&=+-.eE0123456789 \n\t\x00\x7f",
    *("NaN", "Infinity", "-inf", "1e999", "1" * 40, "9" * 400, "0x10", "1_000", "-0.0", "0.5.5"),
    *(
        "\u0660\u066b\u0665",
        "\uff10\uff0e\uff15",
        "\xbd",
        "\ud800",
        "\U0001f916",
        "\u202e",
        "\xe9",
        "\ufeff",
    ),
    *("<ans>", "</ans>", "<action>", "</action>", "<action>Open Gripper</action>", "</think>"),
    *("```", "```json", "null", "true", "None", '"point"', "[" * 50, "(" * 50, '{"a":' * 20, "\\u"),
    *("<point", "coords=", 'x="', "__import__('os')", "1 if 1 else 2", "TRAJECTORY:", "MASK:"),
)


def damaged(text: str, rng: random.Random) -> str:
    """`text` after one to eight cuts, repeats, swaps and insertions at random places."""
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + rng.choice((1, 2, 5, 20, 100)))
        what = rng.randrange(8)
        if what == 0:
            text = text[:a]
        elif what == 1:
            text = text[:a] + text[b:]
        elif what == 2:
            text = text[:b] + text[a:b] * rng.choice((1, 2, 30)) + text[b:]
        elif what == 3:
            text = text[:a] + chr(rng.randrange(0x300)) + text[a:]
        elif what == 4:
            other = rng.choice(SEEDS[rng.choice(tuple(SEEDS))])
            text = text[:a] + other + text[b:]
        else:
            text = text[:a] + rng.choice(PIECES) + text[a if what < 7 else b :]
        text = text[:4000]
    return text


def complaint(reply: Reply) -> str:
    """What is wrong with a reply that was accepted; "" if it is right."""
    points = [(p.x, p.y) for p in reply.path] + [(p.x, p.y) for p in reply.prompts]
    points += reply.areas
    if not all(0 <= v <= 1 for point in points for v in point):
        return "a point is outside [0, 1]"
    if len(reply.path) > MAX_POINTS:
        return "too many points"
    if not all(math.isnan(p.depth) or 0 < p.depth <= 10 for p in reply.path):
        return "a depth is out of range"
    if reply.confidence is not None and not 0 <= reply.confidence <= 1:
        return "the confidence is out of range"
    return ""


def one(dialects: dict[str, Dialect], rng: random.Random) -> tuple[str, str]:
    """Read one damaged reply; the dialect, and "reply" or "refused".

    Raises:
        AssertionError: It was read into something out of range, or refused without a reason.
    """
    name = rng.choice(tuple(dialects))
    source = SEEDS[name if rng.random() < 0.9 else rng.choice(tuple(SEEDS))]
    text = damaged(rng.choice(source), rng)
    coordinates = "dialect" if rng.random() < 0.8 else rng.choice(COORDINATE_CHOICES)
    axes = rng.choice(AXES_CHOICES)
    key = rng.choice(("plan", "target", "goal"))
    try:
        reply = dialects[name].read(text, (320, 240), key, coordinates, axes)
    except ReplyError as error:
        how, wrong = "refused", "" if len(str(error)) > 10 else "refused without a reason"
    else:
        how, wrong = "reply", complaint(reply)
    assert not wrong, (wrong, name, text)
    return name, how


def all_dialects() -> dict[str, Dialect]:
    """Each of our own dialects, by name."""
    return {name: DIALECTS.get(name)() for name in SEEDS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="texts to read")
    parser.add_argument("--seed", type=int, default=1, help="of the random damage")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    dialects, seen = all_dialects(), Counter[tuple[str, str]]()
    start = time.perf_counter()
    for _ in tqdm(range(arguments.count), unit=" texts", mininterval=1.0):
        seen[one(dialects, rng)] += 1
    seconds = time.perf_counter() - start
    for (name, how), count in sorted(seen.items()):
        print(f"{name:12} {how:8} {count:8}")
    print(f"{arguments.count} texts in {seconds:.0f} s, no exception but ReplyError")
    return 0


if __name__ == "__main__":
    sys.exit(main())
