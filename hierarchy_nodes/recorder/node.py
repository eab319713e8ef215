"""Records every topic of its namespace as MCAP, without looking into the messages."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatch
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from hierarchy_interfaces.msg import StackStatus
from rclpy.duration import Duration, Infinite
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hierarchy_nodes.errors import HierarchyError
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.recorder import reader
from hierarchy_nodes.recorder.config import RecorderConfig
from hierarchy_nodes.recorder.recording import MEGABYTE, Limits, Recording
from hierarchy_nodes.recorder.writer import Topic

DISCOVERY_PERIOD = 0.5
DEPTH = 100


class RecorderNode(HierarchyNode):
    """Parameters, discovery and subscriptions around a `Recording`."""

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
        self._subscriptions_of: dict[str, Subscription] = {}
        self._publisher_counts: dict[str, int] = {}
        self._unknown: dict[str, str] = {}
        if config.repair:
            threading.Thread(target=self._repair, args=(directory,), daemon=True).start()
        self.create_timer(DISCOVERY_PERIOD, self._discover)
        self._discover()

    def close(self) -> None:
        self.recording.close()

    def _discover(self) -> None:
        for name, types in self.get_topic_names_and_types():
            if len(types) == 1 and name not in self._unknown and self._wanted(name):
                self._follow(name, types[0])
        self._tell()

    def _wanted(self, topic: str) -> bool:
        inside = topic.startswith(self.get_namespace().rstrip("/") + "/")
        excluded = any(fnmatch(topic, pattern) for pattern in self.config.exclude)
        return (inside or topic in self.config.extra_topics) and not excluded

    def _follow(self, name: str, type_name: str) -> None:
        # What the publishers offer is expensive to ask for; how many there are is not.
        count = self.count_publishers(name)
        if count == self._publisher_counts.get(name):
            return
        self._publisher_counts[name] = count
        publishers = self.get_publishers_info_by_topic(name)
        if not publishers:
            return
        profile = compatible(publishers)
        running = self._subscriptions_of.get(name)
        if running is not None:
            if running.qos_profile == profile:
                return
            # A publisher has come that the old profile does not match.
            self.destroy_subscription(running)
        try:
            message = message_class(type_name)
        except HierarchyError as error:
            self._unknown[name] = str(error)
            self.get_logger().warn(f"Not recorded: {name}: {error}")
            return
        offered = tuple(describe(info.qos_profile) for info in publishers)
        topic = Topic(name, type_name, offered, str(publishers[0].topic_type_hash or ""))
        self._subscriptions_of[name] = self.create_subscription(
            message,
            name,
            partial(self._on_message, topic),
            profile,
            raw=True,
            # Each event would be one more thing to wait for, for every topic.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _on_message(self, topic: Topic, data: bytes, info: dict[str, int]) -> None:
        now = time.time_ns()
        self.recording.add(topic, data, now, info.get("source_timestamp") or now)

    def _tell(self) -> None:
        recording = self.recording
        lost = {**self._unknown, **recording.skipped}
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


def compatible(publishers: Sequence[TopicEndpointInfo]) -> QoSProfile:
    """The strictest profile that every one of the publishers matches."""
    profiles = [info.qos_profile for info in publishers]
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def describe(profile: QoSProfile) -> dict[str, object]:
    """A profile as rosbag2 writes it."""

    def duration(value: Duration) -> dict[str, int]:
        seconds, nanoseconds = divmod((value or Infinite).nanoseconds, 10**9)
        return {"sec": seconds, "nsec": nanoseconds}

    return {
        "history": profile.history.name.lower(),
        "depth": profile.depth,
        "reliability": profile.reliability.name.lower(),
        "durability": profile.durability.name.lower(),
        "deadline": duration(profile.deadline),
        "lifespan": duration(profile.lifespan),
        "liveliness": profile.liveliness.name.lower(),
        "liveliness_lease_duration": duration(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
    }


def message_class(type_name: str) -> Any:
    """The Python class of e.g. ``sensor_msgs/msg/Image`` or an action's feedback message.

    Raises:
        HierarchyError: It is not installed here.
    """
    package, folder, name = type_name.split("/")
    try:
        module = import_module(f"{package}.{folder}")
        if folder == "action":
            base, _, part = name.rpartition("_")
            return getattr(getattr(module, base).Impl, part)
        return getattr(module, name)
    except (ImportError, AttributeError) as error:
        raise HierarchyError(f"type {type_name} is not installed here ({error})") from error


def main() -> None:
    # The events executor cannot hand over undecoded messages.
    sys.exit(run(RecorderNode, executor_class=SingleThreadedExecutor))


if __name__ == "__main__":
    main()
