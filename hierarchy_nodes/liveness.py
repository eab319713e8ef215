"""Which processes of this machine have ended, told by the kernel instead of by their silence."""

from __future__ import annotations

import hashlib
import os
import select
from functools import lru_cache
from pathlib import Path


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
    """Follows processes by name. Where the system has no pidfd, none of them ever ends."""

    def __init__(self) -> None:
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._followed: dict[str, tuple[int, int]] = {}
        self._names: dict[int, str] = {}
        self._ended: set[str] = set()

    def follow(self, name: str, where: str, process: int) -> None:
        """From now on `name` is `process` on the system `where` (see :func:`host`).

        Processes of other systems, or process 0, cannot be followed: they count as running.
        """
        known = self._followed.get(name)
        if known is not None and known[0] == process:
            return
        self.forget(name)
        if not process or self._poll is None or not where or where != host():
            return
        try:
            descriptor = os.pidfd_open(process)
        except (AttributeError, PermissionError):
            return
        except OSError:
            self._ended.add(name)
            return
        self._followed[name] = (process, descriptor)
        self._names[descriptor] = name
        self._poll.register(descriptor, select.POLLIN)

    def forget(self, name: str) -> None:
        """No longer follow `name`."""
        self._ended.discard(name)
        known = self._followed.pop(name, None)
        if known is not None and self._poll is not None:
            self._close(known[1])

    def ended(self) -> set[str]:
        """Names whose process has ended and that were not followed again. Takes microseconds."""
        if self._poll is not None:
            for descriptor, _ in self._poll.poll(0):
                name = self._names[descriptor]
                self.forget(name)
                self._ended.add(name)
        return self._ended

    def close(self) -> None:
        """Let go of all of them."""
        for name in list(self._followed):
            self.forget(name)

    def _close(self, descriptor: int) -> None:
        assert self._poll is not None
        self._poll.unregister(descriptor)
        del self._names[descriptor]
        os.close(descriptor)
