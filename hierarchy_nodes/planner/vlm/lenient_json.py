"""Finds and reads JSON in a model's text: total, linear, with bounded depth.

Beyond JSON it takes what models write: text and code fences around it, single quotes, Python's
True, False and None, trailing commas, and a text that breaks off, of which the whole items are
kept. It is no evaluator: nothing but literals is understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hierarchy_nodes.planner.vlm.reply import ReplyError, quoted

MAX_DEPTH = 32
# Beginnings that are tried; text has brackets too.
MAX_STARTS = 24
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<mark>[{}\[\]:,])
      | (?P<string>"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')
      | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<word>[A-Za-z+-]{1,12})
      | (?P<cut>["'].*)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_NOT_FINITE = {"nan", "infinity", "inf"}
_START = re.compile(r"[\[{]")


@dataclass(frozen=True)
class Found:
    """A value: lists, dicts with string keys, strings, floats, booleans, None."""

    value: Any
    truncated: bool


class _Bad(Exception):
    """No value begins here; the text says why."""


def find(text: str, wanted: Callable[[Any], bool]) -> Found:
    """The last JSON value in `text` that is `wanted`; of those that are whole, if any is.

    Raises:
        ReplyError: There is none; with the reason why the first one could not be read.
    """
    best: Found | None = None
    why = ""
    position = starts = 0
    while starts < MAX_STARTS:
        begin = _START.search(text, position)
        if begin is None:
            break
        starts += 1
        try:
            found, end = _Reader(text, begin.start()).read()
        except _Bad as bad:
            why = why or str(bad)
            position = begin.end()
            continue
        if not wanted(found.value):
            # A list in the text around ("[1]"), or a wrapping that has the answer within.
            position = begin.end()
            continue
        if best is None or best.truncated or not found.truncated:
            best = found
        position = end
    if best is None:
        raise ReplyError(f"No usable JSON in {quoted(text)}{': ' + why if why else ''}.")
    return best


class _Reader:
    """Reads one value with a stack of its own instead of recursion."""

    def __init__(self, text: str, start: int) -> None:
        self._text, self._at = text, start
        # Each open container, and for an object the key that waits for its value.
        self._stack: list[tuple[Any, list[str]]] = []
        self._root: Any = None
        self._wants_value = True
        self._truncated = False

    def read(self) -> tuple[Found, int]:
        while True:
            token = _TOKEN.match(self._text, self._at)
            if token is None:
                if not self._text[self._at :].strip():
                    self._break_off()
                    return Found(self._root, True), len(self._text)
                raise self._bad("unexpected")
            kind = str(token.lastgroup)
            if kind == "cut" or (kind in ("number", "word") and token.end() == len(self._text)):
                # The text ends within this token: what it would have been is not known.
                self._break_off()
                return Found(self._root, True), len(self._text)
            self._take(kind, token.group(kind))
            self._at = token.end()
            if not self._stack:
                return Found(self._root, False), self._at

    def _take(self, kind: str, token: str) -> None:
        if kind != "mark":
            self._literal(kind, token)
        elif token in "{[":
            if len(self._stack) >= MAX_DEPTH:
                raise _Bad(f"more than {MAX_DEPTH} brackets within each other")
            container: Any = {} if token == "{" else []
            if self._stack:
                self._add(container)
            else:
                self._root = container
            self._stack.append((container, []))
            self._wants_value = True
        elif token in "}]":
            container, key = self._stack.pop()
            if isinstance(container, dict) != (token == "}") or key:
                raise self._bad("unexpected")
            self._wants_value = False
        elif token == ":":
            if not self._stack[-1][1] or self._wants_value:
                raise self._bad("unexpected")
            self._wants_value = True
        else:
            if self._wants_value or self._stack[-1][1]:
                raise self._bad("unexpected")
            self._wants_value = True

    def _literal(self, kind: str, token: str) -> None:
        if kind == "string":
            value: Any = _string(token)
        elif kind == "number":
            value = float(token)
        elif token.lower() in _WORDS:
            value = _WORDS[token.lower()]
        elif token.lower().lstrip("+-") in _NOT_FINITE:
            value = float("nan")
        else:
            raise self._bad("unexpected")
        self._add(value)
        self._wants_value = False

    def _add(self, value: Any) -> None:
        container, key = self._stack[-1]
        if not self._wants_value:
            raise self._bad("a comma or colon is missing before")
        if isinstance(container, list):
            container.append(value)
        elif key:
            container[key.pop()] = value
        elif isinstance(value, str):
            key.append(value)
        else:
            raise self._bad("a key must be a string, not")

    def _break_off(self) -> None:
        """Drop the items of lists that are not whole."""
        self._truncated = True
        for (outer, _), (inner, _) in zip(self._stack, self._stack[1:], strict=False):
            if isinstance(outer, list) and outer and outer[-1] is inner:
                outer.pop()
                return

    def _bad(self, what: str) -> _Bad:
        return _Bad(f"{what} {quoted(self._text[self._at : self._at + 20].strip(), 12)}")


def _string(token: str) -> str:
    inner = token[1:-1]
    if token[0] == "'":
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    try:
        text = str(json.loads(f'"{inner}"', strict=False))
        return text.encode("utf-8", "replace").decode()  # a lone surrogate is no text
    except ValueError:
        # An escape that JSON does not know.
        return inner
