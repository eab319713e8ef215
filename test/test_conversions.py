"""Types to ROS messages and back."""

import math
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from scenes import picture, robot_at
from sensor_msgs.msg import Image

from hierarchy_nodes import conversions as c
from hierarchy_nodes import types

number = st.floats(-100, 100, width=32)
unit = st.floats(0, 1, width=32)
stamp = st.integers(0, 4 * 10**9).map(lambda n: n / 2)
text = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def arrays(*shape):
    count = math.prod(shape)
    return st.lists(number, min_size=count, max_size=count).map(
        lambda values: np.array(values, dtype=float).reshape(shape)
    )


poses = st.builds(types.Pose, arrays(3), arrays(4))
grippers = st.sampled_from(types.Gripper)
motions = st.builds(
    types.LanguageMotion, stamp, text, arrays(3), number, number, grippers, stamp, text, unit, text
)
plans = st.builds(
    types.Plan,
    text,
    stamp,
    text,
    poses,
    text,
    st.sampled_from(types.Interaction),
    st.lists(
        st.builds(types.PathPoint, unit, unit, st.one_of(unit, st.just(math.nan)), grippers),
        max_size=4,
    ).map(tuple),
    st.lists(
        st.builds(types.Prompt, st.sampled_from(types.Role), text, unit, unit), max_size=3
    ).map(tuple),
    stamp,
    text,
    unit,
    text,
)
segment = st.builds(
    types.Segment,
    st.integers(0, 255),
    st.sampled_from(types.Role),
    text,
    unit,
    st.booleans(),
    arrays(3),
    arrays(3),
    number,
)
masks = st.integers(0, 2**32).map(
    lambda seed: np.random.default_rng(seed).integers(0, 9, (5, 7), dtype=np.uint8)
)
segments = st.builds(
    types.Segments, stamp, text, text, masks, st.lists(segment, max_size=3).map(tuple)
)


@st.composite
def chunks(draw):
    n = draw(st.integers(0, 4))
    return types.ActionChunk(
        draw(stamp),
        draw(stamp),
        draw(text),
        draw(arrays(n)),
        draw(arrays(n, 3)),
        draw(arrays(n, 4)),
        draw(arrays(n)),
        draw(text),
    )


def same(a, b):
    """Equal, arrays and NaN included."""
    if is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)
        )
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.allclose(a, b, equal_nan=True, atol=1e-6)
    if isinstance(a, float):
        return a == pytest.approx(b, abs=1e-6, nan_ok=True)
    return a == b


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@given(plans)
def test_plan(plan):
    assert same(plan, c.plan_from_msg(over_the_wire(c.plan_to_msg(plan))))


@given(motions)
def test_motion(motion):
    assert same(motion, c.motion_from_msg(over_the_wire(c.motion_to_msg(motion))))


@given(segments)
def test_segments(value):
    assert same(value, c.segments_from_msg(over_the_wire(c.segments_to_msg(value))))


@given(chunks())
def test_chunk(chunk):
    message = over_the_wire(c.chunk_to_msg(chunk, "base_link"))
    assert message.header.frame_id == "base_link"
    assert same(chunk, c.chunk_from_msg(message))


@given(
    st.builds(
        types.Correction,
        stamp,
        text,
        text,
        st.sampled_from([types.CorrectionKind.MOTION, types.CorrectionKind.GRIPPER]),
        unit,
        unit,
        motions,
        text,
        text,
        text,
        st.booleans(),
    )
)
def test_correction_with_a_motion(correction):
    again = c.correction_from_msg(over_the_wire(c.correction_to_msg(correction)))
    assert same(correction, again)


def test_correction_without_a_motion():
    stop = types.Correction(1.5, "c1", "stop", types.CorrectionKind.STOP)
    assert same(stop, c.correction_from_msg(over_the_wire(c.correction_to_msg(stop))))


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_times(seconds, nanoseconds):
    message = c.time_to_msg(seconds + nanoseconds * 1e-9)
    assert 0 <= message.nanosec < 1_000_000_000
    assert c.time_from_msg(message) == pytest.approx(seconds + nanoseconds * 1e-9, abs=1e-6)


def test_unknown_words_in_a_plan_raise():
    frame, _ = picture([])
    message = c.plan_to_msg(
        types.Plan(
            "p", 0.0, "f", frame.camera_pose, "", types.Interaction.NONE, (), (), 0.0, "test"
        )
    )
    message.interaction = "dance"
    with pytest.raises(ValueError, match="dance"):
        c.plan_from_msg(message)


@pytest.mark.parametrize(
    ("encoding", "dtype", "shape"),
    [
        ("rgb8", np.uint8, (6, 8, 3)),
        ("bgr8", np.uint8, (6, 8, 3)),
        ("mono8", np.uint8, (6, 8)),
        ("8UC1", np.uint8, (6, 8)),
        ("16UC1", np.uint16, (6, 8)),
        ("mono16", np.uint16, (6, 8)),
        ("32FC1", np.float32, (6, 8)),
    ],
)
def test_images(encoding, dtype, shape):
    pixels = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    message = over_the_wire(c.image_to_msg(pixels, encoding, 12.5, "eye"))
    assert (message.height, message.width, message.encoding) == (6, 8, encoding)
    assert message.header.frame_id == "eye"
    assert np.array_equal(c.image_from_msg(message), pixels)
    # A view that is not contiguous is written right as well.
    turned = c.image_from_msg(c.image_to_msg(pixels[::-1, ::2], encoding, 0.0, ""))
    assert np.array_equal(turned, pixels[::-1, ::2])


def test_images_with_padded_rows():
    message = c.image_to_msg(np.arange(24, dtype=np.uint8).reshape(2, 12), "mono8", 0.0, "")
    message.width, message.encoding = 3, "rgb8"
    assert c.image_from_msg(message).shape == (2, 3, 3)


def test_unknown_encoding_names_the_known():
    with pytest.raises(ValueError, match=r"yuv422.*rgb8"):
        c.image_from_msg(Image(encoding="yuv422", height=1, width=1, step=2))


def messages(frame, encoding="rgb8"):
    color = frame.color[..., ::-1] if encoding == "bgr8" else frame.color
    return (
        c.image_to_msg(color, encoding, frame.stamp, frame.frame_id),
        c.camera_info_to_msg(frame.intrinsics, frame.stamp, frame.frame_id),
        c.pose_to_msg(frame.camera_pose),
    )


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_frames_in_millimetres(encoding):
    frame, _ = picture([], stamp=3.25)
    color, info, pose = messages(frame, encoding)
    depth = c.image_to_msg(c.depth_to_millimetres(frame.depth), "16UC1", frame.stamp, "")
    again = c.frame_from_msgs(color, depth, info, pose)
    assert again.stamp == 3.25
    assert again.intrinsics == frame.intrinsics
    assert np.array_equal(again.color, frame.color)
    assert again.depth.dtype == np.float32
    assert np.abs(again.depth - frame.depth).max() <= 0.00051
    assert np.allclose(again.camera_pose.position, frame.camera_pose.position)


def test_unknown_depth_is_zero():
    depth = np.array([[np.nan, np.inf, -np.inf], [-1.0, 70.0, 1.2345]], np.float32)
    assert c.depth_to_millimetres(depth).tolist() == [[0, 0, 0], [0, 0, 1234]]
    frame, _ = picture([])
    color, info, pose = messages(frame)
    metres = frame.depth.copy()
    metres[0, :3] = [np.nan, np.inf, -np.inf]
    message = c.image_to_msg(metres, "32FC1", frame.stamp, frame.frame_id)
    again = c.frame_from_msgs(color, message, info, pose)
    assert np.isfinite(again.depth).all()
    assert not again.depth[0, :3].any()


def test_robot_state():
    state = robot_at(7.5, gripper=0.25)
    names = [f"joint_{i}" for i in range(1, 8)]
    joints = c.joint_state_to_msg(state, names, "gripper")
    assert joints.name == [*names, "gripper"]
    again = c.robot_state_from_msgs(joints, c.pose_stamped(7.5, "base_link", state.tool))
    assert same(state, again)
