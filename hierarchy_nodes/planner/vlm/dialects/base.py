"""What a dialect is: how a model is asked, and how its answer is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hierarchy_nodes.planner.vlm import prompts
from hierarchy_nodes.planner.vlm.prompts import PromptText, Task
from hierarchy_nodes.planner.vlm.reply import Reply, ReplyError
from hierarchy_nodes.planner.vlm.scan import Reading, Scale, clean

# Right and lower edge of the image in each way of counting; pixels: of the image as it was sent.
COORDINATES: Mapping[str, float] = {"unit": 1.0, "percent": 100.0, "thousand": 1000.0}
COORDINATE_CHOICES = ("dialect", *COORDINATES, "pixel")
AXES_CHOICES = ("dialect", "xy", "yx")


@dataclass(frozen=True)
class Question:
    """One request. `key` tells the dialect what is answered; `schema`: of a JSON answer."""

    key: str
    text: str
    schema: Mapping[str, Any] | None = None


class Dialect(ABC):
    """Asks and reads. `read` is total: it returns a Reply or raises ReplyError, for any text.

    Args:
        prompt: Text of the prompt with ``$names``; "" takes the dialect's own.
    """

    coordinates: ClassVar[str] = "unit"
    y_first: ClassVar[bool] = False
    # Whether a model of this dialect can be asked other things, such as "is it done?".
    talks: ClassVar[bool] = True
    # Whether a reply may say that nothing is left to do.
    tells_done: ClassVar[bool] = False

    def __init__(self, prompt: str = "") -> None:
        self.prompt = PromptText(prompt or prompts.own(type(self).__name__.lower()))

    def questions(self, task: Task) -> tuple[Question, ...]:
        """The requests for one plan, at least one."""
        return (Question("plan", self.prompt.fill(task)),)

    def read(
        self,
        text: str,
        size: tuple[int, int],
        key: str = "plan",
        coordinates: str = "dialect",
        axes: str = "dialect",
    ) -> Reply:
        """Understand a model's answer.

        Args:
            text: Anything.
            size: Width and height in pixels of the image as it was sent.
            key: Of the question that it answers.
            coordinates: One of COORDINATE_CHOICES, for models that count otherwise.
            axes: One of AXES_CHOICES, likewise.

        Raises:
            ReplyError: It cannot be used; the message says why.
        """
        counted = self.coordinates if coordinates == "dialect" else coordinates
        width, height = size if counted == "pixel" else (COORDINATES[counted],) * 2
        y_first = self.y_first if axes == "dialect" else axes == "yx"
        reading = Reading(Scale(width, height, y_first))
        text, cut = clean(text)
        if cut:
            reading.cut("the reply is too long and was cut")
        if not text.strip():
            raise ReplyError("The reply is empty.")
        return self.understand(text, reading, key)

    @abstractmethod
    def understand(self, text: str, reading: Reading, key: str) -> Reply:
        """As :meth:`read`, of a text of bounded length that is not blank."""
