"""Gives back shared memory that killed processes left behind.

Fast DDS keeps a segment of 32 MB for each process in ``/dev/shm`` and locks a file beside it. A
process that is killed leaves both, and nobody else removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

FOLDER = Path("/dev/shm")
SETTLED = 10.0  # seconds; a younger lock file may not have been locked yet
_LOCK = re.compile(r"(fastrtps|fastdds)_[0-9a-f]{16}_el")


def sweep(folder: Path = FOLDER) -> int:
    """Remove segments whose lock nobody holds; returns how many."""
    removed = 0
    if not folder.is_dir():
        return removed
    for name in os.listdir(folder):
        if not _LOCK.fullmatch(name):
            continue
        lock = folder / name
        # Somebody else may sweep too, and other users' files are theirs.
        with contextlib.suppress(OSError):
            if time.time() - lock.stat().st_mtime < SETTLED:
                continue
            descriptor = os.open(lock, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (folder / name.removesuffix("_el")).unlink(missing_ok=True)
                lock.unlink()
                removed += 1
            finally:
                os.close(descriptor)
    return removed
