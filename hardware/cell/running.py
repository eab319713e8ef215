"""Which cells run on this machine: those that hold the lock of their name."""

from __future__ import annotations

import fcntl
from typing import NamedTuple

from hardware.cell import protocol


class RunningCell(NamedTuple):
    """A cell's name (its address, with an underscore for the colon, if it has one) and process."""

    name: str
    pid: int


def running_cells() -> list[RunningCell]:
    """The cells of this user that run now, by name."""
    found = []
    for path in sorted(protocol.runtime_folder().glob("*.lock")):
        with path.open("r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                owner = file.read().strip()
                found.append(RunningCell(path.stem, int(owner) if owner.isdigit() else 0))
    return found
