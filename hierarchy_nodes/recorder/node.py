"""Records every topic of its namespace as MCAP, without looking into the messages."""

from __future__ import annotations

import sys
import threading
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from hierarchy_interfaces.msg import StackStatus

from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.recorder import reader
from hierarchy_nodes.recorder.config import RecorderConfig
from hierarchy_nodes.recorder.recording import MEGABYTE, Limits, Recording
from hierarchy_nodes.recorder.topics import TAKE_PERIOD, Topics

DISCOVERY_PERIOD = 0.25


class RecorderNode(HierarchyNode):
    """Parameters and timers around `Topics` and a `Recording`."""

    config: RecorderConfig

    def __init__(self) -> None:
        super().__init__("recorder", RecorderConfig)
        config = self.config
        directory = Path(config.directory).expanduser().absolute()
        name = config.name or datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        limits = Limits(
            config.flush_period, int(config.min_free * MEGABYTE), int(config.max_file * MEGABYTE)
        )
        self.recording = Recording(_unused(directory, name), limits)
        if config.repair:
            threading.Thread(target=self._repair, args=(directory,), daemon=True).start()
        self._topics = Topics(
            "recorder_topics",
            self.get_namespace(),
            self.context,
            self._wanted,
            self.recording.add,
        )
        self.create_timer(DISCOVERY_PERIOD, self._discover)
        self.create_timer(TAKE_PERIOD, self._topics.take)
        self._discover()

    def close(self) -> None:
        self._topics.close()
        self.recording.close()

    def _discover(self) -> None:
        self._topics.discover()
        self._tell()

    def _wanted(self, topic: str) -> bool:
        inside = topic.startswith(self.get_namespace().rstrip("/") + "/")
        excluded = any(fnmatch(topic, pattern) for pattern in self.config.exclude)
        return (inside or topic in self.config.extra_topics) and not excluded

    def _tell(self) -> None:
        recording = self.recording
        lost = {**self._topics.unknown, **recording.skipped}
        if recording.failure:
            self.report("failed", level=StackStatus.ERROR, message=recording.failure)
        elif recording.dropped or lost:
            message = f"{recording.dropped} messages dropped: the disk is too slow"
            if not recording.dropped:
                message = f"not recorded: {', '.join(sorted(lost))}"
            self.report("busy", level=StackStatus.WARN, phase="recording", message=message)
        else:
            self.report("busy", phase="recording", message=str(recording.folder))

    def _repair(self, directory: Path) -> None:
        for folder in sorted(directory.iterdir()):
            if folder == self.recording.folder or not folder.is_dir():
                continue
            try:
                if reader.repair(folder):
                    self.get_logger().info(f"Completed a recording that was cut off: {folder}")
            except (reader.RecordingError, OSError) as error:
                self.get_logger().debug(f"{folder}: {error}")


def _unused(directory: Path, name: str) -> Path:
    """A folder that does not exist yet: `name`, or with a number behind it."""
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(directory / n for n in names if not (directory / n).exists())


def main() -> None:
    sys.exit(run(RecorderNode))


if __name__ == "__main__":
    main()
