"""What is true in a cell: how things lie, move and touch."""

import math

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.scene import ObjectSpec, SceneSpec
from hardware.cell.truth import Truth

make = ObjectSpec.make


@pytest.fixture
def truth():
    things = (
        make("red", "block", (0.45, 0.10)),
        make("blue", "bottle", (0.50, -0.15)),
        make("green", "drawer", (0.60, 0.15), opening=0.5),
    )
    cell = Cell(SceneSpec(things))
    yield Truth(cell)
    cell.close()


def test_things_at_rest_stand_on_the_table(truth):
    np.testing.assert_allclose(truth.position("red_block"), (0.45, 0.10, 0.02), atol=1e-3)
    assert truth.tilt("red_block") < 0.01
    assert truth.touching("red_block") == {"world"}
    assert np.abs(truth.velocity("red_block")).max() < 0.01


def test_a_thing_in_the_air_touches_nothing_and_falls(truth):
    truth.cell.move_object("red_block", (0.45, 0.10, 0.30), 0.5)
    truth.cell.step(0.1)
    speed, turn = truth.velocity("red_block")
    assert truth.touching("red_block") == set()
    assert speed[2] == pytest.approx(-0.98, rel=0.05)
    assert np.abs(turn).max() < 0.01
    assert math.atan2(*truth.rotation("red_block")[[1, 0], 0]) == pytest.approx(0.5, abs=0.01)


def test_a_toppled_bottle_is_tilted_and_an_open_drawer_open(truth):
    joint = truth.cell.data.joint("blue_bottle")
    joint.qpos[3:] = (math.cos(0.7), math.sin(0.7), 0.0, 0.0)
    truth.cell.step(0.002)
    assert truth.tilt("blue_bottle") == pytest.approx(1.4, abs=0.05)
    assert truth.opening("green_drawer") == pytest.approx(0.06, abs=0.005)
