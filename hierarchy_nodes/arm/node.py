"""The arm node: checks and executes action chunks, and stops."""

from __future__ import annotations

import sys
import time

from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces.msg import ActionChunk, Correction, Plan, StackStatus, StopState
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from hardware.base import ArmState, JointCommand
from hierarchy_nodes import conversions, qos
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.loop import ArmLoop
from hierarchy_nodes.arm.realtime import collect_rarely, prioritise
from hierarchy_nodes.arm.watch import NodeWatch
from hierarchy_nodes.diagnostics import DiagnosticsPublisher
from hierarchy_nodes.errors import ChunkRejected
from hierarchy_nodes.health import Report
from hierarchy_nodes.node_base import HierarchyNode, run


class ArmNode(HierarchyNode):
    """Subscriptions and publications around an `ArmLoop`."""

    config: ArmConfig

    def __init__(self) -> None:
        super().__init__("arm", ArmConfig)
        config = self.config
        self._loop = ArmLoop(config, self.make_plugin("driver"))
        self._watch = NodeWatch(
            config.node_timeout, ("arm", *config.ignored_nodes), config.critical_nodes
        )
        self._shown: tuple[str, int, str] = ("", 0, "")
        self._rejection_told = 0.0
        self._stamp = 0.0
        self._publish_every = max(1, round(config.rate_hz / config.state_rate_hz))
        self._turns = 0

        self._joints = self.create_publisher(JointState, "joint_states", qos.SENSOR)
        self._tool = self.create_publisher(PoseStamped, "end_effector_pose", qos.SENSOR)
        self._stop_state = self.create_publisher(StopState, "stop_state", qos.LATCHED)
        self._commands = (
            self.create_publisher(JointState, "arm/command", qos.EVENT)
            if config.publish_commands
            else None
        )
        self._diagnostics = DiagnosticsPublisher(
            self, self._collect, self.now, hardware_id=config.driver
        )
        self.create_subscription(Empty, "stop", self._on_stop, qos.EVENT)
        self.create_subscription(ActionChunk, "action_chunk", self._on_chunk, qos.COMMAND)
        self.create_subscription(Correction, "correction", self._on_correction, qos.EVENT)
        self.create_subscription(Plan, "plan", self._on_plan, qos.LATCHED)
        if config.watch_nodes:
            self.create_subscription(StackStatus, "status", self._on_status, qos.STATUS)
        self.create_service(Trigger, "reset_stop", self._on_reset_stop)
        self._publish_stop_state()
        # Wall-clock steps must not disturb the loop.
        self.create_timer(
            1.0 / config.rate_hz, self._turn, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        if config.realtime and (answer := prioritise(config.priority)):
            self.get_logger().warning(f"{answer}. Set realtime:=false to silence this.")
        collect_rarely()

    def close(self) -> None:
        self._loop.close()
        self._watch.monitor.close()

    def _turn(self) -> None:
        self._loop.hold(self._watch.reason(time.monotonic()))
        state = self._loop.turn(self.now())
        self._turns += 1
        if state is not None and self._turns % self._publish_every == 0:
            self._publish(state)
        if self._commands is not None and self._loop.sent is not None:
            self._publish_command(self._loop.sent)
        condition = self._loop.condition()
        if condition != self._shown:
            self._shown = condition
            word, level, message = condition
            self.report(word, level=level, message=message)
            self._diagnostics.update()

    def _on_stop(self, _: Empty) -> None:
        self._stop("stop message")

    def _stop(self, reason: str) -> None:
        self._loop.stop(reason)
        self._publish_stop_state()

    def _on_reset_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._loop.reset_stop(self.now())
        self._publish_stop_state()
        return response

    def _on_chunk(self, message: ActionChunk) -> None:
        try:
            chunk = conversions.chunk_from_msg(message)
            self._loop.submit(chunk, self.now(), message.header.frame_id)
        except ChunkRejected as error:
            warn = self.get_logger().warning
            warn(f"chunk from '{message.source}' rejected: {error}", throttle_duration_sec=1.0)
            # A babbling sender must not make this node babble.
            if time.monotonic() - self._rejection_told > 0.2:
                self._rejection_told = time.monotonic()
                self._diagnostics.update()

    def _on_correction(self, message: Correction) -> None:
        was = self._loop.stop_reason
        try:
            self._loop.correct(conversions.correction_from_msg(message))
        except ValueError as error:
            self.get_logger().warning(f"correction ignored: {error}")
        if self._loop.stop_reason != was:
            self._publish_stop_state()

    def _on_plan(self, message: Plan) -> None:
        until = conversions.time_from_msg(message.valid_until)
        self._loop.set_validity(message.plan_id, until)

    def _on_status(self, message: StackStatus) -> None:
        self._watch.monitor.hear(conversions.heartbeat_from_msg(message), time.monotonic())

    def _publish(self, state: ArmState) -> None:
        if state.stamp == self._stamp:
            return
        self._stamp = state.stamp
        robot = self._loop.kinematics.robot_state(state)
        frame = self.config.base_frame
        self._tool.publish(conversions.pose_stamped(robot.stamp, frame, robot.tool))
        description = self._loop.kinematics.description
        self._joints.publish(
            conversions.joint_state_to_msg(
                robot, list(description.joint_names), description.gripper_joint
            )
        )

    def _publish_command(self, sent: JointCommand) -> None:
        assert self._commands is not None
        description = self._loop.kinematics.description
        message = JointState(header=conversions.header(self.now(), self.config.base_frame))
        message.name = [*description.joint_names, description.gripper_joint]
        message.position = [*sent.positions.tolist(), sent.gripper]
        message.velocity = [*sent.velocities.tolist(), 0.0]
        self._commands.publish(message)

    def _publish_stop_state(self) -> None:
        reason = self._loop.stop_reason
        self._stop_state.publish(
            StopState(
                stamp=conversions.time_to_msg(self.now()),
                stopped=reason is not None,
                reason=reason or "",
            )
        )

    def _collect(self) -> list[Report]:
        return [*self._loop.reports(), self._watch.report(time.monotonic())]


def main() -> None:
    sys.exit(run(ArmNode))


if __name__ == "__main__":
    main()
