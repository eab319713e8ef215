"""Between the stack's types and its ROS messages, one pair of functions a type."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PoseStamped, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMsg
from hierarchy_interfaces import msg
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header

from hardware.base import AudioBlock
from hierarchy_nodes import types
from hierarchy_nodes.monitor import Heartbeat


def time_to_msg(stamp: float) -> Time:
    """Seconds since the epoch to a ROS time."""
    seconds, nanoseconds = divmod(round(stamp * 1e9), 1_000_000_000)
    return Time(sec=int(seconds), nanosec=int(nanoseconds))


def time_from_msg(message: Time) -> float:
    """A ROS time to seconds since the epoch."""
    return message.sec + message.nanosec * 1e-9


def header(stamp: float, frame_id: str) -> Header:
    return Header(stamp=time_to_msg(stamp), frame_id=frame_id)


def pose_to_msg(pose: types.Pose) -> PoseMsg:
    x, y, z = map(float, pose.position)
    qw, qx, qy, qz = map(float, pose.quaternion)
    return PoseMsg(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_from_msg(message: PoseMsg) -> types.Pose:
    p, q = message.position, message.orientation
    return types.Pose(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))


def pose_stamped(stamp: float, frame_id: str, pose: types.Pose) -> PoseStamped:
    return PoseStamped(header=header(stamp, frame_id), pose=pose_to_msg(pose))


def _vector(values: types.Array) -> Vector3:
    return Vector3(x=float(values[0]), y=float(values[1]), z=float(values[2]))


def _numbers(vector: Vector3 | Point) -> types.Array:
    return np.array([vector.x, vector.y, vector.z])


# Images

_ENCODINGS = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "mono8": (np.uint8, 1),
    "8UC1": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "mono16": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}


def image_to_msg(pixels: NDArray, encoding: str, stamp: float, frame_id: str) -> Image:
    """An ``(H, W)`` or ``(H, W, C)`` array as an Image."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header(stamp, frame_id), encoding=encoding)
    message.height, message.width = pixels.shape[:2]
    message.step = pixels.strides[0]
    data = array("B")
    data.frombytes(pixels.data.cast("B"))
    message.data = data
    return message


def depth_to_millimetres(metres: NDArray) -> NDArray[np.uint16]:
    """Depth as 16UC1 has it (REP 118): millimetres, 0 where unknown or too far to be written."""
    with np.errstate(invalid="ignore"):
        known = (metres > 0) & (metres < 65.535)
        return np.where(known, np.rint(metres * 1e3), 0).astype(np.uint16)


def image_from_msg(message: Image) -> NDArray:
    """The pixels of an Image, without a copy. Raises ValueError on an unknown encoding."""
    if message.encoding not in _ENCODINGS:
        known = ", ".join(_ENCODINGS)
        raise ValueError(f"Image encoding '{message.encoding}' is not known. Valid: {known}.")
    dtype, channels = _ENCODINGS[message.encoding]
    item = np.dtype(dtype).itemsize
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : message.width * channels * item].view(dtype)
    return pixels.reshape(message.height, message.width, channels) if channels > 1 else pixels


def camera_info_to_msg(camera: types.CameraIntrinsics, stamp: float, frame_id: str) -> CameraInfo:
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(
        header=header(stamp, frame_id),
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
    )


def camera_info_from_msg(message: CameraInfo) -> types.CameraIntrinsics:
    k = message.k
    return types.CameraIntrinsics(message.width, message.height, k[0], k[4], k[2], k[5])


def frame_to_msgs(frame: types.RgbdFrame) -> tuple[Image, Image, CameraInfo]:
    """Colour (rgb8), depth (16UC1) and the camera of one RGB-D frame, under its stamp."""
    stamp, name = frame.stamp, frame.frame_id
    return (
        image_to_msg(frame.color, "rgb8", stamp, name),
        image_to_msg(depth_to_millimetres(frame.depth), "16UC1", stamp, name),
        camera_info_to_msg(frame.intrinsics, stamp, name),
    )


def frame_from_msgs(
    color: Image, depth: Image, info: CameraInfo, camera_pose: PoseMsg
) -> types.RgbdFrame:
    """One RGB-D frame. Depth in 16UC1 is millimetres (REP 118)."""
    pixels = image_from_msg(depth)
    if pixels.dtype == np.uint16:
        metres = pixels * np.float32(1e-3)
    else:
        metres = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    rgb = image_from_msg(color)
    return types.RgbdFrame(
        stamp=time_from_msg(color.header.stamp),
        frame_id=color.header.frame_id,
        color=rgb[..., ::-1] if color.encoding == "bgr8" else rgb,
        depth=metres,
        intrinsics=camera_info_from_msg(info),
        camera_pose=pose_from_msg(camera_pose),
    )


# Robot


def joint_state_to_msg(state: types.RobotState, names: list[str], gripper_name: str) -> JointState:
    """Joint angles and, last, the gripper's opening in [0, 1] under `gripper_name`."""
    return JointState(
        header=header(state.stamp, ""),
        name=[*names, gripper_name],
        position=[*map(float, state.joint_positions), float(state.gripper)],
        velocity=[*map(float, state.joint_velocities), 0.0],
    )


def robot_state_from_msgs(joints: JointState, tool: PoseStamped) -> types.RobotState:
    return types.RobotState(
        stamp=time_from_msg(joints.header.stamp),
        joint_positions=np.array(joints.position[:-1]),
        joint_velocities=np.array(joints.velocity[:-1]),
        gripper=float(joints.position[-1]),
        tool=pose_from_msg(tool.pose),
    )


# Plan


def plan_to_msg(plan: types.Plan) -> msg.Plan:
    return msg.Plan(
        header=header(plan.stamp, plan.frame_id),
        camera_pose=pose_to_msg(plan.camera_pose),
        plan_id=plan.plan_id,
        instruction=plan.instruction,
        subtask=plan.subtask,
        interaction=str(plan.interaction),
        path=[
            msg.PathPoint(x=p.x, y=p.y, depth=p.depth, gripper=int(p.gripper)) for p in plan.path
        ],
        prompts=[msg.Prompt(role=str(p.role), label=p.label, x=p.x, y=p.y) for p in plan.prompts],
        valid_until=time_to_msg(plan.valid_until),
        source=plan.source,
        confidence=plan.confidence,
    )


def plan_from_msg(message: msg.Plan) -> types.Plan:
    return types.Plan(
        plan_id=message.plan_id,
        stamp=time_from_msg(message.header.stamp),
        frame_id=message.header.frame_id,
        camera_pose=pose_from_msg(message.camera_pose),
        instruction=message.instruction,
        subtask=message.subtask,
        interaction=types.Interaction(message.interaction),
        path=tuple(
            types.PathPoint(p.x, p.y, p.depth, types.Gripper(p.gripper)) for p in message.path
        ),
        prompts=tuple(types.Prompt(types.Role(p.role), p.label, p.x, p.y) for p in message.prompts),
        valid_until=time_from_msg(message.valid_until),
        source=message.source,
        confidence=message.confidence,
    )


def motion_to_msg(motion: types.LanguageMotion) -> msg.LanguageMotion:
    return msg.LanguageMotion(
        header=header(motion.stamp, ""),
        text=motion.text,
        direction=_vector(motion.direction),
        distance=float(motion.distance),
        rotation=float(motion.rotation),
        gripper=int(motion.gripper),
        valid_until=time_to_msg(motion.valid_until),
        source=motion.source,
        weight=float(motion.weight),
        correction_id=motion.correction_id,
    )


def motion_from_msg(message: msg.LanguageMotion) -> types.LanguageMotion:
    return types.LanguageMotion(
        stamp=time_from_msg(message.header.stamp),
        text=message.text,
        direction=_numbers(message.direction),
        distance=message.distance,
        rotation=message.rotation,
        gripper=types.Gripper(message.gripper),
        valid_until=time_from_msg(message.valid_until),
        source=message.source,
        weight=message.weight,
        correction_id=message.correction_id,
    )


def segments_to_msg(segments: types.Segments) -> msg.Segments:
    return msg.Segments(
        header=header(segments.stamp, segments.frame_id),
        plan_id=segments.plan_id,
        mask=image_to_msg(segments.mask, "mono8", segments.stamp, segments.frame_id),
        segments=[
            msg.Segment(
                id=s.id,
                role=str(s.role),
                label=s.label,
                health=s.health,
                lost=s.lost,
                centroid=Point(**dict(zip("xyz", map(float, s.centroid), strict=True))),
                size=_vector(s.size),
                yaw=s.yaw,
            )
            for s in segments.segments
        ],
    )


def segments_from_msg(message: msg.Segments) -> types.Segments:
    return types.Segments(
        stamp=time_from_msg(message.header.stamp),
        frame_id=message.header.frame_id,
        plan_id=message.plan_id,
        mask=image_from_msg(message.mask),
        segments=tuple(
            types.Segment(
                id=s.id,
                role=types.Role(s.role),
                label=s.label,
                health=s.health,
                lost=s.lost,
                centroid=_numbers(s.centroid),
                size=_numbers(s.size),
                yaw=s.yaw,
            )
            for s in message.segments
        ),
    )


def chunk_to_msg(chunk: types.ActionChunk, base_frame: str) -> msg.ActionChunk:
    return msg.ActionChunk(
        header=header(chunk.stamp, base_frame),
        image_stamp=time_to_msg(chunk.image_stamp),
        plan_id=chunk.plan_id,
        times=array("d", chunk.times),
        poses=[
            pose_to_msg(types.Pose(p, q))
            for p, q in zip(chunk.positions, chunk.quaternions, strict=True)
        ],
        gripper=array("f", chunk.gripper),
        source=chunk.source,
    )


def chunk_from_msg(message: msg.ActionChunk) -> types.ActionChunk:
    """Arrays as they came: their lengths and values are checked by the arm, not here."""
    poses = [pose_from_msg(p) for p in message.poses]
    return types.ActionChunk(
        stamp=time_from_msg(message.header.stamp),
        image_stamp=time_from_msg(message.image_stamp),
        plan_id=message.plan_id,
        times=np.array(message.times, dtype=float),
        positions=np.array([p.position for p in poses], dtype=float).reshape(-1, 3),
        quaternions=np.array([p.quaternion for p in poses], dtype=float).reshape(-1, 4),
        gripper=np.array(message.gripper, dtype=float),
        source=message.source,
    )


def correction_to_msg(correction: types.Correction) -> msg.Correction:
    return msg.Correction(
        header=header(correction.stamp, ""),
        correction_id=correction.correction_id,
        text=correction.text,
        kind=str(correction.kind),
        confidence=correction.confidence,
        speed_factor=correction.speed_factor,
        motion=motion_to_msg(correction.motion) if correction.motion else msg.LanguageMotion(),
        role=correction.role,
        phrase=correction.phrase,
        answer=correction.answer,
        accepted=correction.accepted,
        scope=str(correction.scope),
        undoes=correction.undoes,
    )


def correction_from_msg(message: msg.Correction) -> types.Correction:
    kind = types.CorrectionKind(message.kind)
    moves = kind in (types.CorrectionKind.MOTION, types.CorrectionKind.GRIPPER)
    return types.Correction(
        stamp=time_from_msg(message.header.stamp),
        correction_id=message.correction_id,
        text=message.text,
        kind=kind,
        confidence=message.confidence,
        speed_factor=message.speed_factor,
        motion=motion_from_msg(message.motion) if moves else None,
        role=message.role,
        phrase=message.phrase,
        answer=message.answer,
        accepted=message.accepted,
        scope=types.Scope(message.scope or types.Scope.NOW),
        undoes=message.undoes,
    )


# Status


def audio_to_msg(block: AudioBlock, frame_id: str) -> msg.AudioChunk:
    samples = array("h")
    samples.frombytes(block.samples.tobytes())
    return msg.AudioChunk(
        header=header(block.stamp, frame_id),
        sample_rate=block.sample_rate,
        channels=block.samples.shape[1],
        sequence=block.sequence % 2**32,
        samples=samples,
    )


def heartbeat_from_msg(message: msg.StackStatus) -> Heartbeat:
    return Heartbeat(
        message.node,
        message.state,
        message.level,
        message.phase,
        message.message,
        message.host,
        message.process,
    )
