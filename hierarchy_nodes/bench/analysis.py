"""From a probe's log and the times at which something was said to what the arm did then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierarchy_nodes.bench.motion import tool_speeds
from hierarchy_nodes.bench.probe import COMMAND, STATE, STOP, Log
from hierarchy_nodes.types import Array

MOVING = 0.02  # rad/s, the fastest joint
REST = 0.02
AT_REST = 0.002  # m/s, the tool
SLOWED, STEADY = 0.5, 0.6  # of the usual speed; new chunks make ripples of a quarter of it
BEFORE = 0.1  # seconds over which the speed before is taken
WITHIN = 2.0  # seconds after which an event no longer counts as the cause


def stop_delays(log: Log, sent: Sequence[float]) -> tuple[list[float], list[float], int]:
    """Milliseconds from each stop message to the driver's stop, and to the measured rest.

    Returns:
        Both lists, and how many messages found the arm not moving and were left out.
    """
    stops, states, commands = (log.of(kind) for kind in (STOP, STATE, COMMAND))
    commanded, measured = log.speeds(COMMAND), log.speeds(STATE)
    to_driver: list[float] = []
    to_rest: list[float] = []
    idle = 0
    for at in sent:
        before = int(np.searchsorted(commands["stamp"], at)) - 1
        if before < 0 or at - commands["stamp"][before] > 0.1 or commanded[before] < MOVING:
            idle += 1
            continue
        after = int(np.searchsorted(stops["stamp"], at))
        if after == len(stops) or stops["stamp"][after] - at > WITHIN:
            continue
        to_driver.append((stops["stamp"][after] - at) * 1e3)
        still = (states["stamp"] > stops["stamp"][after]) & (measured < REST)
        if still.any():
            to_rest.append((states["stamp"][still][0] - at) * 1e3)
    return to_driver, to_rest, idle


def period_errors(log: Log, period: float, begin: float, end: float) -> list[float]:
    """Milliseconds by which successive commands between two times miss the period."""
    stamps = log.of(COMMAND)["stamp"]
    stamps = stamps[(stamps >= begin) & (stamps <= end)]
    return [float(v) for v in np.abs(np.diff(stamps) - period) * 1e3]


def change_delays(log: Log, tools: Array, said: Sequence[float]) -> list[float]:
    """Milliseconds from "wait" or "go on" to the first setpoint that shows it.

    A moving arm shows it by a tool speed of less than `SLOWED` of that before, which is beyond the
    ripple from chunk to chunk; a resting one by any speed. Braking to there is counted in.

    Args:
        tools: ``(N, 3)`` tool position of each command in the log, metres.
        said: When each correction was published.
    """
    stamps = log.of(COMMAND)["stamp"]
    speeds = tool_speeds(stamps, tools)
    delays = []
    for at in said:
        earlier = speeds[(stamps >= at - BEFORE) & (stamps < at)]
        later = (stamps >= at) & (stamps < at + WITHIN)
        if len(earlier) < 5 or not later.any():
            continue
        usual = float(np.median(earlier))
        if earlier.max() < AT_REST:
            changed = speeds[later] > 2 * AT_REST
        elif earlier.min() > STEADY * usual:
            changed = speeds[later] < SLOWED * usual
        else:
            continue  # not steady: what changes next need not be the correction's doing
        if changed.any():
            delays.append(float(stamps[later][changed][0] - at) * 1e3)
    return delays
