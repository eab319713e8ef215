"""A recording in progress: a thread that takes messages off the caller's hands.

The caller never waits for the disk; the thread writes at least every flush period, splits files,
watches the free space, and turns a failing disk into a state that others can act on.
"""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from hierarchy_nodes.recorder import metadata
from hierarchy_nodes.recorder.schemas import SchemaNotFound
from hierarchy_nodes.recorder.writer import SUFFIX, Counts, McapFile, Topic

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds of a recording.

    Attributes:
        flush_period: Seconds of data that a sudden end may cost.
        min_free: Bytes that must stay free on the disk.
        max_file: Bytes after which a new file is begun; 0 for never.
        max_waiting: Bytes that may wait for the disk before messages are dropped.
    """

    flush_period: float = 0.25
    min_free: int = 200 * MEGABYTE
    max_file: int = 0
    max_waiting: int = 256 * MEGABYTE


class Recording:
    """Records into a new folder until closed or failed.

    Attributes:
        folder: Where metadata.yaml and the MCAP files are.
        failure: Why nothing is recorded any more; empty while all is well.
        dropped: Messages lost because the disk was too slow.
        skipped: Topics whose type is not installed here, with the reason.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder
        self.limits = limits or Limits()
        self.failure = ""
        self.dropped = 0
        self.skipped: dict[str, str] = {}
        self._topics: dict[str, Topic] = {}
        self._done: list[tuple[str, Counts]] = []
        self._queue: deque[tuple[Topic, bytes, int, int]] = deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._file: McapFile | None = None
        try:
            folder.mkdir(parents=True)
            self._check_space()
            if not self.failure:
                self._file = self._open()
        except OSError as error:
            self._fail(error)
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def messages(self) -> int:
        """Written so far."""
        current = self._file.counts.total if self._file else 0
        return current + sum(counts.total for _, counts in self._done)

    def add(self, topic: Topic, data: bytes, log_time: int, publish_time: int) -> None:
        """Record one serialised message; times are ns since the epoch. Never blocks."""
        if self.failure or self._closing.is_set():
            return
        with self._lock:
            if self._waiting + len(data) > self.limits.max_waiting:
                self.dropped += 1
                return
            self._waiting += len(data)
            self._queue.append((topic, data, log_time, publish_time))

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits and end the files with their index."""
        self._closing.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        checked = time.monotonic()
        while not self.failure:
            closing = self._closing.wait(self.limits.flush_period)
            try:
                self._write()
                now = time.monotonic()
                if now - checked >= 1.0:
                    checked = now
                    self._check_space()
                    self._write_metadata()
                if closing:
                    break
            except OSError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - a silent end would look like a recording
                self.failure = f"cannot record: {type(error).__name__}: {error}"
        self._end()

    def _write(self) -> None:
        assert self._file is not None  # without one the recording has failed and does not run
        # No more than waits now, so that a flood cannot put off the flush.
        for _ in range(len(self._queue)):
            with self._lock:
                topic, data, log_time, publish_time = self._queue.popleft()
                self._waiting -= len(data)
            if topic.name in self.skipped:
                continue
            try:
                self._file.write(topic, data, log_time, publish_time)
            except SchemaNotFound as error:
                self.skipped[topic.name] = str(error)
                continue
            self._topics[topic.name] = topic
        self._file.flush()
        if self.limits.max_file and self._file.size >= self.limits.max_file:
            self._file.close()
            self._done.append((self._file.path.name, self._file.counts))
            self._file = self._open()

    def _open(self) -> McapFile:
        return McapFile(self.folder / f"{self.folder.name}_{len(self._done)}{SUFFIX}")

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < self.limits.min_free:
            self.failure = (
                f"disk full: {free / MEGABYTE:.0f} MB free at {self.folder}, "
                f"{self.limits.min_free / MEGABYTE:.0f} MB must stay free"
            )

    def _fail(self, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        self.failure = f"{'disk full' if full else 'cannot record'}: {error.strerror or error}"
        self.failure += f" at {self.folder}"

    def _write_metadata(self) -> None:
        files = list(self._done)
        if self._file is not None:
            files.append((self._file.path.name, self._file.counts))
        metadata.write(self.folder, files, list(self._topics.values()))

    def _end(self) -> None:
        """Finish in good order where the disk allows it; what was flushed is readable anyway."""
        try:
            if self._file is not None:
                self._file.close()
            self._write_metadata()
        except OSError as error:
            if not self.failure:
                self._fail(error)
