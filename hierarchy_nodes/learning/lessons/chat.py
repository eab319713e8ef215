"""Lessons as conversations, for fine-tuning a vision-language model elsewhere.

A line is ``{"messages": [user, assistant]}``: the question as the backends ``openai`` and
``transformers`` put it, and the right answer in the dialect ``structured``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.files import whole
from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.learning.lessons.lesson import Lesson
from hierarchy_nodes.learning.planner.answers import Wish
from hierarchy_nodes.planner.motions import direction_words
from hierarchy_nodes.planner.vlm.asking import corrected, task_of
from hierarchy_nodes.planner.vlm.client import question
from hierarchy_nodes.planner.vlm.dialects.structured import Structured
from hierarchy_nodes.planner.vlm.model import Request, picture
from hierarchy_nodes.planner.vlm.options import VlmOptions
from hierarchy_nodes.planner.vlm.reply import Reply
from hierarchy_nodes.types import Gripper, PathPoint, Prompt, Role


def export(lessons: Iterable[Lesson], path: Path, options: VlmOptions | None = None) -> int:
    """Write a line for each thing that may be said about each image; returns how many.

    Args:
        lessons: Which.
        path: Of the JSON lines.
        options: For the size of images, as the backend sends them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with whole(path) as draft, draft.open("w", encoding="utf-8") as file:
        for lesson in lessons:
            for wish in lesson.wishes:
                file.write(json.dumps(conversation(lesson, wish, options or VlmOptions())) + "\n")
                count += 1
    return count


def conversation(lesson: Lesson, wish: Wish, options: VlmOptions) -> dict[str, Any]:
    """One question with its answer."""
    dialect = Structured()
    (asked,) = dialect.questions(task_of(wish.text, wish.corrections, lesson.holding))
    image = picture(lesson.frame.color, options.image_size, options.jpeg_quality)
    request = Request(asked.key, asked.text, image, options.max_tokens, schema=asked.schema)
    answer = {"role": "assistant", "content": dialect.write(reply(lesson, wish))}
    return {"messages": [question(request), answer]}


def reply(lesson: Lesson, wish: Wish) -> Reply:
    """What should have been answered."""
    step = corrected(wish.text, wish.corrections)
    names: dict[Role, str] = {}
    if step is not None:
        names[Role.TARGET] = step.target.name
        names[Role.GOAL] = step.goal.name if step.goal is not None else ""
    roles = [(Role.TARGET, wish.targets[0])]
    roles += [(Role.GOAL, wish.goal)] if wish.goal >= 0 else []
    roles += [(Role.AVOID, number) for number in wish.avoid]
    prompts = tuple(
        Prompt(role, names.get(role) or lesson.labels[number], *middle(lesson.things == number + 1))
        for role, number in roles
    )
    return Reply(
        path=tuple(PathPoint(x, y, gripper=Gripper(int(event))) for x, y, _, event in wish.path),
        prompts=prompts,
        interaction=wish.interaction,
        motion=_first_motion(lesson, wish),
        subtask=wish.text if step is None else str(step),
        more=wish.more,
    )


def middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Normalised x, y of the pixel of ``(H, W)`` that is farthest from the mask's edge."""
    height, width = mask.shape
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return (float(column) + 0.5) / width, (float(row) + 0.5) / height


def _first_motion(lesson: Lesson, wish: Wish) -> str:
    """How the arm has to move first, in words."""
    camera, pose = lesson.frame.intrinsics, lesson.frame.camera_pose
    points = [on_plane(x, y, camera, pose, z) for x, y, z, _ in wish.path]
    ways = (b - a for a, b in pairwise(points))
    return next((direction_words(way) for way in ways if np.linalg.norm(way) > 1e-3), "hold arm")
