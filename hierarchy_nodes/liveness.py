"""Which processes of this machine are at their end, told by the kernel, not by their silence."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

# Of the flags in /proc/PID/stat, see proc(5): set as soon as the main thread begins to end. The
# process itself may take a tenth of a second more, until its memory is given back.
_ENDING = 0x4
_MOST = 512


@lru_cache(maxsize=1)
def host() -> str:
    """Identifies the running system and its process numbers; empty where it cannot be told.

    Equal for two processes if and only if they can see each other's process numbers: containers
    share a kernel, but not always these.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {numbers}".encode()).hexdigest()[:16]


class ProcessWatch:
    """Follows processes by name; where there is no ``/proc``, none of them ever ends."""

    def __init__(self) -> None:
        self._followed: dict[str, tuple[int, int]] = {}
        self._ended: set[str] = set()

    def follow(self, name: str, where: str, process: int) -> None:
        """From now on `name` is `process` on the system `where` (see :func:`host`).

        Processes of other systems, or process 0, cannot be followed: they count as running.
        """
        known = self._followed.get(name)
        if known is not None and known[0] == process:
            return
        self.forget(name)
        if not process or not where or where != host():
            return
        try:
            descriptor = os.open(f"/proc/{process}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            self._ended.add(name)
        except OSError:
            return
        else:
            self._followed[name] = process, descriptor

    def forget(self, name: str) -> None:
        """No longer follow `name`."""
        self._ended.discard(name)
        known = self._followed.pop(name, None)
        if known is not None:
            os.close(known[1])

    def ended(self) -> set[str]:
        """Names whose process is at its end and that were not followed again.

        Takes about 6 microseconds a process.
        """
        ending = [name for name, (_, file) in self._followed.items() if _is_ending(file)]
        for name in ending:
            self.forget(name)
        self._ended.update(ending)
        return self._ended

    def close(self) -> None:
        """Let go of all of them."""
        for name in list(self._followed):
            self.forget(name)


def _is_ending(descriptor: int) -> bool:
    """Of the process whose ``/proc/PID/stat`` is open as `descriptor`."""
    try:
        text = os.pread(descriptor, _MOST, 0)
    except ProcessLookupError:
        return True
    # The name in brackets may contain anything; behind it come the state, five numbers, the flags.
    values = text[text.rindex(b")") + 2 :].split(b" ", 7)
    return values[0] in b"ZX" or bool(int(values[6]) & _ENDING)
