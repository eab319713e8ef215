"""What is drawn on the camera image."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy_nodes.console.overlay import CAPTION_SECONDS, MASK_ALPHA, ROLE_COLORS, draw_overlay
from hierarchy_nodes.console.view import View
from hierarchy_nodes.geometry import look_at
from hierarchy_nodes.types import (
    CameraIntrinsics,
    Correction,
    CorrectionKind,
    Gripper,
    Interaction,
    LanguageMotion,
    PathPoint,
    Plan,
    RgbdFrame,
    Role,
    Segment,
    Segments,
)

CAMERA = look_at((1.1, 0.0, 0.75), (0.45, 0.0, 0.02))
GRAY = np.full((240, 320, 3), 120, np.uint8)
LEFT = LanguageMotion(0.0, "move arm left", np.array([0.0, 1.0, 0.0]), 0.02, valid_until=100.0)


def plan(*points: PathPoint) -> Plan:
    return Plan(
        plan_id="p",
        stamp=0.0,
        frame_id="camera_color_optical_frame",
        camera_pose=CAMERA,
        instruction="put the red block on the blue plate",
        interaction=Interaction.PLACE,
        path=points,
        prompts=(),
        valid_until=100.0,
        source="test",
    )


def masks(lost: bool = False) -> Segments:
    mask = np.zeros((240, 320), np.uint8)
    mask[100:140, 50:90] = 3
    segment = Segment(3, Role.TARGET, "red block", 1.0, lost, np.zeros(3), np.zeros(3), 0.0)
    return Segments(0.0, "camera", "p", mask, (segment,))


def changed(image, reference=None):
    reference = draw_overlay(GRAY) if reference is None else reference
    return np.any(image != reference, axis=2)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_size_and_the_image_itself(scale):
    before = GRAY.copy()
    out = draw_overlay(GRAY, scale=scale)
    assert out.shape == (240 * scale, 320 * scale, 3)
    assert out.dtype == np.uint8
    draw_overlay(GRAY, plan(PathPoint(0.1, 0.1), PathPoint(0.9, 0.9)), masks(), LEFT)
    np.testing.assert_array_equal(GRAY, before)


def test_path_runs_from_blue_to_red():
    out = draw_overlay(GRAY, plan(PathPoint(0.1, 0.5), PathPoint(0.5, 0.5), PathPoint(0.9, 0.5)))
    begin, end = out[240, 70].astype(int), out[240, 570].astype(int)
    assert begin[2] > 150 > begin[0]
    assert end[0] > 150 > end[2]
    # Two pixels and their soft edges.
    assert 2 <= changed(out)[:, 300].sum() <= 5


def test_gripper_events_are_circles():
    close = PathPoint(0.3, 0.5, gripper=Gripper.CLOSE)
    out = draw_overlay(GRAY, plan(PathPoint(0.1, 0.5), close, PathPoint(0.9, 0.5)))
    assert changed(out)[:, round(0.3 * 640)].sum() >= 14


def test_path_far_outside_the_image_is_no_error():
    draw_overlay(GRAY, plan(PathPoint(-50.0, 0.5), PathPoint(0.5, 1e6), PathPoint(0.9, -3.0)))


def test_masks_are_tinted_by_role_and_lost_ones_named():
    out = draw_overlay(GRAY, segments=masks())
    wanted = (1 - MASK_ALPHA) * 120 + MASK_ALPHA * np.array(ROLE_COLORS[Role.TARGET])
    np.testing.assert_allclose(out[240, 140], wanted, atol=2)
    lost = draw_overlay(GRAY, segments=masks(lost=True))
    np.testing.assert_array_equal(lost[240, 140], [120, 120, 120])
    assert changed(lost)[:30, 400:].any()


def test_mask_of_another_size():
    small = replace(masks(), mask=masks().mask[::2, ::2])
    np.testing.assert_array_equal(
        draw_overlay(GRAY, segments=small)[240, 140], draw_overlay(GRAY, segments=masks())[240, 140]
    )


def test_arrow_points_where_the_camera_sees_the_motion_go():
    def balance(direction):
        motion = replace(LEFT, direction=np.array(direction, dtype=float), text="")
        rows, columns = np.nonzero(changed(draw_overlay(GRAY, motion=motion, camera_pose=CAMERA)))
        # The head is the heavier end.
        middle = (columns.min() + columns.max()) / 2
        return np.median(columns) - middle, np.median(rows) - (rows.min() + rows.max()) / 2

    # The camera looks back at the robot: its left is the image's right.
    assert balance([0, 1, 0])[0] > 2
    assert balance([0, -1, 0])[0] < -2
    assert balance([0, 0, 1])[1] < -2


def test_captions_fade_out():
    said = Correction(10.0, "1", "left", CorrectionKind.MOTION, answer="moving 3 cm to the left")

    def contrast(now):
        difference = draw_overlay(GRAY, corrections=[said], now=now).astype(int) - 120
        return np.abs(difference).sum()

    fresh, old = contrast(10.0), contrast(10.0 + 0.9 * CAPTION_SECONDS)
    assert fresh > 2 * old > 0
    assert contrast(10.0 + CAPTION_SECONDS) == 0


def test_long_and_foreign_text_stays_in_the_image():
    said = Correction(0.0, "1", "ж" * 300 + "\n\t—", CorrectionKind.UNKNOWN, accepted=False)
    draw_overlay(GRAY, corrections=[said], status=["x" * 500, ""], stopped="y" * 500)
    draw_overlay(GRAY[:24, :32], corrections=[said], status=["abc"], stopped="why", scale=1)


def test_stop_is_a_red_banner():
    out = draw_overlay(GRAY, stopped="stop message").astype(int)
    red = (out[..., 0] > 150) & (out[..., 1] < 60)
    assert red.sum() > 10_000


def view_with_frame(stamp: float = 50.0) -> View:
    view = View()
    intrinsics = CameraIntrinsics(320, 240, 270.0, 270.0, 160.0, 120.0)
    depth = np.ones((240, 320), np.float32)
    view.frame = RgbdFrame(stamp, "camera", GRAY, depth, intrinsics, CAMERA)
    return view


def test_view_without_image_draws_nothing():
    assert View().draw(0.0) is None


def test_view_leaves_out_what_is_over():
    view = view_with_frame()
    view.segments = replace(masks(), stamp=40.0)
    view.set_motion(replace(LEFT, valid_until=49.0))
    view.plan = plan()
    assert not changed(view.draw(50.0)).any()
    view.segments = replace(masks(), stamp=49.9)
    assert changed(view.draw(50.0)).any()


def test_a_correction_is_shown_before_the_planners_motion():
    view = view_with_frame()
    spoken = replace(LEFT, stamp=50.0, source="correction", valid_until=52.0)
    view.set_motion(spoken)
    before = view.draw(50.5)
    view.set_motion(replace(LEFT, stamp=50.4, text="something else", valid_until=60.0))
    assert not changed(view.draw(50.5), before).any()
    view.set_motion(replace(LEFT, stamp=52.5, text="something else", valid_until=60.0))
    assert changed(view.draw(52.5), before).any()
