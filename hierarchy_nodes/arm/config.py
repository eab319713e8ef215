"""Parameters of the arm node; the core (`ChunkExecutor`) uses the same."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes import monitor
from hierarchy_nodes.parameters import param, plugin


@dataclass(frozen=True)
class ArmConfig:
    """What the arm node may be told."""

    driver: str = plugin("mujoco", "hardware.base:ARMS", "Arm driver: short name or module:Class")
    urdf: str = param("", "URDF of the arm, its YAML beside it; empty: the stack's own arm")
    base_frame: str = param("base_link", "Frame of all poses; chunks in another are rejected")
    rate_hz: float = param(
        125.0, "Control loop and setpoints to the driver", unit="Hz", low=10.0, high=1000.0
    )
    state_rate_hz: float = param(
        62.5, "Publication of joint_states and end_effector_pose", unit="Hz", low=1.0, high=1000.0
    )
    realtime: bool = param(True, "Ask the system for real-time scheduling of this process")
    priority: int = param(20, "Real-time priority (SCHED_FIFO)", low=1, high=90)
    publish_commands: bool = param(
        False, "Publish on arm/command each setpoint that the driver really sent"
    )

    # Motion limits. Joint limits come from the URDF and the driver.
    max_speed: float = param(0.4, "Tool speed", unit="m/s", low=0.01, high=3.0)
    max_angular_speed: float = param(1.8, "Tool turning speed", unit="rad/s", low=0.01, high=10.0)
    max_acceleration: float = param(4.0, "Tool acceleration", unit="m/s^2", low=0.1, high=50.0)
    max_angular_acceleration: float = param(
        15.0, "Tool angular acceleration", unit="rad/s^2", low=0.1, high=200.0
    )
    max_gripper_speed: float = param(2.5, "Openings a second", unit="1/s", low=0.1, high=20.0)
    joint_speed_scale: float = param(1.0, "Share of the joint speed limits", low=0.05, high=1.0)
    speed: float = param(1.0, "Speed factor at start", low=0.1, high=2.0)

    # Workspace box of the tool frame, base frame; no part of the hand goes below the table.
    workspace_lower: list[float] = param(
        [0.15, -0.50, -0.02], "Least x, y, z of the tool", unit="m", low=-5.0, high=5.0
    )
    workspace_upper: list[float] = param(
        [0.80, 0.50, 0.75], "Greatest x, y, z of the tool", unit="m", low=-5.0, high=5.0
    )
    table_height: float = param(
        0.0, "Top of the table in the base frame", unit="m", low=-2.0, high=2.0
    )
    table_clearance: float = param(
        0.002, "Least distance of the hand and fingers from the table", unit="m", low=0.0, high=0.5
    )
    workspace_tolerance: float = param(
        0.05, "A chunk further outside the workspace is rejected", unit="m", low=0.0, high=1.0
    )

    # Chunks.
    smoothing: float = param(
        0.18, "Window over which the path of a chunk is averaged", unit="s", low=0.0, high=0.5
    )
    chunk_timeout: float = param(
        0.15, "Hold when the newest chunk arrived longer ago", unit="s", low=0.02, high=10.0
    )
    max_chunk_age: float = param(
        0.5, "Reject a chunk whose observation is older", unit="s", low=0.05, high=60.0
    )
    max_chunk_points: int = param(128, "Reject a longer chunk", low=1, high=10000)
    max_chunk_horizon: float = param(
        5.0, "Reject a chunk that reaches further ahead", unit="s", low=0.1, high=60.0
    )
    max_state_age: float = param(
        0.1, "Hold when the measured state is older", unit="s", low=0.01, high=2.0
    )
    max_deviation: float = param(
        0.25,
        "Start again from the measured state when a joint is this far from its setpoint",
        unit="rad",
        low=0.01,
        high=3.0,
    )

    # Other nodes.
    watch_nodes: bool = param(True, "Hold while a node that was heard on status is lost")
    node_timeout: float = monitor.node_timeout()
    ignored_nodes: list[str] = param([], "Nodes whose silence does not matter")
    critical_nodes: list[str] = param(
        ["recorder"], "Nodes that also make the arm hold while they report an error"
    )
