"""What every node shares: strict parameters, a heartbeat, a clean start and end."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from hierarchy_interfaces.msg import StackStatus
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hierarchy_nodes import dead_ports, environment, liveness, monitor, parameters, qos
from hierarchy_nodes.conversions import time_to_msg
from hierarchy_nodes.errors import HierarchyError


class HierarchyNode(Node):
    """A node configured by a frozen dataclass, telling on ``status`` how it is doing.

    Attributes:
        config: The filled dataclass. Unknown or bad parameters raise ConfigError.
    """

    def __init__(self, name: str, config_class: type[Any]) -> None:
        super().__init__(name)
        self.config, self._options = parameters.load(config_class, self._overrides(), owner=name)
        self._declare("", self.config)
        for field, options in self._options.items():
            chosen = getattr(self.config, field)
            self._declare(("options" if ":" in chosen else chosen) + ".", options)
        self._status = StackStatus(
            node=name, state="idle", host=liveness.host(), process=os.getpid()
        )
        self._status_publisher = self.create_publisher(StackStatus, "status", qos.STATUS)
        self.create_timer(monitor.PERIOD, self._beat)

    def make_plugin(self, field: str) -> Any:
        """An instance of the class that the plugin field names, with its options."""
        registry = dict(parameters.plugins(type(self.config)))[field]
        return registry.get(getattr(self.config, field))(self._options[field])

    def now(self) -> float:
        """Seconds since the epoch: the clock of every stamp on the topics."""
        return time.time()

    def report(
        self,
        state: str,
        *,
        level: int = StackStatus.OK,
        phase: str = "",
        plan_id: str = "",
        progress: float = 0.0,
        message: str = "",
    ) -> None:
        """Tell everybody how this node is doing, now and with every heartbeat until changed."""
        status = self._status
        if (status.state, status.message) != (state, message) and level != StackStatus.OK:
            # rclpy ties a severity to the line of the call.
            if level == StackStatus.ERROR:
                self.get_logger().error(f"{state}: {message}")
            else:
                self.get_logger().warning(f"{state}: {message}")
        status.state, status.level, status.phase = state, level, phase
        status.plan_id, status.progress, status.message = plan_id, float(progress), message
        self._beat()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the node's own thread; for workers that have a result."""
        if self.executor is not None:
            self.executor.create_task(callback)

    def close(self) -> None:
        """Release devices and threads; called once before the node is destroyed."""

    def _beat(self) -> None:
        self._status.stamp = time_to_msg(self.now())
        self._status_publisher.publish(self._status)

    def _overrides(self) -> dict[str, Any]:
        """Parameters from the command line and files, nested at their dots."""
        nested: dict[str, Any] = {}
        # rclpy offers undeclared overrides nowhere else, and they are where the typing errors are.
        for key, value in self._parameter_overrides.items():
            if key == "use_sim_time" or key.startswith("qos_overrides."):
                continue
            *parents, leaf = key.split(".")
            place = nested
            for parent in parents:
                place = place.setdefault(parent, {})
            item = value.value
            place[leaf] = item.tolist() if hasattr(item, "tolist") else item
        return nested

    def _declare(self, prefix: str, values: Any) -> None:
        for field in dataclasses.fields(values):
            meta = field.metadata
            unit = f" [{meta['unit']}]" if meta.get("unit") else ""
            descriptor = ParameterDescriptor(
                description=meta.get("description", "") + unit, read_only=True
            )
            value = getattr(values, field.name)
            low, high = meta.get("low"), meta.get("high")
            if low is not None and high is not None:
                if isinstance(value, float):
                    descriptor.floating_point_range = [
                        FloatingPointRange(from_value=float(low), to_value=float(high))
                    ]
                elif isinstance(value, int):
                    descriptor.integer_range = [
                        IntegerRange(from_value=int(low), to_value=int(high))
                    ]
            self.declare_parameter(prefix + field.name, value, descriptor, ignore_override=True)


def events_executor() -> Executor:
    """Half the CPU time and jitter of the default executor, where this rclpy has it.

    It must be driven by `spin_once` with a timeout, as :func:`run` does: its `spin` hangs.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def run(make: Callable[[], HierarchyNode], args: list[str] | None = None) -> int:
    """Run one node until it is told to end. Returns the process's exit code.

    SIGINT and SIGTERM end it without a traceback; a HierarchyError while it starts is printed as
    one line and ends it with code 2.
    """
    ended = False

    def end(signum: int, frame: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        environment.prepare()
    except HierarchyError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    dead_ports.hold_back()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
    except HierarchyError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        rclpy.shutdown()
        return 2
    executor = events_executor()
    executor.add_node(node)
    # What lives as long as the node: a model's modules alone keep a collection busy for 0.2 s.
    gc.collect()
    gc.freeze()
    try:
        while not ended:
            executor.spin_once(timeout_sec=0.1)
    finally:
        node.report("shutdown")
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    return 0
