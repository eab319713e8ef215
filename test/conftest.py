"""Isolation: each test session has a ROS domain of its own and stays on this host."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Before any import of rclpy. Domains above 101 collide with Linux's ephemeral ports.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# What this machine's user has taught the planner is of no concern here.
os.environ["HIERARCHY_VERSIONS"] = "/nonexistent"

from graph import Graph

from hierarchy_nodes import environment
from hierarchy_nodes.launcher.shared_memory import sweep

environment.prepare()
# Slow draws are the machine's doing; no test here measures time.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


@pytest.fixture
def graph():
    """Real nodes in real processes; all of them are ended with the test."""
    with Graph() as running:
        yield running
    sweep()
