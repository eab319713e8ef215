"""Ask the operating system for punctuality."""

from __future__ import annotations

import gc
import os
from pathlib import Path


def prioritise(priority: int) -> str:
    """Real-time scheduling for all threads of this process, or else a better niceness.

    All threads, because the transport's own threads bring the stop message.

    Returns:
        Empty if real-time scheduling was granted, else what was done instead, for a person.
    """
    threads = [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    try:
        for thread in threads:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        refused = error.strerror
    else:
        return ""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except OSError:
        return f"real-time scheduling refused ({refused}), niceness too: normal priority"
    return f"real-time scheduling refused ({refused}): niceness -10"


def collect_rarely() -> None:
    """Let garbage collection interrupt this process less often."""
    gc.set_threshold(50_000, 20, 1000)
