"""Writes MCAP files that a SIGKILL or a full disk cannot spoil.

Messages are gathered in compressed chunks; each `flush` ends the chunk and hands it whole to the
operating system, so that a file cut off at any moment ends in at most one incomplete record.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import yaml
from mcap.writer import CompressionType, Writer

from hierarchy_nodes.recorder import schemas

PROFILE = "ros2"
LIBRARY = "hierarchy_nodes"
SUFFIX = ".mcap"


@dataclass(frozen=True)
class Topic:
    """A recorded topic.

    Attributes:
        qos: What the publishers offer, as rosbag2's list of mappings.
        type_hash: ``RIHS01_...``, or empty where unknown.
    """

    name: str
    type: str
    qos: tuple[dict[str, object], ...] = ()
    type_hash: str = ""


@dataclass
class Counts:
    """What was written of one file: messages a topic, first and last log time in ns."""

    messages: dict[str, int] = field(default_factory=dict)
    start: int = 0
    end: int = 0

    def add(self, topic: str, stamp: int) -> None:
        self.messages[topic] = self.messages.get(topic, 0) + 1
        self.start = min(self.start, stamp) if self.start else stamp
        self.end = max(self.end, stamp)

    @property
    def total(self) -> int:
        return sum(self.messages.values())


class WholeWrites:
    """A file that grows by whole flushes only: one that fails is cut off again.

    It holds a lock while it is open, by which others tell it from one that was left unfinished.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed by close()
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._waiting = bytearray()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def tell(self) -> int:
        return self.size + len(self._waiting)

    def flush(self) -> None:
        """Raises OSError; the file then ends with the flush before."""
        view = memoryview(self._waiting)
        written = 0
        try:
            while written < len(view):
                written += self._put(view[written:])
        except OSError:
            self._file.truncate(self.size)
            raise
        finally:
            view.release()
        self.size += written
        self._waiting.clear()

    def sync(self) -> None:
        """Onto the disk itself."""
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _put(self, data: memoryview) -> int:
        return os.write(self._file.fileno(), data)


class McapFile:
    """One MCAP file of serialised ROS 2 messages.

    Args:
        path: Must not exist yet.
        chunk_size: Bytes after which a chunk is compressed and written.
    """

    def __init__(self, path: Path, chunk_size: int = 1 << 20) -> None:
        self.path = path
        self.counts = Counts()
        self._file = WholeWrites(path)
        self._writer = Writer(
            cast(BinaryIO, self._file), chunk_size=chunk_size, compression=CompressionType.ZSTD
        )
        self._writer.start(profile=PROFILE, library=LIBRARY)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Bytes so far, written or waiting."""
        return self._file.tell()

    def write(self, topic: Topic, data: bytes, log_time: int, publish_time: int) -> None:
        """Add one message; `data` is CDR, times are ns since the epoch.

        Raises:
            SchemaNotFound: The topic's type is not installed here.
        """
        channel = self._channels.get(topic.name)
        if channel is None:
            channel = self._add_channel(topic)
        self._writer.add_message(channel, log_time, data, publish_time)
        self.counts.add(topic.name, log_time)

    def flush(self) -> None:
        """Hand everything so far to the operating system. Raises OSError."""
        self._writer.flush()
        self._file.sync()

    def close(self) -> None:
        """End the file with its index. Raises OSError; what was flushed before stays readable."""
        try:
            self._writer.finish()
            self._file.flush()
            self._file.sync()
        finally:
            self._file.close()

    def _add_channel(self, topic: Topic) -> int:
        schema = self._schemas.get(topic.type)
        if schema is None:
            text = schemas.definition(topic.type)
            schema = self._writer.register_schema(topic.type, schemas.ENCODING, text.encode())
            self._schemas[topic.type] = schema
        metadata = {
            "offered_qos_profiles": offered_qos_yaml(topic),
            "topic_type_hash": topic.type_hash,
        }
        channel = self._writer.register_channel(topic.name, "cdr", schema, metadata)
        self._channels[topic.name] = channel
        return channel


def offered_qos_yaml(topic: Topic) -> str:
    """The publishers' QoS as the text that rosbag2 keeps in a channel's metadata."""
    return yaml.safe_dump(list(topic.qos), sort_keys=False) if topic.qos else ""
