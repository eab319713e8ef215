"""The newest that cameras and arm tell, and whether the arm was at rest then. Free of ROS."""

from __future__ import annotations

import numpy as np

from hierarchy_nodes.planner.config import PlannerConfig
from hierarchy_nodes.types import RgbdFrame, RobotState


class Observed:
    """Set what comes; :meth:`at_rest` tells what may be planned on.

    Attributes:
        frame: Of the camera; None before the first, as the others.
        second: Of a second camera.
        robot: See :meth:`feel`.
    """

    def __init__(self, config: PlannerConfig) -> None:
        self.frame: RgbdFrame | None = None
        self.second: RgbdFrame | None = None
        self.robot: RobotState | None = None
        self._config = config
        self._resting_since: float | None = None

    def feel(self, robot: RobotState) -> None:
        """The newest robot state."""
        self.robot = robot
        speed = float(np.abs(robot.joint_velocities).max()) if len(robot.joint_velocities) else 0.0
        if speed > self._config.rest_speed:
            self._resting_since = None
        elif self._resting_since is None:
            self._resting_since = robot.stamp

    def at_rest(self, after: float) -> tuple[RgbdFrame, RobotState, RgbdFrame | None] | None:
        """Frame, arm and the second camera's frame of that moment; None if the arm moved then.

        Args:
            after: Nothing that was seen before counts, seconds.
        """
        frame, robot, resting = self.frame, self.robot, self._resting_since
        if frame is None or robot is None or resting is None:
            return None
        if frame.stamp < max(after, resting + self._config.rest_time):
            return None
        second = self.second
        if second is not None and (
            abs(second.stamp - frame.stamp) >= self._config.second_age or second.stamp < resting
        ):
            second = None
        return frame, robot, second
