"""Prompts: text files with ``$names`` for what is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from string import Template

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.planner.vlm.reply import quoted

FOLDER = "hierarchy_nodes.planner.vlm.dialects"


@dataclass(frozen=True)
class Task:
    """What a prompt is filled from.

    Attributes:
        instruction: With the person's corrections.
        target, goal: What is to be moved, and where to, in words; goal "" if there is none.
        situation: What the robot knows: what it holds, that an attempt has failed.
    """

    instruction: str
    target: str = ""
    goal: str = ""
    situation: str = ""


class PromptText:
    """A prompt that is filled from a Task.

    Raises:
        ConfigError: It lacks $instruction, or refers to something else that a task has not.
    """

    def __init__(self, text: str) -> None:
        self._template = Template(text)
        try:
            marked = self._template.substitute(asdict(Task("\0")))
        except (KeyError, ValueError):
            marked = ""
        if "\0" not in marked:
            raise ConfigError(
                f"The prompt {quoted(text)} must contain $instruction, may contain $target, $goal "
                "and $situation, and has to write a dollar sign as $$."
            )

    def fill(self, task: Task) -> str:
        """The prompt for `task`."""
        return self._template.substitute(asdict(task))


def own(name: str) -> str:
    """The text of ``dialects/<name>.txt``."""
    try:
        return resources.files(FOLDER).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The prompt '{name}.txt' cannot be read: {error}.") from error


def from_file(path: str) -> str:
    """The text of a person's own prompt file."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompt_file: '{path}' cannot be read: {error}.") from error
