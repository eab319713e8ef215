"""Substitutions of launch files: ``$(var x)``, ``$(env X default)``, ``$(eval '...')`` and so on.

Arguments are separated by one space; quotes hold an argument together; ``\\`` escapes.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hierarchy_nodes import environment
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.launcher.expressions import evaluate


@dataclass
class Context:
    """What substitutions can see.

    Attributes:
        variables: Launch arguments and ``<let>`` variables.
        environment: Set by ``<set_env>``, over the process's own.
        file: The launch file that is being read.
        namespace: Pushed so far.
    """

    variables: dict[str, str]
    file: Path
    environment: dict[str, str] = field(default_factory=dict)
    namespace: str = ""

    def copy(self) -> Context:
        return Context(dict(self.variables), self.file, dict(self.environment), self.namespace)


def find_share(package: str) -> Path:
    """The share folder of an installed package.

    Raises:
        ConfigError: No such package below AMENT_PREFIX_PATH.
    """
    if package == environment.PACKAGE:
        return environment.share_folder()
    return _find(package, Path("share") / package)


def find_command(package: str, executable: str) -> list[str]:
    """The command that runs a package's executable.

    Raises:
        ConfigError: No such package, or it has no such executable.
    """
    if package != environment.PACKAGE:
        return [str(_find(package, Path("lib") / package / executable))]
    # The code that runs now, rather than whichever copy of it is installed.
    return [sys.executable, "-m", _module(executable)]


def _module(executable: str) -> str:
    if executable == "hierarchy":
        return f"{environment.PACKAGE}.cli.main"
    nodes = Path(environment.__file__).parent
    names = sorted(path.parent.name for path in nodes.glob("*/node.py"))
    if executable not in names:
        raise UnknownNameError(
            f"executable of {environment.PACKAGE}", executable, [*names, "hierarchy"]
        )
    return f"{environment.PACKAGE}.{executable}.node"


def _find(package: str, below: Path) -> Path:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in filter(None, prefixes):
        if (Path(prefix) / below).exists():
            return Path(prefix) / below
    raise ConfigError(f"no {below} of package '{package}' in AMENT_PREFIX_PATH.")


def as_bool(text: str) -> bool:
    """``true`` or ``1``, ``false`` or ``0``, as the conditions of launch files know them."""
    value = text.strip().lower()
    if value not in ("true", "1", "false", "0"):
        raise ConfigError(f"expected true or false, got '{text}'.")
    return value in ("true", "1")


def expand(text: str, context: Context) -> str:
    """`text` with all of its substitutions replaced.

    Raises:
        ConfigError: A substitution is malformed, unknown, or refers to nothing.
    """
    result, end = _Reader(text, context).text(until="")
    assert end == len(text)
    return result


def expand_words(text: str, context: Context) -> list[str]:
    """A command line: words are split before substitution, so that values stay whole."""
    words: list[str] = []
    for word in _split(text):
        expanded = expand(word, context)
        # The only substitution that may stand for several words.
        words += shlex.split(expanded) if word.startswith("$(exec-in-pkg ") else [expanded]
    return words


def _split(text: str) -> list[str]:
    """Words of a command line, as a shell sees them; ``$(...)`` is never split."""
    words: list[str] = []
    current: str | None = None
    depth, quote = 0, ""
    for position, character in enumerate(text):
        if text.startswith("$(", position):
            depth += 1
        if not depth and not quote and character.isspace():
            words += [] if current is None else [current]
            current = None
            continue
        current = current or ""
        if depth:
            current += character
            depth -= character == ")"
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        else:
            current += character
    if quote:
        raise ConfigError(f"'{text}': a quote is not closed.")
    return words if current is None else [*words, current]


class _Reader:
    """Recursive descent over one text."""

    def __init__(self, source: str, context: Context) -> None:
        self.source, self.context = source, context

    def text(self, until: str, start: int = 0) -> tuple[str, int]:
        """Expand from `start` to one of the characters `until` or the end; also where it ended."""
        parts, position = [], start
        while position < len(self.source) and self.source[position] not in until:
            if self.source.startswith("$(", position):
                part, position = self.substitution(position + 2)
            elif self.source[position] == "\\" and position + 1 < len(self.source):
                part, position = self.source[position + 1], position + 2
            else:
                part, position = self.source[position], position + 1
            parts.append(part)
        return "".join(parts), position

    def substitution(self, position: int) -> tuple[str, int]:
        words: list[str] = []
        while True:
            if position < len(self.source) and self.source[position] in "'\"":
                quote = self.source[position]
                word, position = self.text(quote, position + 1)
                position += 1
            else:
                word, position = self.text(" )", position)
            words.append(word)
            if position >= len(self.source):
                raise ConfigError(f"'{self.source}': a $( is not closed.")
            position += 1
            if self.source[position - 1] == ")":
                return _perform(words[0], words[1:], self.context), position


def _variable(context: Context, name: str) -> str:
    if name not in context.variables:
        raise UnknownNameError("launch argument", name, context.variables)
    return context.variables[name]


def _environment(context: Context, name: str, *default: str) -> str:
    value = context.environment.get(name, os.environ.get(name, *default))
    if value is None:
        raise ConfigError(f"environment variable '{name}' is not set and has no default.")
    return value


def _equal(left: str, right: str) -> bool:
    try:
        return as_bool(left) == as_bool(right)
    except ConfigError:
        return left == right


def _text(value: bool) -> str:
    return str(value).lower()


# Name -> number of arguments (least, most) and what it does.
SUBSTITUTIONS: dict[str, tuple[int, int, Callable[..., str]]] = {
    "var": (1, 1, _variable),
    "env": (1, 2, _environment),
    "dirname": (0, 0, lambda context: str(context.file.parent)),
    "find-pkg-share": (1, 1, lambda context, package: str(find_share(package))),
    "exec-in-pkg": (2, 2, lambda context, name, pkg: shlex.join(find_command(pkg, name))),
    "eval": (1, 1, lambda context, expression: str(evaluate(expression))),
    "equals": (2, 2, lambda context, a, b: _text(_equal(a, b))),
    "not-equals": (2, 2, lambda context, a, b: _text(not _equal(a, b))),
    "and": (2, 2, lambda context, a, b: _text(as_bool(a) and as_bool(b))),
    "or": (2, 2, lambda context, a, b: _text(as_bool(a) or as_bool(b))),
    "not": (1, 1, lambda context, a: _text(not as_bool(a))),
}


def _perform(name: str, arguments: list[str], context: Context) -> str:
    if name not in SUBSTITUTIONS:
        raise UnknownNameError("substitution", name, SUBSTITUTIONS)
    least, most, action = SUBSTITUTIONS[name]
    if not least <= len(arguments) <= most:
        raise ConfigError(f"$({name}): takes {least} to {most} arguments, got {len(arguments)}.")
    return action(context, *arguments)
