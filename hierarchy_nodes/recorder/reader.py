"""Reads recordings, whole or cut off, and repairs those that were cut off."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.reader import SeekingReader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap_ros2.decoder import DecoderFactory

from hierarchy_nodes.errors import HierarchyError
from hierarchy_nodes.recorder import metadata
from hierarchy_nodes.recorder.writer import SUFFIX, Counts, McapFile, Topic


class RecordingError(HierarchyError):
    """A recording is not there, or is not one."""


@dataclass(frozen=True)
class Record:
    """One recorded message: `data` is CDR, times are ns since the epoch."""

    topic: str
    type: str
    log_time: int
    publish_time: int
    data: bytes
    schema: Schema


def files_of(recording: str | Path) -> list[Path]:
    """The MCAP files of a recording (a folder or one file), in the order they were written.

    Raises:
        RecordingError: There are none.
    """
    if not str(recording):
        raise RecordingError("no recording is named (option 'recording').")
    path = Path(recording).expanduser()
    if path.is_file():
        return [path]
    found = list(path.glob("*" + SUFFIX)) or list(path.glob("bag/*" + SUFFIX))
    if not found:
        raise RecordingError(f"Recording '{recording}': no {SUFFIX} file there.")
    return sorted(found, key=lambda file: (len(file.name), file.name))


def records(recording: str | Path, topics: Collection[str] | None = None) -> Iterator[Record]:
    """Messages of a recording, or those of the named `topics`, in the order of their log time.

    A file that was cut off is read as far as it goes, in the order of writing.

    Raises:
        RecordingError: There is no recording, or a file is not MCAP.
    """
    wanted = None if topics is None else set(topics)
    for path in files_of(recording):
        if is_complete(path):
            yield from _indexed(path, wanted)
        else:
            yield from _scanned(path, wanted)


def topics_of(recording: str | Path) -> dict[str, str]:
    """Topics with messages in a recording and their types."""
    found: dict[str, str] = {}
    for path in files_of(recording):
        if is_complete(path):
            with open(path, "rb") as stream:
                summary = SeekingReader(stream).get_summary()
            assert summary is not None  # is_complete has seen it
            for channel in summary.channels.values():
                found[channel.topic] = summary.schemas[channel.schema_id].name
        else:
            found |= {record.topic: record.type for record in _scanned(path, None)}
    return found


def is_complete(path: Path) -> bool:
    """Whether the file ends with its index."""
    with open(path, "rb") as stream:
        try:
            return SeekingReader(stream).get_summary() is not None
        except Exception:  # noqa: BLE001 - the reader raises all kinds on a cut-off file
            return False


def _indexed(path: Path, wanted: set[str] | None) -> Iterator[Record]:
    with open(path, "rb") as stream:
        names = None if wanted is None else list(wanted)
        for schema, channel, message in SeekingReader(stream).iter_messages(topics=names):
            if schema is not None:
                yield _record(schema, channel, message)


def _scanned(path: Path, wanted: set[str] | None) -> Iterator[Record]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with open(path, "rb") as stream:
        source = StreamReader(stream).records
        first = True
        while True:
            try:
                item = next(source, None)
            except Exception as error:  # the cut may fall anywhere in a record
                if first:
                    raise RecordingError(f"Recording '{path}' is not MCAP: {error}.") from error
                return
            if item is None:
                return
            first = False
            if isinstance(item, Schema):
                schemas[item.id] = item
            elif isinstance(item, Channel):
                channels[item.id] = item
            elif isinstance(item, Message):
                channel = channels[item.channel_id]
                if wanted is None or channel.topic in wanted:
                    yield _record(schemas[channel.schema_id], channel, item)


def _record(schema: Schema, channel: Channel, message: Message) -> Record:
    times = message.log_time, message.publish_time
    return Record(channel.topic, schema.name, *times, message.data, schema)


class Decoder:
    """Turns records into plain message objects with the fields of the ROS type, without ROS."""

    def __init__(self) -> None:
        self._factory = DecoderFactory()
        self._decoders: dict[str, Callable[[bytes], Any]] = {}

    def __call__(self, record: Record) -> Any:
        decode = self._decoders.get(record.type)
        if decode is None:
            found = self._factory.decoder_for("cdr", record.schema)
            if found is None:
                raise RecordingError(f"No decoder for {record.type} ({record.schema.encoding}).")
            decode = self._decoders[record.type] = found
        return decode(record.data)


def find_topic(recording: str | Path, ending: str) -> str:
    """The one topic that is `ending` in some namespace.

    Raises:
        RecordingError: None is, or several are; the message lists what is there.
    """
    names = topics_of(recording)
    if ending in names:
        return ending
    found = [name for name in names if name.endswith("/" + ending.lstrip("/"))]
    if len(found) != 1:
        problem = f"several topics '{ending}'" if found else f"no topic '{ending}'"
        there = ", ".join(sorted(found or names)) or "(none)"
        raise RecordingError(f"Recording '{recording}': {problem}. There: {there}.")
    return found[0]


def repair(folder: Path) -> int:
    """Complete the cut-off files of one recording, and its metadata.yaml.

    A file that is still being written is left alone. Returns how many files were completed.
    """
    repaired = 0
    files: list[tuple[str, Counts]] = []
    topics: dict[str, Topic] = {}
    for path in files_of(folder):
        if _is_locked(path):
            return 0
        counts = Counts()
        complete = is_complete(path)
        copy = None if complete else McapFile(path.with_suffix(".repair"))
        for record in records(path):
            topic = topics.setdefault(record.topic, Topic(record.topic, record.type))
            counts.add(record.topic, record.log_time)
            if copy is not None:
                copy.write(topic, record.data, record.log_time, record.publish_time)
        if copy is not None:
            copy.close()
            copy.path.replace(path)
            repaired += 1
        files.append((path.name, counts))
    if repaired:
        metadata.write(folder, files, topics.values())
    return repaired


def _is_locked(path: Path) -> bool:
    with open(path, "rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
