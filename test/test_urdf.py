"""The arm's description loads everywhere and can do what the stack asks of it."""

import math

import mink
import mujoco
import numpy as np
import pytest

from hierarchy_nodes.arm.description import load_arm
from hierarchy_nodes.geometry import angle_between, top_down


@pytest.fixture(scope="module")
def arm():
    return load_arm()


@pytest.fixture(scope="module")
def model(arm):
    return mujoco.MjModel.from_xml_path(str(arm.path))


def test_mujoco_keeps_joints_links_and_shapes(model, arm):
    names = [model.joint(i).name for i in range(model.njnt)]
    assert names[:7] == list(arm.joint_names)
    assert set(names[7:]) == {arm.gripper_joint, *arm.finger_joints}
    assert {model.body(i).name for i in range(model.nbody)} >= {"base_link", "tool0", "hand"}
    assert (model.geom_contype == 0).sum() == (model.geom_contype == 1).sum() > 10
    assert model.body_mass[1:].sum() == pytest.approx(20, rel=0.25)


def test_limits_agree_with_mujoco(model, arm):
    limits = arm.capabilities()
    assert np.allclose(model.jnt_range[:7, 0], limits.lower)
    assert np.allclose(model.jnt_range[:7, 1], limits.upper)
    assert (limits.max_velocity > 1.0).all()
    assert (limits.max_acceleration > 1.0).all()
    assert (arm.effort >= 10).all()
    finger = model.joint(arm.finger_joints[0])
    assert finger.range[1] * 2 == pytest.approx(limits.gripper_width)


def test_home_looks_down_and_is_far_from_limits(model, arm):
    data = mujoco.MjData(model)
    data.qpos[:7] = arm.home
    mujoco.mj_kinematics(model, data)
    assert np.allclose(data.body("tool0").xpos, (0.35, 0.0, 0.40), atol=1e-4)
    down = top_down((0.35, 0.0, 0.40))
    assert angle_between(np.array(data.body("tool0").xquat), down.quaternion) < 1e-3
    limits = arm.capabilities()
    assert min((limits.upper - arm.home).min(), (arm.home - limits.lower).min()) > 0.5


@pytest.mark.parametrize("x", [0.30, 0.65])
@pytest.mark.parametrize("y", [-0.30, 0.30])
@pytest.mark.parametrize("z", [0.0, 0.45])
@pytest.mark.parametrize("yaw", [-math.pi / 2, math.pi / 2])
def test_corners_of_the_working_area_are_in_reach(model, arm, x, y, z, yaw):
    configuration = mink.Configuration(model)
    q = np.zeros(model.nq)
    q[:7] = arm.home
    configuration.update(q)
    posture = mink.PostureTask(model, cost=1e-3)
    posture.set_target(q)
    tool = mink.FrameTask("tool0", "body", 1.0, 1.0, lm_damping=1e-6)
    limits = [mink.ConfigurationLimit(model)]
    home = np.array([0.35, 0.0, 0.40])
    # In small steps, as a quarter turn at once may take the wrong way round.
    for part in np.linspace(0.1, 1.0, 10):
        pose = top_down(home + part * (np.array([x, y, z]) - home), part * yaw)
        tool.set_target(mink.SE3(wxyz_xyz=np.r_[pose.quaternion, pose.position]))
        for _ in range(8):
            velocity = mink.solve_ik(
                configuration, [tool, posture], 0.05, "daqp", limits=limits, damping=1e-4
            )
            configuration.integrate_inplace(velocity, 0.05)
    assert np.linalg.norm(tool.compute_error(configuration)) < 1e-3
    jacobian = configuration.get_frame_jacobian("tool0", "body")[:, :7]
    assert np.linalg.svd(jacobian)[1][-1] > 0.05  # not near a singularity
