"""Keep away from the shared-memory ports of processes that were killed. Linux.

A process that is started again gets the port of its predecessor, whose memory Fast DDS replaces.
Whoever sent to the predecessor is to notice that from the state in which it left its port; if it
was killed just between two messages, that state looks healthy, and they go on writing to the old
memory for ever: the new process hears nothing of them (seen with Fast DDS 2.14). So ports that
live processes may still write to are held back here, and Fast DDS takes the next free one.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
# Of a port's memory; the file of the lock that its reader holds has `_LOCK` behind it.
_PORT, _LOCK = "fastrtps_port", "_el"
# A reader holds its lock as long as it lives; who only looks whether it does has it for a moment.
_LOOKS, _MOMENT = 3, 0.005  # seconds between two looks

# Open files, whose locks last as long as this process.
_held: dict[str, int] = {}


def hold_back(folder: Path = SHARED_MEMORY) -> list[str]:
    """Lock the ports without a reader that somebody may still write to.

    To be called before a participant is made.

    Args:
        folder: Where shared memory is.

    Returns:
        The names of the ports that are locked now.
    """
    found: dict[str, int] = {}
    others = sorted(folder.glob(f"{_PORT}*{_LOCK}"))
    for look in range(_LOOKS):
        if look and others:
            time.sleep(_MOMENT)
        files = {path: _locked(path) for path in others}
        others = [path for path, file in files.items() if file is None]
        found |= {p.name.removesuffix(_LOCK): f for p, f in files.items() if f is not None}
    mapped = _mapped(folder) if found else set()
    for name, file in found.items():
        if name in mapped:
            _held[name] = file
        else:
            os.close(file)
    return sorted(found.keys() & mapped)


def _locked(path: Path) -> int | None:
    """The open file, locked; None where somebody else has it, or it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _mapped(folder: Path) -> set[str]:
    """Names of the ports in the memory of processes, as far as one may look at them."""
    start = f"{folder / _PORT}"
    names = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            lines = maps.read_text(errors="replace").splitlines()
        except OSError:
            continue
        # Of a file that was removed there is " (deleted)" behind its name.
        paths = [line.split(maxsplit=5)[-1].split()[0] for line in lines if start in line]
        names |= {Path(path).name for path in paths}
    return names
