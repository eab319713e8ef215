"""Draws a recording as a video (H.264) and as a sheet of moments."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.console.overlay import draw_overlay
from hierarchy_nodes.demo.timeline import Moment, Timeline, moments
from hierarchy_nodes.errors import HierarchyError

Image = NDArray[np.uint8]
SHEET_COLUMNS, SHEET_ROWS = 3, 2
SHEET_WIDTH = 480
_TIME_BASE = Fraction(1, 1000)


class VideoError(HierarchyError):
    """A video cannot be made here."""


def draw(moment: Moment, began: float, scale: int = 2) -> Image:
    """One picture ``(H * scale, W * scale, 3)`` RGB; the clock counts from `began`."""
    clock = max(0.0, moment.stamp - began)
    words = moment.plan.instruction if moment.plan else ""
    instruction = f'"{words}"' if words else ""
    lines = [instruction, f"{clock:5.1f} s  {moment.phase}"]
    return draw_overlay(
        moment.color,
        plan=moment.plan if moment.plan and moment.plan.path else None,
        segments=moment.segments,
        motion=moment.motion,
        corrections=moment.corrections,
        status=lines,
        scale=scale,
        now=moment.stamp,
        stopped=moment.stopped,
        camera_pose=moment.plan.camera_pose if moment.plan else None,
    )


class VideoWriter:
    """An H.264 file in its own timing, which every browser shows."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        try:
            import av
        except ImportError as error:
            raise VideoError("Videos need PyAV: pip install av") from error
        self._av = av
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        stream = self._container.add_stream("h264", rate=30)
        # yuv420p has half the rows and columns of colour: both must be even.
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        stream.options = {"preset": "veryfast", "crf": "23"}
        self._stream = stream
        self._last = -1

    def add(self, picture: Image, seconds: float) -> None:
        """A picture to be shown from `seconds` on; one that is not later is left out."""
        stamp = round(seconds / _TIME_BASE)
        if stamp <= self._last:
            return
        self._last = stamp
        shape = self._stream.height, self._stream.width
        picture = np.ascontiguousarray(picture[: shape[0], : shape[1]])
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = stamp, _TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def sheet(pictures: Iterable[Image], columns: int = SHEET_COLUMNS) -> Image:
    """The pictures in rows, each scaled to `SHEET_WIDTH`; the last row is filled with grey."""
    small = []
    for picture in pictures:
        height = round(picture.shape[0] * SHEET_WIDTH / picture.shape[1])
        size = (SHEET_WIDTH, height)
        small.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    if not small:
        raise VideoError("A sheet needs at least one picture.")
    while len(small) % columns:
        small.append(np.full_like(small[0], 128))
    rows = [np.hstack(small[i : i + columns]) for i in range(0, len(small), columns)]
    return np.vstack(rows).astype(np.uint8)


def render(line: Timeline, video: Path, picture: Path, scale: int = 2) -> int:
    """Write the video, and beside it a sheet of moments from the first plan to the end.

    Returns:
        How many images were drawn; 0 where the recording has none, and then nothing is written.
    """
    writer: VideoWriter | None = None
    began = line.began
    # In the middle of equal parts of the time from the first plan to the end.
    parts = (np.arange(SHEET_COLUMNS * SHEET_ROWS) + 0.5) / (SHEET_COLUMNS * SHEET_ROWS)
    wanted = list(began + parts * (line.end - began)) if began else []
    chosen: list[Image] = []
    first, count = 0.0, 0
    for moment in moments(line):
        drawn = draw(moment, began or moment.stamp, scale)
        if writer is None:
            writer = VideoWriter(video, drawn.shape[1], drawn.shape[0])
            first = moment.stamp
        writer.add(drawn, moment.stamp - first)
        count += 1
        if wanted and moment.stamp >= wanted[0]:
            wanted.pop(0)
            chosen.append(drawn)
    if writer is None:
        return 0
    writer.close()
    if chosen:
        overview = cv2.cvtColor(sheet(chosen), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(picture), overview)
    return count
