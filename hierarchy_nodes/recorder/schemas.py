"""Message definitions as MCAP wants them: a type's text and that of every type within it.

The format is ``ros2msg`` (https://mcap.dev/spec/registry): the definition, then each dependency
once after a line of 80 '=' and a line ``MSG: package/Type``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from hierarchy_nodes.errors import HierarchyError

ENCODING = "ros2msg"
_SEPARATOR = "\n" + "=" * 80 + "\n"
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_PRIMITIVES = {"bool", "byte", "char", "float32", "float64", "string", "wstring", *_INTEGERS}
# Type at the start of a line, without array or string bounds; constants match too (harmless).
_FIELD = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*", re.MULTILINE)
_ACTION_FEEDBACK = "_FeedbackMessage"


class SchemaNotFound(HierarchyError):
    """No installed package defines that type."""


def share_folders() -> Iterator[Path]:
    """The share folders of every prefix in which packages are installed."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in dict.fromkeys([*filter(None, prefixes), sys.prefix]):
        yield Path(prefix) / "share"


def _read(package: str, folder: str, file: str) -> str | None:
    for share in share_folders():
        path = share / package / folder / file
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


def _own_text(package: str, folder: str, name: str) -> str:
    """The definition of one type alone."""
    text: str | None
    if folder == "action" and name.endswith(_ACTION_FEEDBACK):
        # Made by the code generator, so no file holds it (design.ros2.org, actions).
        feedback = name.removesuffix("Message")
        return f"unique_identifier_msgs/UUID goal_id\n{package}/{feedback} feedback\n"
    if folder in ("action", "srv"):
        base, _, part = name.rpartition("_")
        text = _read(package, folder, f"{base}.{folder}")
        parts = {"Goal": 0, "Request": 0, "Result": 1, "Response": 1, "Feedback": 2}
        if text is not None and part in parts:
            sections = re.split(r"^---\s*$", text, flags=re.MULTILINE)
            text = sections[parts[part]] if parts[part] < len(sections) else None
    else:
        text = _read(package, "msg", f"{name}.msg")
    if text is None:
        where = ", ".join(map(str, share_folders()))
        raise SchemaNotFound(f"Type '{package}/{folder}/{name}' is defined in none of: {where}.")
    return text


def _dependencies(package: str, folder: str, text: str) -> Iterator[tuple[str, str, str]]:
    uncommented = re.sub(r"#.*", "", text)
    for kind in _FIELD.findall(uncommented):
        if kind in _PRIMITIVES:
            continue
        other, *_, name = kind.split("/") if "/" in kind else (package, kind)
        is_action = name.rpartition("_")[2] in ("Feedback", "Goal", "Result")
        yield other, "action" if folder == "action" and is_action else "msg", name


@lru_cache(maxsize=256)
def definition(type_name: str) -> str:
    """The whole definition of e.g. ``sensor_msgs/msg/Image``.

    Raises:
        SchemaNotFound: The type, or one within it, is not installed here.
    """
    parts = type_name.split("/")
    if len(parts) != 3:
        raise SchemaNotFound(f"Type '{type_name}' is not of the form package/msg/Name.")
    package, folder, name = parts
    text = _own_text(package, folder, name)
    result = [text.rstrip() + "\n"]
    waiting = list(_dependencies(package, folder, text))
    seen: set[tuple[str, str]] = set()
    while waiting:
        package, folder, name = waiting.pop(0)
        if (package, name) in seen:
            continue
        seen.add((package, name))
        text = _own_text(package, folder, name)
        result.append(f"MSG: {package}/{name}\n{text.rstrip()}\n")
        waiting += _dependencies(package, folder, text)
    return _SEPARATOR.join(result)
