"""What asks and answers: a server, a model in this process, or a recording."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.errors import ErrorCode, HierarchyError


class ModelError(HierarchyError):
    """No answer was to be had from the model; the message says why."""

    code = ErrorCode.BACKEND_FAILED


class ModelCancelled(ModelError):
    """The request was given up because nobody wants the answer any more."""


@dataclass(frozen=True)
class Picture:
    """An image as it is sent: JPEG, and its size in pixels."""

    jpeg: bytes
    width: int
    height: int

    @cached_property
    def digest(self) -> str:
        """Names the image in recordings."""
        return hashlib.sha256(self.jpeg).hexdigest()


@dataclass(frozen=True)
class Request:
    """One question, about an image or about words alone.

    Attributes:
        purpose: "plan", "target", "goal", "verify" or "rewording"; for the record.
        schema: JSON schema of the answer, for models that can be held to one.
    """

    purpose: str
    text: str
    picture: Picture | None
    max_tokens: int
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = None

    @cached_property
    def digest(self) -> str:
        """The same for the same question about the same image."""
        seen = self.picture.digest if self.picture is not None else ""
        whole = f"{seen}\n{self.purpose}\n{self.text}".encode("utf-8", "replace")
        return hashlib.sha256(whole).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        text: In the model's own words.
        broken_off: The limit of tokens ended it.
        seconds: It took, with all attempts.
        details: For the record: status, model, usage.
    """

    text: str
    broken_off: bool = False
    seconds: float = 0.0
    attempts: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """Answers one request at a time; `cancel` may be called from another thread."""

    @property
    def name(self) -> str:
        """For plans and recordings."""

    def ask(self, request: Request) -> Answer:
        """Raises ModelError, also when it takes too long."""

    def cancel(self) -> None:
        """Make a running `ask` raise ModelCancelled soon; nothing happens if none runs."""


def picture(color: NDArray[np.uint8], most: int, quality: int) -> Picture:
    """Shrink and compress an image.

    Args:
        color: ``(H, W, 3)`` uint8, RGB.
        most: Pixels of the longer side; smaller images are left as they are.
        quality: Of the JPEG, 1 to 100.
    """
    height, width = color.shape[:2]
    scale = min(1.0, most / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        color = cv2.resize(color, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    bgr = cv2.cvtColor(color, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ModelError(f"The image of {size[0]} x {size[1]} pixels cannot be compressed.")
    return Picture(data.tobytes(), *size)
