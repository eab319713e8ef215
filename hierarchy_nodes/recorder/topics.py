"""Undecoded messages of every topic, taken a hundred times a second.

A message that an executor hands over costs a wake-up of the interpreter and, where the messages
are undecoded, a wait set built anew from all subscriptions. Taking what waits in the middleware's
own queues, all topics at once, is several times cheaper and loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from rclpy.context import Context
from rclpy.duration import Duration, Infinite
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hierarchy_nodes.errors import HierarchyError
from hierarchy_nodes.recorder.writer import Topic

TAKE_PERIOD = 0.01
# Many times what the fastest topic sends between two takings.
DEPTH = 100


class Topics:
    """Subscriptions that wait until :meth:`take` is called; for one thread.

    Args:
        name, namespace: Of the node that subscribes; no executor may have it.
        wanted: Whether a topic is to be taken.
        hand_over: Called with topic, CDR bytes, and the times of reception and publication in ns.

    Attributes:
        unknown: Topics whose type is not installed here, with the reason.
    """

    def __init__(
        self,
        name: str,
        namespace: str,
        context: Context,
        wanted: Callable[[str], bool],
        hand_over: Callable[[Topic, bytes, int, int], None],
    ) -> None:
        self.unknown: dict[str, str] = {}
        self._wanted, self._hand_over = wanted, hand_over
        self._node = Node(
            name,
            namespace=namespace,
            context=context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._running: dict[str, tuple[Topic, Subscription]] = {}
        self._publishers: dict[str, int] = {}

    def discover(self) -> None:
        """Subscribe to what has appeared, and anew where the publishers have changed."""
        for name, types in self._node.get_topic_names_and_types():
            if len(types) == 1 and name not in self.unknown and self._wanted(name):
                self._follow(name, types[0])

    def take(self) -> None:
        """Hand over everything that has come since the last call."""
        for topic, subscription in self._running.values():
            handle = subscription.handle
            with handle:
                while (taken := handle.take_message(subscription.msg_type, True)) is not None:
                    data, info = taken
                    now = info.get("received_timestamp") or time.time_ns()
                    self._hand_over(topic, data, now, info.get("source_timestamp") or now)

    def close(self) -> None:
        """Take what is left and end."""
        self.take()
        self._node.destroy_node()

    def _follow(self, name: str, type_name: str) -> None:
        # What the publishers offer is expensive to ask for; how many there are is not.
        count = self._node.count_publishers(name)
        if count == self._publishers.get(name):
            return
        self._publishers[name] = count
        publishers = self._node.get_publishers_info_by_topic(name)
        if not publishers:
            return
        profile = compatible(publishers)
        if name in self._running:
            _, running = self._running[name]
            if running.qos_profile == profile:
                return
            # A publisher has come that the old profile does not match.
            self.take()
            self._node.destroy_subscription(running)
            del self._running[name]
        try:
            message = message_class(type_name)
        except HierarchyError as error:
            self.unknown[name] = str(error)
            self._node.get_logger().warn(f"Not recorded: {name}: {error}")
            return
        offered = tuple(describe(info.qos_profile) for info in publishers)
        topic = Topic(name, type_name, offered, str(publishers[0].topic_type_hash or ""))
        subscription = self._node.create_subscription(
            message,
            name,
            lambda *_: None,
            profile,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
        self._running[name] = topic, subscription


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
