"""Draws what the stack thinks on the camera image: path, masks, motion, words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from transforms3d.quaternions import quat2mat

from hierarchy_nodes.types import (
    Correction,
    Gripper,
    LanguageMotion,
    Plan,
    Pose,
    Role,
    Segments,
)

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# RGB. The path runs from blue to red, so the masks keep clear of both.
ROLE_COLORS: dict[Role, Color] = {
    Role.TARGET: (255, 190, 0),
    Role.GOAL: (0, 220, 130),
    Role.AVOID: (230, 0, 230),
}
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
STOP_RED: Color = (200, 0, 0)
REFUSED: Color = (255, 150, 150)
MOTION_COLOR: Color = (255, 255, 90)
MASK_ALPHA = 0.35
CAPTION_SECONDS = 4.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.5
_LINE = 18
_MARGIN = 6
_ARROW = 42


def draw_overlay(
    color: Image,
    plan: Plan | None = None,
    segments: Segments | None = None,
    motion: LanguageMotion | None = None,
    corrections: Sequence[Correction] = (),
    status: Sequence[str] = (),
    scale: int = 2,
    *,
    now: float | None = None,
    stopped: str = "",
    camera_pose: Pose | None = None,
) -> Image:
    """The image with everything drawn in.

    Args:
        color: ``(H, W, 3)`` uint8, RGB.
        plan: Its path is drawn where it has one.
        segments: Masks of any size with the image's aspect.
        motion: Drawn as an arrow, as seen by the camera, with its words.
        corrections: Oldest first; drawn as captions that fade with their age at `now`.
        status: Lines for the top of the image, e.g. the phase.
        scale: Whole factor by which the image is enlarged first.
        now: The clock of the corrections' stamps; without it captions do not fade.
        stopped: Reason of a latched stop; drawn as a banner.
        camera_pose: Optical frame in the base frame; without it the plan's is taken.

    Returns:
        ``(H * scale, W * scale, 3)`` uint8, RGB; `color` itself is left as it is.
    """
    height, width = color.shape[:2]
    size = (width * scale, height * scale)
    # Into an array of our own: at scale 1 the image itself would come back.
    canvas: Image = np.empty((size[1], size[0], 3), np.uint8)
    cv2.resize(np.ascontiguousarray(color), size, canvas, interpolation=cv2.INTER_LINEAR)
    if segments is not None:
        draw_masks(canvas, segments)
    if plan is not None:
        draw_path(canvas, plan)
    if motion is not None:
        pose = camera_pose or (plan.camera_pose if plan is not None else None)
        draw_motion(canvas, motion, pose)
    draw_captions(canvas, corrections, now)
    for row, line in enumerate(line for line in status if line):
        _text(canvas, line, (_MARGIN, _MARGIN + row * _LINE))
    if stopped:
        draw_banner(canvas, f"STOPPED: {stopped}")
    return canvas


def draw_masks(canvas: Image, segments: Segments) -> None:
    """Tint each segment by its role, outline it and name it."""
    height, width = canvas.shape[:2]
    mask = cv2.resize(segments.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    for segment in segments.segments:
        tint = ROLE_COLORS[segment.role]
        # All that follows needs only the part of the image that the segment is in.
        left, top, across, down = cv2.boundingRect((mask == segment.id).view(np.uint8))
        if segment.lost or not across:
            continue
        window = canvas[top : top + down, left : left + across]
        inside = mask[top : top + down, left : left + across] == segment.id
        np.copyto(window, _tinted(window, tint), where=inside[..., None])
        found = cv2.findContours(
            inside.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
        )
        cv2.drawContours(canvas, found[0], -1, tint, 1, cv2.LINE_AA)
        _text(canvas, segment.label, (left, top + down + 2), tint)
    lost = [f"{s.role} lost: {s.label}" for s in segments.segments if s.lost]
    for row, line in enumerate(lost):
        _text(canvas, line, (width - _MARGIN, _MARGIN + row * _LINE), REFUSED, right=True)


def draw_path(canvas: Image, plan: Plan) -> None:
    """The path as a line of 2 pixels from blue to red, with circles where the gripper acts."""
    if not plan.path:
        return
    height, width = canvas.shape[:2]
    points = np.array([(p.x * width, p.y * height) for p in plan.path])
    # Sixteenths of a pixel, so that a slow curve does not jitter from frame to frame.
    fixed = np.round(np.clip(points, -width, 2 * width) * 16).astype(int)
    count = len(points)
    for index in range(count - 1):
        color = _along((index + 0.5) / (count - 1))
        cv2.line(canvas, _at(fixed[index]), _at(fixed[index + 1]), color, 2, cv2.LINE_AA, 4)
    for index, point in enumerate(plan.path):
        if point.gripper == Gripper.KEEP:
            continue
        color = _along(index / max(1, count - 1))
        center = _at(fixed[index])
        filled = point.gripper == Gripper.CLOSE
        cv2.circle(canvas, center, 7 * 16, WHITE, 2, cv2.LINE_AA, 4)
        cv2.circle(canvas, center, 5 * 16, color, -1 if filled else 2, cv2.LINE_AA, 4)


def draw_motion(canvas: Image, motion: LanguageMotion, camera_pose: Pose | None) -> None:
    """The motion's words at the lower right, over an arrow as the camera would see it."""
    height, width = canvas.shape[:2]
    center = np.array([width - _ARROW - 2 * _MARGIN, height - _ARROW - 2 * _MARGIN - _LINE])
    length = float(np.linalg.norm(motion.direction))
    if camera_pose is not None and length > 1e-9:
        local = quat2mat(camera_pose.quaternion).T @ (motion.direction / length)
        # The depth component has no place in the image; a short arrow means mostly along it.
        flat = local[:2]
        tip = center + _ARROW * (flat if np.linalg.norm(flat) > 0.2 else np.sign(local[2]) * 0.2)
        tail = center - _ARROW * flat * 0.5
        for color, thickness in ((BLACK, 5), (MOTION_COLOR, 2)):
            cv2.arrowedLine(
                canvas,
                _at(np.round(tail).astype(int)),
                _at(np.round(tip).astype(int)),
                color,
                thickness,
                cv2.LINE_AA,
                0,
                0.3,
            )
    place = (width - _MARGIN, height - _LINE - _MARGIN)
    _text(canvas, motion.text, place, MOTION_COLOR, right=True)


def draw_captions(canvas: Image, corrections: Sequence[Correction], now: float | None) -> None:
    """What the person said and what came of it, newest lowest, fading out with age."""
    fading = []
    for correction in corrections:
        age = 0.0 if now is None else now - correction.stamp
        if age < CAPTION_SECONDS:
            # Full for the first half of its life, then fading.
            fading.append((correction, min(1.0, 2 * (1 - max(0.0, age) / CAPTION_SECONDS))))
    # Above the line of the motion's words.
    bottom = canvas.shape[0] - 2 * (_LINE + _MARGIN)
    for row, (correction, alpha) in enumerate(reversed(fading[-3:])):
        words = f'"{correction.text}"' + (f" - {correction.answer}" if correction.answer else "")
        place = (_MARGIN, bottom - row * _LINE)
        color = WHITE if correction.accepted else REFUSED
        _text(canvas, words, place, color, alpha=alpha)


def draw_banner(canvas: Image, words: str) -> None:
    """A red bar across the upper part, where the arm seldom is: nothing moves."""
    height, width = canvas.shape[:2]
    middle = max(22, height // 4)
    canvas[middle - 22 : middle + 22] = np.array(STOP_RED, dtype=np.uint8)
    words = _fit(words, width - 2 * _MARGIN, 0.8, 2)
    (text_width, text_height), _ = cv2.getTextSize(words, _FONT, 0.8, 2)
    origin = ((width - text_width) // 2, middle + text_height // 2)
    cv2.putText(canvas, words, origin, _FONT, 0.8, WHITE, 2, cv2.LINE_AA)


def _tinted(image: Image, tint: Color) -> Image:
    """`image` mixed with `MASK_ALPHA` of a colour, by a table: there are only 256 levels."""
    levels = (1 - MASK_ALPHA) * np.arange(256)[:, None] + MASK_ALPHA * np.array(tint)
    return np.asarray(cv2.LUT(image, levels.astype(np.uint8)[None]), np.uint8)


def _along(fraction: float) -> Color:
    """Blue at 0, red at 1."""
    return (round(255 * fraction), 0, round(255 * (1 - fraction)))


def _at(point: NDArray) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _fit(text: str, room: int, font_scale: float, thickness: int) -> str:
    """`text` in the letters that the font has, cut to `room` pixels."""
    text = text.replace("\u2014", "-").encode("ascii", "replace").decode()
    text = " ".join(text.split())
    while text and cv2.getTextSize(text, _FONT, font_scale, thickness)[0][0] > room:
        text = text[:-4].rstrip() + ".." if len(text) > 6 else text[:-1]
    return text


def _text(
    canvas: Image,
    text: str,
    place: tuple[int, int],
    color: Color = WHITE,
    *,
    right: bool = False,
    alpha: float = 1.0,
) -> None:
    """One line with its upper left (or upper right) corner at `place`, on a dark bar."""
    height, width = canvas.shape[:2]
    text = _fit(text, width - 2 * _MARGIN, _FONT_SCALE, 1)
    if not text:
        return
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    left = place[0] - text_width if right else place[0]
    left = max(_MARGIN, min(left, width - _MARGIN - text_width))
    top = max(0, min(place[1], height - _LINE))
    corner = max(0, left - 3), max(0, top - 1)
    area = canvas[corner[1] : top + text_height + baseline, corner[0] : left + text_width + 3]
    bar = (area * 0.35).astype(np.uint8)
    origin = (left - corner[0], top + text_height - corner[1])
    cv2.putText(bar, text, origin, _FONT, _FONT_SCALE, color, 1, cv2.LINE_AA)
    area[:] = bar if alpha == 1.0 else cv2.addWeighted(bar, alpha, area, 1 - alpha, 0)
