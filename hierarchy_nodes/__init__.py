"""Talk to a robot arm: planner, controller, drivers and spoken corrections over ROS 2."""

__version__ = "0.1.0"
