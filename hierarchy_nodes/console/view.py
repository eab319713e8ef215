"""The newest of everything that an operator looks at, and the words for it."""

from __future__ import annotations

from collections import deque

from hierarchy_nodes.console.overlay import CAPTION_SECONDS, Image, draw_overlay
from hierarchy_nodes.types import Correction, LanguageMotion, Plan, RgbdFrame, Segments

# Whose phase and message are worth a line, most interesting first.
SHOWN_NODES = ("controller", "planner", "arm")
# Masks older than this are of another image.
MAX_SEGMENTS_AGE = 1.0


class View:
    """Collects; :meth:`draw` makes the image."""

    def __init__(self, scale: int = 2) -> None:
        self.frame: RgbdFrame | None = None
        self.plan: Plan | None = None
        self.segments: Segments | None = None
        self.stopped = ""
        self._scale = scale
        self._motion: LanguageMotion | None = None
        self._corrections: deque[Correction] = deque(maxlen=5)
        self._lines: dict[str, str] = {}
        self._lost: list[str] = []

    def set_motion(self, motion: LanguageMotion) -> None:
        """A correction is shown until it expires, whatever the planner says."""
        shown = self._motion
        overridden = (
            shown is not None
            and shown.source == "correction"
            and motion.source != "correction"
            and motion.stamp < shown.valid_until
        )
        if not overridden:
            self._motion = motion

    def add_correction(self, correction: Correction) -> None:
        self._corrections.append(correction)

    def set_status(self, node: str, state: str, phase: str, message: str) -> None:
        """What one of the `SHOWN_NODES` says of itself."""
        if node in SHOWN_NODES:
            parts = [phase or state, message]
            self._lines[node] = f"{node}: {': '.join(part for part in parts if part)}"

    def set_lost(self, nodes: list[str]) -> None:
        """The nodes that fell silent."""
        self._lost = sorted(nodes)

    def draw(self, now: float) -> Image | None:
        """The overlay at `now` (seconds since the epoch); None before the first frame."""
        if self.frame is None:
            return None
        segments, motion = self.segments, self._motion
        if segments is not None and abs(self.frame.stamp - segments.stamp) > MAX_SEGMENTS_AGE:
            segments = None
        if motion is not None and now > motion.valid_until:
            motion = None
        plan = self.plan if self.plan is not None and self.plan.path else None
        lines = [plan.subtask or plan.instruction] if plan is not None else []
        lines += [self._lines[node] for node in SHOWN_NODES if node in self._lines]
        lines += [f"{node} is silent" for node in self._lost]
        return draw_overlay(
            self.frame.color,
            plan,
            segments,
            motion,
            [c for c in list(self._corrections) if now - c.stamp < CAPTION_SECONDS],
            lines,
            self._scale,
            now=now,
            stopped=self.stopped,
            camera_pose=self.frame.camera_pose,
        )
