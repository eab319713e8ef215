"""The cell in-process: servo, cameras, contact, and a referee that is neither blind nor kind."""

import numpy as np
import pytest
from cell_script import Script

from hardware.base import JointCommand
from hardware.cell.cell import Cell
from hardware.cell.referee import Referee
from hardware.cell.scene import CAMERAS, ObjectSpec, SceneSpec
from hardware.cell.tasks import FAMILIES, TaskSpec, sample
from hierarchy_nodes.errors import DriverError, UnknownNameError
from hierarchy_nodes.geometry import point_cloud, project

make = ObjectSpec.make


@pytest.fixture
def cell():
    scene = SceneSpec((make("red", "block", (0.45, 0.10)), make("blue", "plate", (0.50, -0.15))))
    running = Cell(scene)
    yield running
    running.close()


def drive(cell, positions, seconds, gripper=1.0):
    still = np.zeros(7)
    for _ in range(round(seconds / 0.008)):
        cell.command(JointCommand(positions, still, gripper))
        cell.step(0.008)


def test_same_scene_same_simulation_bit_for_bit():
    ends = []
    for _ in range(2):
        cell = Cell(sample("place", 4)[0])
        drive(cell, cell.arm_state().positions + 0.1, 0.5)
        ends.append((cell.data.qpos.tobytes(), cell.data.qvel.tobytes()))
        cell.close()
    assert ends[0] == ends[1]


def test_setpoints_are_reached_within_limits(cell):
    start = cell.arm_state().positions
    target = start + np.array([0.3, 0.2, -0.2, 0.2, 0.3, -0.2, 0.4])
    fastest = 0.0
    for _ in range(150):
        cell.command(JointCommand(target, np.zeros(7), 0.5))
        cell.step(0.008)
        speed = np.abs(cell.arm_state().velocities) / cell.capabilities.max_velocity
        fastest = max(fastest, float(speed.max()))
    state = cell.arm_state()
    assert np.allclose(state.positions, target, atol=2e-3)
    assert state.gripper == pytest.approx(0.5, abs=0.02)
    assert 0.2 < fastest < 1.15
    assert state.stamp == pytest.approx(1.2)


def test_commands_are_limited_and_checked(cell):
    far = np.full(7, 10.0)
    sent = cell.command(JointCommand(far, far, 3.0))
    assert np.array_equal(sent.positions, cell.capabilities.upper)
    assert np.array_equal(sent.velocities, cell.capabilities.max_velocity)
    assert sent.gripper == 1.0
    with pytest.raises(DriverError, match="not finite"):
        cell.command(JointCommand(np.full(7, np.nan), np.zeros(7), 0.0))
    with pytest.raises(DriverError, match="7 positions"):
        cell.command(JointCommand(np.zeros(6), np.zeros(6), 0.0))


def test_watchdog_holds_the_arm_where_it_is(cell):
    start = cell.arm_state().positions
    moving = np.zeros(7)
    moving[0] = 0.5
    for k in range(50):
        cell.command(JointCommand(start + moving * 0.008 * k, moving, 1.0))
        cell.step(0.008)
    assert not cell.holding
    cell.step(0.2)
    assert cell.holding
    held = cell.arm_state().positions
    assert held[0] - start[0] < 0.5 * (50 * 0.008 + 0.1)
    cell.step(0.5)
    assert np.allclose(cell.arm_state().positions, held, atol=1e-4)


def test_watchdog_also_ends_a_far_setpoint(cell):
    start = cell.arm_state().positions
    far = start.copy()
    far[0] += 2.0
    cell.command(JointCommand(far, np.zeros(7), 1.0))
    cell.step(1.0)
    assert cell.arm_state().positions[0] - start[0] < 0.4


@pytest.mark.parametrize("camera", sorted(CAMERAS))
def test_pixels_and_points_agree(cell, camera):
    frame = cell.capture(camera)
    assert frame.color.shape == (240, 320, 3)
    top = np.array([[0.45, 0.10, 0.04]])
    image, depth = project(top, frame.intrinsics, frame.camera_pose)
    column, row = (image[0] * (320, 240)).astype(int)
    assert frame.depth[row, column] == pytest.approx(depth[0], abs=0.004)
    red = frame.color[row, column].astype(int)
    assert red[0] > 2 * red[1]
    points, known = point_cloud(frame)
    assert points[row, column] == pytest.approx(top[0], abs=0.006)
    heights = points[known][:, 2]
    assert abs(np.median(heights)) < 0.02  # most of what is seen is the table, at z = 0
    assert frame.depth[known].min() > 0.15


def test_unknown_camera(cell):
    with pytest.raises(UnknownNameError, match="front"):
        cell.capture("back")


@pytest.mark.parametrize("family", FAMILIES)
def test_referee_tells_done_from_not_done(family):
    scene, task = sample(family, 7)
    cell = Cell(scene)
    referee = Referee(cell, task)
    before = referee.verdict()
    assert not before.success
    assert task.target in before.reason
    Script(cell).do(task)
    after = referee.verdict()
    cell.close()
    assert after.success, after.reason


def test_lifted_by_friction_alone_and_not_done_while_held():
    scene, task = sample("place", 2)
    cell = Cell(scene)
    referee = Referee(cell, task)
    script = Script(cell)
    script.grasp(task.target)
    x, y, _ = cell.data.body(task.goal).xpos
    assert cell.data.body(task.target).xpos[2] > 0.12
    assert cell.model.neq == 1  # the fingers' coupling; nothing glues the object
    script.move(x, y, 0.08)
    verdict = referee.verdict()
    assert not verdict.success
    script.gripper(1.0)
    cell.close()


def test_wrong_object_is_not_success():
    things = (
        make("red", "block", (0.45, 0.12)),
        make("green", "block", (0.36, 0.0)),
        make("blue", "plate", (0.50, -0.15)),
    )
    cell = Cell(SceneSpec(things))
    task = TaskSpec("place", "put the red block on the blue plate", "red_block", "blue_plate", "on")
    referee = Referee(cell, task)
    other = TaskSpec("place", "", "green_block", "blue_plate", "on")
    Script(cell).do(other)
    assert Referee(cell, other).verdict().success
    assert not referee.verdict().success
    cell.close()


def test_wrong_button_is_not_success():
    things = (make("red", "button", (0.45, 0.12)), make("blue", "button", (0.45, -0.12)))
    cell = Cell(SceneSpec(things))
    referee = Referee(cell, TaskSpec("press", "press the red button", "red_button"))
    Script(cell).do(TaskSpec("press", "", "blue_button"))
    verdict = referee.verdict()
    cell.close()
    assert not verdict.success
    assert "blue_button was pressed" in verdict.reason
