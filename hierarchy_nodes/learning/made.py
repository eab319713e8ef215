"""What takes long to make is kept, and taken up again only where it would be made the same now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import write_json


def same(record: Path, how: dict[str, Any]) -> None:
    """Write down in `record` how something is made, or compare with what is written there.

    Args:
        record: A file beside what is made.
        how: Names to values that JSON can hold.

    Raises:
        ConfigError: It was made otherwise, or the record cannot be read.
    """
    if not record.exists():
        write_json(record, how)
        return
    try:
        was = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{record}: no record of how things here were made: {error}") from error
    now = json.loads(json.dumps(how))
    differ = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    if differ:
        told = ", ".join(f"{name} {was.get(name)} (now {now.get(name)})" for name in differ)
        raise ConfigError(
            f"{record.parent}: what is here was made with {told}. Go on with those, or choose "
            "another folder."
        )
