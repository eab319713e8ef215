"""What the parts of the stack say to each other, free of ROS.

Conventions: times are seconds since the epoch (or since the start of a simulation) as float;
positions are metres and rotations radians in the base frame (x forward, y left, z up);
quaternions are ``(w, x, y, z)``; image coordinates are normalised to [0, 1], x right, y down.
Arrays are copied by nobody: treat them as read-only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The engine of transcripts of a stop that the speech node has sent already.
SPOTTER = "spotter"

# The tool frame: z points out of the gripper, y along the opening of the fingers.


class StrEnum(str, Enum):
    """As enum.StrEnum, which Python 3.10 lacks."""

    __str__ = str.__str__


class Gripper(IntEnum):
    """What the gripper does at a path point."""

    KEEP = 0
    OPEN = 1
    CLOSE = 2


class Interaction(StrEnum):
    """What the arm does to the target."""

    NONE = "none"
    PLACE = "place"
    PUSH = "push"
    PRESS = "press"
    OPEN = "open"
    CLOSE = "close"
    KNOCK = "knock"


# These touch the target with closed fingers; nothing is taken in the hand.
TOUCHES = (Interaction.PUSH, Interaction.PRESS, Interaction.CLOSE, Interaction.KNOCK)


class Role(StrEnum):
    """Why a segment matters."""

    TARGET = "target"
    GOAL = "goal"
    AVOID = "avoid"


class CorrectionKind(StrEnum):
    """The layer and meaning of a correction."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    SPEED = "speed"
    MOTION = "motion"
    GRIPPER = "gripper"
    RETARGET = "retarget"
    TASK = "task"
    UNDO = "undo"
    UNKNOWN = "unknown"


class Scope(StrEnum):
    """How long a correction counts: for this moment, for the thing in hand, or from now on."""

    NOW = "now"
    OBJECT = "object"
    ALWAYS = "always"


@dataclass(frozen=True)
class Pose:
    """A rigid pose: position ``(3,)`` in metres, quaternion ``(4,)`` as (w, x, y, z)."""

    position: Array
    quaternion: Array


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera without distortion, in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class RgbdFrame:
    """One aligned colour and depth image.

    Attributes:
        stamp: Capture time.
        frame_id: Name of the camera's optical frame (z forward, x right, y down).
        color: ``(H, W, 3)`` uint8, RGB.
        depth: ``(H, W)`` float32, metres along the optical axis, 0 where unknown.
        intrinsics: Of both images.
        camera_pose: Optical frame in the base frame.
    """

    stamp: float
    frame_id: str
    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    intrinsics: CameraIntrinsics
    camera_pose: Pose


@dataclass(frozen=True)
class RobotState:
    """The measured arm.

    Attributes:
        stamp: When it was measured.
        joint_positions: ``(7,)`` radians.
        joint_velocities: ``(7,)`` rad/s.
        gripper: Opening in [0, 1].
        tool: Tool frame in the base frame.
    """

    stamp: float
    joint_positions: Array
    joint_velocities: Array
    gripper: float
    tool: Pose


@dataclass(frozen=True)
class PathPoint:
    """A point of the 2D path; `depth` in metres along the optical axis, NaN = lift it yourself."""

    x: float
    y: float
    depth: float = float("nan")
    gripper: Gripper = Gripper.KEEP


@dataclass(frozen=True)
class Prompt:
    """A point (normalised) on a thing that matters, and why it matters."""

    role: Role
    label: str
    x: float
    y: float


@dataclass(frozen=True)
class Plan:
    """Where and how, drawn on the image with stamp `stamp` of camera `frame_id`.

    An empty path means: end what is running and hold.
    """

    plan_id: str
    stamp: float
    frame_id: str
    camera_pose: Pose
    instruction: str
    interaction: Interaction
    path: tuple[PathPoint, ...]
    prompts: tuple[Prompt, ...]
    valid_until: float
    source: str
    confidence: float = 1.0
    subtask: str = ""


@dataclass(frozen=True)
class LanguageMotion:
    """A motion in words and in numbers.

    Attributes:
        direction: ``(3,)`` unit vector in the base frame, or zeros.
        distance: Metres along `direction`; 0 where nobody named one.
        rotation: Radians about the tool's approach axis.
        weight: 1 is a remark, more is a shout.
        source: ``planner`` or ``correction``; a correction overrides the plan until `valid_until`.
    """

    stamp: float
    text: str
    direction: Array = field(default_factory=lambda: np.zeros(3))
    distance: float = 0.0
    rotation: float = 0.0
    gripper: Gripper = Gripper.KEEP
    valid_until: float = 0.0
    source: str = "planner"
    weight: float = 1.0
    correction_id: str = ""


@dataclass(frozen=True)
class Segment:
    """One tracked thing: its value in the mask, health in [0, 1], upright bounding box.

    Attributes:
        centroid: ``(3,)`` middle of the bounding box, base frame, metres.
        size: ``(3,)`` length, width, height of the box, metres.
        yaw: Of the box's longer side about z, radians.
    """

    id: int
    role: Role
    label: str
    health: float
    lost: bool
    centroid: Array
    size: Array
    yaw: float


@dataclass(frozen=True)
class Segments:
    """Masks on one image: ``mask`` is ``(H, W)`` uint8, 0 = background, else a segment's id."""

    stamp: float
    frame_id: str
    plan_id: str
    mask: NDArray[np.uint8]
    segments: tuple[Segment, ...]

    def role(self, role: Role) -> Segment | None:
        """The first segment with that role."""
        return next((s for s in self.segments if s.role == role), None)


@dataclass(frozen=True)
class ActionChunk:
    """N timed end-effector poses in the base frame.

    Attributes:
        stamp: Of the observation that the chunk answers; `times` count from here.
        image_stamp: Of the camera image used.
        times: ``(N,)`` seconds, strictly increasing.
        positions: ``(N, 3)`` metres.
        quaternions: ``(N, 4)`` (w, x, y, z).
        gripper: ``(N,)`` opening in [0, 1].
    """

    stamp: float
    image_stamp: float
    plan_id: str
    times: Array
    positions: Array
    quaternions: Array
    gripper: Array
    source: str = ""


@dataclass(frozen=True)
class Correction:
    """What a person meant. `answer` tells them what changed or why it was refused.

    `undoes` is the identity of the correction that an UNDO takes back.
    """

    stamp: float
    correction_id: str
    text: str
    kind: CorrectionKind
    confidence: float = 1.0
    speed_factor: float = 1.0
    motion: LanguageMotion | None = None
    role: str = ""
    phrase: str = ""
    answer: str = ""
    accepted: bool = True
    scope: Scope = Scope.NOW
    undoes: str = ""


@dataclass(frozen=True)
class Observation:
    """Everything a controller may look at, newest of each.

    `frame` and `segments` are None where none has come yet; `motion` only while it is valid.
    """

    now: float
    robot: RobotState
    plan: Plan
    frame: RgbdFrame | None = None
    segments: Segments | None = None
    motion: LanguageMotion | None = None
    speed: float = 1.0
