"""Files that appear whole or not at all, so that who reads them never finds a half one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write in place of `path`; it gets that name at the end, if nothing is raised."""
    draft = path.with_name(path.name + ".part")
    yield draft
    draft.replace(path)


def write_json(path: Path, values: Any) -> None:
    """`values` as JSON, in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as draft:
        draft.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
