"""The console node: the overlay image, and the health of the stack."""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Callable

import cv2
from hierarchy_interfaces import msg
from sensor_msgs.msg import CompressedImage

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.console.config import ConsoleConfig
from hierarchy_nodes.console.view import View
from hierarchy_nodes.console.watch import StackWatch
from hierarchy_nodes.diagnostics import DiagnosticsPublisher
from hierarchy_nodes.health import Report
from hierarchy_nodes.node_base import HierarchyNode, run
from hierarchy_nodes.subscribers import FrameSubscriber
from hierarchy_nodes.types import RgbdFrame
from hierarchy_nodes.worker import LatestWorker

WATCH_PERIOD = 0.05


class ConsoleNode(HierarchyNode):
    """Draws what the others publish, and tells who is missing."""

    config: ConsoleConfig

    def __init__(self) -> None:
        super().__init__("console", ConsoleConfig)
        config = self.config
        self._view = View(config.scale)
        self._lost: list[str] = []
        self._watch = StackWatch(
            config.node_timeout, config.expected, config.grace, time.monotonic()
        )
        self._worker = LatestWorker(self._draw, self._failed, "overlay")
        self._overlay = self.create_publisher(CompressedImage, "overlay/compressed", qos.SENSOR)
        self._diagnostics = DiagnosticsPublisher(self, self._collect, self.now)
        FrameSubscriber(self, self._on_frame, config.reliable_images)
        self.create_subscription(msg.Plan, "plan", self._on_plan, qos.LATCHED)
        self.create_subscription(msg.Segments, "segments", self._on_segments, qos.SENSOR)
        self.create_subscription(msg.LanguageMotion, "language_motion", self._on_motion, qos.EVENT)
        self.create_subscription(msg.Correction, "correction", self._on_correction, qos.EVENT)
        self.create_subscription(msg.StopState, "stop_state", self._on_stop_state, qos.LATCHED)
        self.create_subscription(msg.StackStatus, "status", self._on_status, qos.STATUS)
        self.create_timer(1.0 / config.rate_hz, self._request)
        self.create_timer(WATCH_PERIOD, self._look)

    def close(self) -> None:
        self._worker.close()

    def _on_frame(self, frame: RgbdFrame) -> None:
        self._view.frame = frame

    def _on_plan(self, message: msg.Plan) -> None:
        self._take(lambda: setattr(self._view, "plan", conversions.plan_from_msg(message)))

    def _on_segments(self, message: msg.Segments) -> None:
        self._take(lambda: setattr(self._view, "segments", conversions.segments_from_msg(message)))

    def _on_motion(self, message: msg.LanguageMotion) -> None:
        self._take(lambda: self._view.set_motion(conversions.motion_from_msg(message)))

    def _on_correction(self, message: msg.Correction) -> None:
        self._take(lambda: self._view.add_correction(conversions.correction_from_msg(message)))

    def _take(self, take: Callable[[], None]) -> None:
        """A malformed message is not shown, and must not end the console."""
        try:
            take()
        except ValueError as error:
            self.get_logger().warning(f"not shown: {error}", throttle_duration_sec=1.0)

    def _on_stop_state(self, message: msg.StopState) -> None:
        self._view.stopped = (message.reason or "stopped") if message.stopped else ""

    def _on_status(self, message: msg.StackStatus) -> None:
        self._watch.hear(conversions.heartbeat_from_msg(message), time.monotonic())
        self._view.set_status(message.node, message.state, message.phase, message.message)

    def _look(self) -> None:
        lost = self._watch.lost(time.monotonic())
        if lost != self._lost:
            self._lost = lost
            self._view.set_lost(lost)
            self._diagnostics.publish()

    def _collect(self) -> list[Report]:
        return self._watch.reports(time.monotonic())

    def _request(self) -> None:
        if self.config.always or self._overlay.get_subscription_count() > 0:
            self._worker.submit(self.now())

    def _draw(self, now: float) -> None:
        frame, image = self._view.frame, self._view.draw(now)
        if frame is None or image is None:
            return
        options = [cv2.IMWRITE_JPEG_QUALITY, self.config.quality]
        done, jpeg = cv2.imencode(".jpg", image[..., ::-1], options)
        if not done:
            raise RuntimeError(f"an image of {image.shape} could not be compressed")
        message = CompressedImage(format="jpeg")
        message.header = conversions.header(frame.stamp, frame.frame_id)
        data = array("B")
        data.frombytes(jpeg.tobytes())
        message.data = data
        self._overlay.publish(message)

    def _failed(self, error: Exception) -> None:
        self.get_logger().error(f"overlay: {error}", throttle_duration_sec=5.0)


def main() -> None:
    sys.exit(run(ConsoleNode))


if __name__ == "__main__":
    main()
