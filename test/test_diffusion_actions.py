"""Chunks at other times, and chunks as the network sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hierarchy_nodes.controller.diffusion.actions import absolute, at_times, relative
from hierarchy_nodes.controller.diffusion.features import HORIZON, TIMES
from hierarchy_nodes.types import Array

SHUT_FROM = 6


def chunk() -> Array:
    """Along x, turning about z by half a radian a step, the gripper shut from action 6 on."""
    rows = np.zeros((HORIZON, 8))
    rows[:, 0] = TIMES
    rows[:, 3], rows[:, 6] = np.cos(0.25 * np.arange(HORIZON)), np.sin(0.25 * np.arange(HORIZON))
    rows[:SHUT_FROM, 7] = 1.0
    return rows


@pytest.mark.parametrize("error", [0.0, 3e-7, -3e-7])
def test_whole_periods_take_the_actions_themselves(error):
    found = at_times(chunk(), TIMES, TIMES + 0.2 + error)
    np.testing.assert_allclose(found[:-2], chunk()[2:], atol=1e-5)
    assert found[:, 7].tolist() == [1.0] * (SHUT_FROM - 2) + [0.0] * (HORIZON - SHUT_FROM + 2)


def test_between_two_actions_poses_are_blended_and_the_gripper_is_not():
    found = at_times(chunk(), TIMES, np.array([TIMES[SHUT_FROM - 1] + 0.05]))[0]
    assert found[0] == pytest.approx(TIMES[SHUT_FROM - 1] + 0.05)
    half = 0.25 * (SHUT_FROM - 0.5)
    np.testing.assert_allclose(found[3:7], [np.cos(half), 0, 0, np.sin(half)], atol=1e-9)
    assert found[7] == 0.0


def test_the_last_action_is_repeated_and_the_first_one_begins():
    found = at_times(chunk(), TIMES, np.array([0.0, 5.0]))
    np.testing.assert_array_equal(found[0], chunk()[0])
    np.testing.assert_allclose(found[1], chunk()[-1], atol=1e-12)


def test_opposite_quaternions_are_one_orientation():
    flipped = chunk()
    flipped[1::2, 3:7] *= -1.0
    between = TIMES[:-1] + 0.04
    usual, found = at_times(chunk(), TIMES, between), at_times(flipped, TIMES, between)
    same = np.abs(np.einsum("ij,ij->i", usual[:, 3:7], found[:, 3:7]))
    np.testing.assert_allclose(same, 1.0, atol=1e-12)


def test_relative_and_back():
    tool = torch.tensor([[0.4, -0.1, 0.3, 0.0, 0.6, 0.8, 0.0]])
    rows = torch.from_numpy(chunk()).float()[None]
    back = absolute(relative(rows, tool), tool)
    torch.testing.assert_close(back[..., :3], rows[..., :3], atol=1e-5, rtol=0)
    same = (back[..., 3:7] * rows[..., 3:7]).sum(-1).abs()
    torch.testing.assert_close(same, torch.ones_like(same), atol=1e-5, rtol=0)
    torch.testing.assert_close(back[..., 7], rows[..., 7])
