"""What a chunk must be: every kind of bad chunk is refused by name."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy_nodes.arm.checks import check_chunk
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.trajectory import ChunkTrajectory, Start
from hierarchy_nodes.errors import ChunkRejected
from hierarchy_nodes.geometry import top_down
from hierarchy_nodes.types import ActionChunk

NOW = 1000.0


def chunk(n=5, stamp=NOW, dt=0.1):
    down = top_down([0.45, 0.0, 0.2])
    positions = np.tile(down.position, (n, 1))
    positions[:, 1] = 0.01 * np.arange(n)
    return ActionChunk(
        stamp,
        stamp,
        "plan",
        dt * np.arange(n),
        positions,
        np.tile(down.quaternion, (n, 1)),
        np.full(n, 0.5),
    )


def with_value(field, index, value):
    array = np.array(getattr(chunk(), field), dtype=float)
    array[index] = value
    return replace(chunk(), **{field: array})


BAD = {
    "empty": (chunk(0), "empty"),
    "oversized": (chunk(129, dt=0.01), "129 points, limit 128"),
    "positions shorter": (replace(chunk(), positions=np.zeros((4, 3))), r"positions has shape"),
    "gripper shorter": (replace(chunk(), gripper=np.zeros(3)), r"gripper has shape"),
    "nan position": (with_value("positions", (2, 1), np.nan), "positions is not finite at point 2"),
    "inf time": (with_value("times", 4, np.inf), "times is not finite at point 4"),
    "nan quaternion": (with_value("quaternions", (1, 0), np.nan), "quaternions is not finite"),
    "nan gripper": (with_value("gripper", 0, np.nan), "gripper is not finite"),
    "nan stamp": (replace(chunk(), stamp=np.nan), "stamp is nan"),
    "gripper too wide": (with_value("gripper", 3, 1.2), r"1.2 at point 3 not in \[0, 1\]"),
    "times equal": (with_value("times", 2, 0.1), "do not increase from point 1 to 2"),
    "times negative": (replace(chunk(), times=np.arange(5) * 0.1 - 0.1), "before the chunk's"),
    "horizon": (with_value("times", 4, 60.0), "60.000 s ahead, limit 5.0"),
    "quaternion not unit": (with_value("quaternions", 1, 0.8), "quaternion 1 has norm 1.6"),
    "out of reach": (with_value("positions", (4, 0), 1.4), "out of reach: point 4 has x = 1.400"),
    "below the table": (with_value("positions", (4, 2), -0.1), "out of reach: point 4 has z = -0"),
    "too fast": (with_value("positions", (4, 1), 0.4), "speed 3.70 m/s after point 3"),
    "old": (chunk(stamp=NOW - 0.8), "0.800 s old, limit 0.5"),
    "future": (chunk(stamp=NOW + 1.0), "1.000 s in the future"),
    "ended": (chunk(3, stamp=NOW - 0.4), "ended 0.200 s ago"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_chunk_is_refused_by_name(name):
    bad, message = BAD[name]
    with pytest.raises(ChunkRejected, match=message):
        check_chunk(bad, NOW, ArmConfig())


def test_turning_too_fast_is_refused():
    spun = np.array([top_down([0, 0, 0], yaw=i).quaternion for i in range(5)])
    with pytest.raises(ChunkRejected, match="turning speed"):
        check_chunk(replace(chunk(), quaternions=spun), NOW, ArmConfig())


def test_out_of_order_is_refused_and_equal_stamps_are_not():
    with pytest.raises(ChunkRejected, match=r"out of order: 0\.100 s older"):
        check_chunk(chunk(stamp=NOW - 0.1), NOW, ArmConfig(), newest=NOW)
    check_chunk(chunk(), NOW, ArmConfig(), newest=NOW)


def test_nearly_unit_quaternions_are_normalised():
    good = check_chunk(replace(chunk(), quaternions=chunk().quaternions * 1.005), NOW, ArmConfig())
    assert np.linalg.norm(good.quaternions, axis=1) == pytest.approx(np.ones(5))


def test_small_excess_is_left_to_the_executor():
    low = chunk().positions - [0.0, 0.0, 0.21]
    check_chunk(replace(chunk(), positions=low), NOW, ArmConfig())


def test_trajectory_is_smooth_and_ends_on_the_last_point():
    rng = np.random.default_rng(0)
    base = chunk(8)
    jagged = replace(base, positions=base.positions + rng.uniform(-0.02, 0.02, (8, 3)))
    window, step = 0.08, 0.002
    path = ChunkTrajectory(jagged, window)
    times = np.arange(-0.1, 1.0, step)
    positions = np.array([path.sample(t)[0].position for t in times])
    turn = np.linalg.norm(np.diff(jagged.positions, 2, axis=0, prepend=0, append=0)[1:-1], axis=1)
    ends = np.linalg.norm(np.diff(jagged.positions, axis=0), axis=1).max()
    most = max(turn.max(), ends) / 0.1
    found = [np.linalg.norm(np.diff(positions, n, axis=0), axis=1).max() / step**n for n in (2, 3)]
    assert found[0] <= 2 * most / window * 1.001
    assert found[1] <= 4 * most / window**2 * 1.001
    assert positions[-1] == pytest.approx(jagged.positions[-1])
    assert positions[0] == pytest.approx(jagged.positions[0])


def test_a_chunk_is_taken_up_without_a_jump_and_then_followed():
    """Two chunks that disagree by a centimetre: continuous up to the acceleration."""
    first, window, step, at = chunk(8), 0.12, 0.002, 0.25
    other = replace(first, positions=first.positions + np.array([0.0, 0.0, 0.01]))
    old = ChunkTrajectory(first, window)
    here = old.sample(at)[0].quaternion
    start = Start(*old.polyline(at - window / 2, at + window / 2, here), here, 1.0)
    new = ChunkTrajectory(other, window, start)
    moments = np.arange(at - 10 * step, at + 0.5, step)
    path = [(old if t < at else new).sample(t)[0].position for t in moments]
    jerk = np.linalg.norm(np.diff(path, 3, axis=0), axis=1) / step**3
    # At the end from 0.1 m/s, and from the way back, to rest.
    assert jerk.max() <= 4 * (0.1 + 0.03) / window**2
    assert path[-1] == pytest.approx(ChunkTrajectory(other, window).sample(moments[-1])[0].position)


def test_trajectory_begins_at_the_tool_where_the_chunk_begins_later():
    later = replace(chunk(), times=chunk().times + 0.2)
    here = top_down([0.45, -0.02, 0.2])
    still = np.tile([*here.position, 0.0, 0.0, 0.0], (2, 1))
    start = Start(np.array([0.08, 0.12]), still, here.quaternion, 1.0)
    path = ChunkTrajectory(later, 0.04, start)
    assert path.sample(0.1)[0].position[1] == pytest.approx(-0.02)
    assert path.sample(0.8)[0].position[1] == pytest.approx(0.04)
    assert path.sample(0.15)[1] == pytest.approx(0.75)
