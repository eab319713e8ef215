"""rosbag2's metadata.yaml, by which ``ros2 bag`` and other readers know a folder as a recording."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from hierarchy_nodes.files import whole
from hierarchy_nodes.recorder.writer import Counts, Topic

FILE = "metadata.yaml"
VERSION = 9  # of the format; Jazzy's
# Ten times faster, where it is there.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def describe(files: list[tuple[str, Counts]], topics: Iterable[Topic]) -> dict[str, Any]:
    """The content of metadata.yaml for the MCAP `files` (name, counts) of one recording."""
    filled = [counts for _, counts in files if counts.total]
    start = min((counts.start for counts in filled), default=0)
    end = max((counts.end for counts in filled), default=0)
    information = {
        "version": VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": end - start},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(counts.total for counts in filled),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [dict(profile) for profile in topic.qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": sum(counts.messages.get(topic.name, 0) for _, counts in files),
            }
            for topic in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [name for name, _ in files],
        "files": [
            {
                "path": name,
                "starting_time": {"nanoseconds_since_epoch": counts.start},
                "duration": {"nanoseconds": counts.end - counts.start},
                "message_count": counts.total,
            }
            for name, counts in files
        ],
        "custom_data": None,
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
    }
    return {"rosbag2_bagfile_information": information}


def write(folder: Path, files: list[tuple[str, Counts]], topics: Iterable[Topic]) -> None:
    """Replace the folder's metadata.yaml in one step. Raises OSError."""
    text = yaml.dump(describe(files, topics), Dumper=_DUMPER, sort_keys=False)
    with whole(folder / FILE) as draft:
        draft.write_text(text, encoding="utf-8")
