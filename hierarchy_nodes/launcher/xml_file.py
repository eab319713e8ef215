"""A launch file as a tree of elements that know their line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from hierarchy_nodes.errors import ConfigError


class LaunchFileError(ConfigError):
    """A launch file cannot be read, or asks for something that is not supported."""


@dataclass
class Element:
    """One element with its attributes, children and place."""

    tag: str
    attributes: dict[str, str]
    path: Path
    line: int
    children: list[Element] = field(default_factory=list)

    def error(self, message: str) -> LaunchFileError:
        """An error that names file, line and element."""
        return LaunchFileError(f"{self.path}:{self.line}: <{self.tag}>: {message}")


def read(path: Path) -> Element:
    """The root element.

    Raises:
        LaunchFileError: The file is missing, is not XML, or its root is not ``<launch>``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LaunchFileError(f"{path}: cannot be read ({error.strerror}).") from error
    stack: list[Element] = []
    roots: list[Element] = []
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, path, parser.CurrentLineNumber)
        (stack[-1].children if stack else roots).append(element)
        stack.append(element)

    def text(data: str) -> None:
        if data.strip():
            raise stack[-1].error(f"unexpected text '{data.strip()}'.")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise LaunchFileError(f"{path}:{error.lineno}: not valid XML: {reason}.") from error
    if roots[0].tag != "launch":
        raise roots[0].error("the root of a launch file must be <launch>.")
    return roots[0]
