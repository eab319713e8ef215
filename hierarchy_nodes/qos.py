"""The quality-of-service profiles of the topic contract."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


SENSOR = _profile(5, reliable=False)
COMMAND = _profile(1, reliable=True)
LATCHED = _profile(1, reliable=True, latched=True)
EVENT = _profile(10, reliable=True)
# Sound: no block may be lost, and a listener may be late by a second or two.
AUDIO = _profile(100, reliable=True)
# The newest value of each of the stack's nodes: one writer a node, so a reader keeps several.
STATUS = _profile(20, reliable=True, latched=True)


def image(reliable: bool) -> QoSProfile:
    """Images: reliability is a parameter, because it depends on the transport."""
    return _profile(5, reliable=reliable)
