"""What it costs to carry images between two processes.

``python -m hierarchy_nodes.bench.transport WIDTH HEIGHT RELIABLE COUNT RATE`` is the sender, which
the measurement starts as a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from hierarchy_nodes.bench.results import Measurement, measurement
from hierarchy_nodes.environment import prepare

TOPIC = "bench/image"
SIZES = ((320, 240), (640, 480))
RATE = 30.0
LINGER = 1.0


def measure(count: int) -> list[Measurement]:
    """Every size with both reliabilities, `count` images each."""
    return [
        _measure(width, height, reliable, count)
        for width, height in SIZES
        for reliable in (False, True)
    ]


def _measure(width: int, height: int, reliable: bool, count: int) -> Measurement:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    from hierarchy_nodes import qos

    delays: list[float] = []

    def receive(message: Image) -> None:
        stamp = message.header.stamp
        delays.append((time.time_ns() - stamp.sec * 10**9 - stamp.nanosec) * 1e-6)

    rclpy.init(args=[])
    node = rclpy.create_node("bench_receiver")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.create_subscription(Image, TOPIC, receive, qos.image(reliable))
    words = [str(width), str(height), str(int(reliable)), str(count), str(RATE)]
    sender = subprocess.Popen([sys.executable, "-m", __spec__.name, *words])
    try:
        deadline = time.monotonic() + 30 + 2 * count / RATE
        while sender.poll() is None and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
    finally:
        if sender.poll() is None:
            sender.kill()
        sender.wait()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    lost = 100 * (1 - len(delays) / count)
    kind = "reliable" if reliable else "best effort"
    note = f"{lost:.1f}% of {count} lost at {RATE:g} Hz"
    return measurement(f"transport: rgb8 {width}x{height} {kind}", delays, "ms", note=note)


def send(width: int, height: int, reliable: bool, count: int, rate: float) -> None:
    """Publish `count` images, stamped just before each is published."""
    import rclpy
    from sensor_msgs.msg import Image

    from hierarchy_nodes import conversions, qos

    rclpy.init(args=[])
    node = rclpy.create_node("bench_sender")
    publisher = node.create_publisher(Image, TOPIC, qos.image(reliable))
    while publisher.get_subscription_count() == 0:
        time.sleep(0.02)
    # Matched on this side is not yet matched on the other.
    time.sleep(0.5)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        # The whole cost: filling the message, publishing, and receiving it.
        message = conversions.image_to_msg(pixels, "rgb8", time.time(), "bench")
        publisher.publish(message)
    time.sleep(LINGER)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    prepare()
    send(
        int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", int(sys.argv[4]), float(sys.argv[5])
    )
